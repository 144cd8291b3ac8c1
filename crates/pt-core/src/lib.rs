//! Page tables as a graph: walked once, translated, counted and expanded, for every paging format.
//!
//! Many address spaces share tables, at every level, and one table can hang in several places of one space. This crate
//! walks all of them together: the first root to reach a table owns it, and whoever comes later gets a reference.
//!
//! ```
//! use pt_amd64::FourLevel;
//! use pt_core::{Counter, Event, Options, Walk};
//!
//! // Two roots (at 0x1000 and 0x2000) that share a PDPT at 0x3000, which maps one page of 1 GiB.
//! let mut memory = vec![0; 0x4000];
//! let mut store = |at: usize, raw: u64| memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
//! store(0x1000, 0x3003);
//! store(0x2000, 0x3001);
//! store(0x3000, 0x4000_0083);
//!
//! let mut counter = Counter::new();
//! for event in Walk::new(FourLevel::default(), &memory, &[0x1000, 0x2000], Options::default()) {
//!     let event = event?;
//!     counter.observe::<FourLevel>(&event);
//!     if let Event::Alias(alias) = event {
//!         assert_eq!((alias.space, alias.owner, alias.address), (1, 0, 0x3000));
//!         // This link forbids writes, the owner's does not: both are known.
//!         assert!(!alias.rights.contains(pt_x86::Rights::WRITE));
//!     }
//! }
//! let spaces = counter.spaces();
//! assert_eq!(spaces[1].leaves_met, 0, "nothing is walked twice");
//! assert_eq!(spaces[1].reached.bytes::<FourLevel>(), 1 << 30, "and nothing is lost");
//! # Ok::<(), pt_core::LimitReached>(())
//! ```
//!
//! | what | where |
//! |---|---|
//! | what an architecture is | [`Format`], [`Geometry`], [`Entry`], [`Level`] |
//! | the boundary to memory | [`Memory`]; `[u8]`, [`Segments`] |
//! | all spaces, every table once | [`Walk`] and its [`Event`]s |
//! | one address; many; a range | [`translate`], [`trace`]; [`Translator`]; [`Extents`] |
//! | an access: judged, and with accessed and dirty bits | [`translate_judged`], [`translate_marking`] |
//! | exact counts without expanding | `Counter` |
//! | an alias followed after all, lazily | `Recording` |
//! | who maps a frame; where two spaces differ | `FrameIndex`, `compare` |
//! | map, unmap, protect and collapse ranges | `Editor`, for formats that are [`Encode`] |
//! | single entries behind pointers | [`raw`] |
//!
//! It knows no architecture: formats are in `pt-amd64` and `pt-i686`, and what x86 makes of an access in `pt-x86`. It does
//! not flush TLBs, choose which memory tables are made of, or read files.
//!
//! Memory is untrusted. No input makes these functions panic or overflow, and the work of a [`Walk`] that remembers
//! tables is bounded by `4 × levels` visits per distinct table, whatever the tables say. All of it is `no_std`; feature
//! `alloc` (default) adds what remembers.

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod access;
#[cfg(feature = "alloc")]
mod compare;
#[cfg(feature = "alloc")]
mod count;
#[cfg(feature = "alloc")]
mod edit;
mod encode;
mod event;
mod format;
#[cfg(feature = "alloc")]
mod frames;
#[cfg(feature = "alloc")]
mod lockstep;
mod memory;
pub mod raw;
#[cfg(feature = "alloc")]
mod record;
mod scan;
mod translate;
mod visited;
mod walk;

pub use access::{Marking, translate_judged, translate_marking};
#[cfg(feature = "alloc")]
pub use compare::{Difference, Finding, Side, compare};
#[cfg(feature = "alloc")]
pub use count::{Counter, Reached, SpaceCounts, Total};
#[cfg(feature = "alloc")]
pub use edit::{
    BumpTables, EditError, Editor, Flush, MapOptions, OnShared, Protection, Reach, Sharing, Stale,
    StaleRange, StaleRanges, TableAllocator, TableRequest,
};
pub use encode::Encode;
pub use event::{Absent, Alias, Cause, Event, Fault, Leaf, Link, Space, Table, TableId};
pub use format::{Entry, Format, Geometry, Level, MAX_LEVELS, MIN_TABLE_ALIGNMENT, Permissions};
#[cfg(feature = "alloc")]
pub use frames::{FrameIndex, FrameUse};
#[cfg(feature = "alloc")]
pub use lockstep::{CompareLimit, Judge, Mapped, Node, Scope, lockstep};
pub use memory::{
    Memory, MemoryExchange, MemoryMut, NoBuffer, Segment, Segments, SegmentsError, TableBuffer, Unreadable,
};
#[cfg(feature = "alloc")]
pub use record::{Expand, Recording};
pub use translate::{Extent, Extents, Step, TranslateError, Translation, Translator, trace, translate};
#[cfg(feature = "alloc")]
pub use visited::Visited;
pub use visited::{Remember, Unremembered};
pub use walk::{Leaves, LimitReached, Limits, Options, RepeatedRoots, Resource, Walk};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
