//! The same address spaces elsewhere.
//!
//! From a walk, which meets every table once and keeps every link, this crate makes the same spaces in new memory: as
//! many tables, shared in the same way, with the same rights, and the same bytes behind every address.
//!
//! ```
//! use pt_amd64::FourLevel;
//! use pt_core::{Limits, translate};
//! use pt_rebuild::{Arena, Compact, Graph, Plan, Proof, RebuildOptions, verify};
//!
//! // Two roots that share a PDPT; below it one page at 0x9000.
//! let mut memory = vec![0; 0x10_0000];
//! let links = [(0x1000, 0x3003_u64), (0x2000, 0x3001), (0x3000, 0x4003), (0x4000, 0x5003), (0x5008, 0x9003)];
//! for (at, raw) in links {
//!     memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
//! }
//! memory[0x9000..0x9005].copy_from_slice(b"hello");
//! let (format, roots) = (FourLevel::default(), [0x1000, 0x2000]);
//!
//! // What is there, what becomes of it, where tables go; and only then is anything written.
//! let graph = Graph::read(format, &memory, &roots, 0..=u64::MAX, Limits::NONE)?;
//! let mut arena = Arena::new([0..=0xffff]);
//! let plan = Plan::new(graph, RebuildOptions::default(), Compact::new(&mut arena, [0..=0xf_ffff]))?;
//! assert_eq!((plan.old_tables(), plan.new_tables()), (5, 5));
//! let rebuilt = plan.reserve(&mut arena)?;
//! let mut new = vec![0; 0x1_0000];
//! rebuilt.commit(&memory, &mut new)?;
//!
//! let [one, _] = rebuilt.roots() else { panic!("two roots") };
//! let page = translate(&format, &new, one.new, 0x1000)?;
//! assert_eq!(&new[page.pa as usize..][..5], b"hello");
//!
//! // The proof needs the two memories and the roots alone.
//! let report = verify(&format, &memory, &new, rebuilt.roots(), &Proof::default())?;
//! assert_eq!((report.tables.old, report.tables.new, report.bytes), (5, 5, 4096));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | step | what |
//! |---|---|
//! | [`Graph`] | the tables of some spaces, from memory, a walk, or a raw result |
//! | [`Placement`] | where frames go: [`Keep`], [`Compact`], [`Dedup`], or a function of [`Extent`]s |
//! | [`Plan`] | everything decided and checked; how many tables are needed |
//! | [`Rebuilt`] | tables allocated, their bytes final; [`view`](Rebuilt::view) it or [`commit`](Rebuilt::commit) it |
//! | [`verify`] | both sides in lockstep: the first difference, or the totals |
//!
//! It knows no architecture: whatever is [`Encode`](pt_core::Encode) can be rebuilt. It relocates tables and what pages
//! map, and nothing else. A guest that keeps physical addresses in other places (in page structures, rings, registers)
//! goes on only if its frames stay, or if it cooperates. Physical addresses hidden in entries that are not present are
//! copied as they are.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod arena;
mod encode;
mod extent;
mod frames;
mod graph;
mod layout;
mod options;
mod pages;
mod place;
mod plan;
mod rebuilt;
mod verify;
mod view;

pub use arena::Arena;
pub use extent::Extent;
pub use frames::{BadStretch, FrameMap, Stretch};
pub use graph::{Graph, GraphError};
pub use options::{Becomes, Faults, Pages, PlanError, RebuildOptions, TableFrames};
pub use place::{Compact, Dedup, Keep, NoRoom, Place, Placement};
pub use plan::Plan;
pub use rebuilt::{CommitError, NewRoot, NewTable, Rebuilt, Written};
pub use verify::{Count, Mismatch, Proof, Verified, VerifyError, verify};
pub use view::View;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
