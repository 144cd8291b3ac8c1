//! What this workspace is held against, in tests and in benchmarks: hyperlight-common's `vmem`, 0.18 for amd64 and 0.15
//! for i686; and, in [`peers`], crates that other systems manage their page tables with.
//!
//! [`PhysicalMemory`] holds tables; [`Tables`] reads them through the traits of all sides, so that every walker has the
//! same bytes and the same accessor before it. [`Seen`] is what a walker reported, in one form for all of them.
//! Upstream's own `map` builds tables through [`PhysicalMemory::map_amd64`] and [`PhysicalMemory::map_i686`].
//!
//! What is measured is a [`Scene`]; its floor is [`read_once`]. A walker's [`Answer`] is checked first, and all that it
//! reports is consumed through [`Fields`]. What is mapped and changed, and by whom, is in [`sides`].
#![deny(unsafe_code)]

mod answer;
pub mod bomb;
mod builder;
pub mod calls;
mod copying;
pub mod fields;
mod floor;
mod memory;
pub mod peers;
mod scene;
mod seen;
pub mod sides;

pub use answer::{Answer, pages_of_events};
pub use builder::Builder;
pub use copying::Copying;
pub use fields::Fields;
pub use floor::read_once;
pub use memory::{Amd64Tables, I686Tables, PhysicalMemory, Tables};
pub use scene::{GIB, KERNEL, Pattern, Scene, scrambled};
pub use seen::{Seen, SeenSpace, of_amd64, of_i686, of_ours};
