//! Page tables as a graph.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod event;
mod format;
mod memory;

pub use event::{Absent, Alias, Cause, Event, Fault, Leaf, Link, Space, Table, TableId};
pub use format::{Entry, Format, Geometry, Level, MAX_LEVELS, MIN_TABLE_ALIGNMENT, Permissions};
pub use memory::{Memory, NoBuffer, Segment, Segments, SegmentsError, TableBuffer, Unreadable};
