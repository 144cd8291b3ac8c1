//! What the raw interface is held against: hyperlight-common's `vmem`, 0.18 for amd64 and 0.15 for i686.
//!
//! [`PhysicalMemory`] holds tables; [`Tables`] reads them through the traits of all sides, so that every walker has the
//! same bytes and the same accessor before it. [`Seen`] is what a walker reported, in one form for all of them.
//! Upstream's own `map` builds tables through [`PhysicalMemory::map_amd64`] and [`PhysicalMemory::map_i686`].
#![allow(unsafe_code)]

mod builder;
mod memory;
mod seen;

pub use memory::{Amd64Tables, I686Tables, PhysicalMemory, Tables};
pub use seen::{Seen, SeenSpace, of_amd64, of_i686, of_ours};
