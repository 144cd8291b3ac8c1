//! Page tables as a graph.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod count;
mod event;
mod format;
mod memory;
pub mod raw;
#[cfg(feature = "alloc")]
mod record;
mod scan;
mod translate;
mod visited;
mod walk;

#[cfg(feature = "alloc")]
pub use count::{Counter, Reached, SpaceCounts, Total};
pub use event::{Absent, Alias, Cause, Event, Fault, Leaf, Link, Space, Table, TableId};
pub use format::{Entry, Format, Geometry, Level, MAX_LEVELS, MIN_TABLE_ALIGNMENT, Permissions};
pub use memory::{Memory, NoBuffer, Segment, Segments, SegmentsError, TableBuffer, Unreadable};
#[cfg(feature = "alloc")]
pub use record::{Expand, Recording};
pub use translate::{Extent, Extents, Step, TranslateError, Translation, trace, translate};
#[cfg(feature = "alloc")]
pub use visited::Visited;
pub use visited::{Remember, Unremembered};
pub use walk::{Leaves, LimitReached, Limits, Options, RepeatedRoots, Resource, Walk};
