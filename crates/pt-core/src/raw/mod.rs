//! The raw interface: for in-guest code and for embedders whose tables are reached through pointers.
//!
//! It keeps the shape that the field already uses (hyperlight-common's `vmem`): [`TableReadOps`] reads single entries,
//! [`walk_va_spaces`] returns each space's mappings, [`virt_to_phys`] one page at a time; [`TableOps`] writes entries, so
//! that [`map`] and [`space_aware_map`] put into new tables what was walked. Reading is a thin adapter over the engine, so
//! every format and every rule of the walk applies. Writing goes down entry by entry and needs no allocator. The
//! architecture crates bind all of it to a format (`pt_amd64::raw`, `pt_i686::raw`, with examples); entries and physical
//! addresses are `u64` in all of them.
//!
//! What differs from upstream is listed in `docs/upstream.md`.
//!
//! **Architecture invariant:** all `unsafe` of the workspace's libraries that concerns tables is in this module; its
//! callers promise that entries can be read and written, and everything else is checked.
#![allow(unsafe_code)]

mod error;
mod map;
mod mapping;
mod memory;
mod moves;
mod ops;
mod pages;
mod reference;
mod request;
mod space;
#[cfg(feature = "alloc")]
mod spaces;

pub use error::MapError;
pub use map::map;
pub use mapping::{
    BasicMapping, CowMapping, LinkRights, Mapping, MappingKind, SpaceAwareMapping, SpaceId,
    SpaceReferenceMapping,
};
pub use ops::{BuiltRoots, MayMoveTable, MayNotMoveTable, TableMovability, TableMoveInfo, TableOps, Void};
pub use pages::virt_to_phys;
pub use reference::space_aware_map;
#[cfg(feature = "alloc")]
pub use spaces::walk_va_spaces;

use crate::{Encode, Format, Geometry};

/// Reads tables, entry by entry.
pub trait TableReadOps {
    /// How this embedder addresses tables and entries: a physical address, an offset, a pointer.
    type TableAddr: Copy;

    /// The address of the entry that stands `entry_offset` bytes into the page at `addr`.
    ///
    /// The base that the engine passes is what [`from_phys`](Self::from_phys) made of a multiple of 4096, or a root.
    fn entry_addr(addr: Self::TableAddr, entry_offset: u64) -> Self::TableAddr;

    /// The entry at `addr`, widened to 64 bits where the format's entries are 4 bytes wide.
    ///
    /// # Safety
    ///
    /// `addr` lies inside a table that the implementor can read, and nothing writes it during the call.
    unsafe fn read_entry(&self, addr: Self::TableAddr) -> u64;

    /// The physical address that entries hold for `addr`.
    fn to_phys(addr: Self::TableAddr) -> u64;

    /// The inverse of [`to_phys`](Self::to_phys).
    fn from_phys(addr: u64) -> Self::TableAddr;

    /// The root of the space that single-space functions act on.
    fn root_table(&self) -> Self::TableAddr;
}

/// A format that marks copy-on-write pages in an entry's software bits.
pub trait RawFormat: Encode {
    /// The attributes of a page that permits everything and says nothing else: the opposite of
    /// [`RESTRICTED`](Encode::RESTRICTED).
    const PERMISSIVE: u64;
    /// The software bits that tell kinds of mappings apart.
    const KIND_BITS: u64;
    /// Their value in a copy-on-write page.
    const COPY_ON_WRITE: u64;
}

/// The pages that `address` and `len` bytes touch, as the engine's range: upstream's reading.
///
/// Where addresses are sign-extended the upper bits are masked off, so that `(0, 1 << 48)` covers both halves; a range
/// ends at the end of the space. Empty where there is nothing.
fn pages_of<F: Format>(address: u64, len: u64) -> core::ops::RangeInclusive<u64> {
    let first = if F::SIGN_EXTENDED { address & F::VA_MASK } else { address };
    if len == 0 || first > F::VA_MASK {
        return core::ops::RangeInclusive::new(1, 0);
    }
    let last = first.saturating_add(len - 1).min(F::VA_MASK);
    let page = (1u64 << F::PAGE_SHIFT) - 1;
    F::canonical(first & !page)..=F::canonical(last | page)
}
