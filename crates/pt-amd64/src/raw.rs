//! The raw interface of `pt_core::raw`, bound to 4-level paging.
//!
//! [`TableReadOps`] and the types are the same for every architecture and are exported here again, so that an embedder
//! needs this module only. The machine is the one of [`FourLevel::default`].
#![allow(unsafe_code)]

#[cfg(feature = "alloc")]
use pt_core::raw::walk_va_spaces as walk_va_spaces_in;
pub use pt_core::raw::{
    BasicMapping, CowMapping, LinkRights, Mapping, MappingKind, SpaceAwareMapping, SpaceId,
    SpaceReferenceMapping, TableReadOps,
};
use pt_core::raw::{RawFormat, virt_to_phys as virt_to_phys_in};
use pt_x86::EntryFlags;

use crate::FourLevel;

/// Copy-on-write is software bit 9, alone in 11:9.
impl RawFormat for FourLevel {
    const KIND_BITS: u64 = EntryFlags::AVAILABLE.bits();
    const COPY_ON_WRITE: u64 = EntryFlags::COPY_ON_WRITE.bits();
}

/// Walks several spaces together, in order of primacy: the first root to reach a table owns it, later ones get a
/// reference to it. See [`pt_core::raw::walk_va_spaces`]; depths are 1, 2 and 3 for a PDPT, PD and PT.
///
/// # Safety
///
/// During the call, [`TableReadOps::read_entry`] can be called on every entry of the roots and of every table that a
/// present entry reached from them links, and nothing writes those tables.
#[cfg(feature = "alloc")]
pub unsafe fn walk_va_spaces<Op: TableReadOps>(
    op: &Op,
    roots: &[Op::TableAddr],
    address: u64,
    len: u64,
) -> alloc::vec::Vec<(SpaceId, alloc::vec::Vec<SpaceAwareMapping>)> {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { walk_va_spaces_in(FourLevel::default(), op, roots, address, len) }
}

/// Translates a range in the space under `op`'s root, lazily: one item of 4 KiB per mapped page. See
/// [`pt_core::raw::virt_to_phys`].
///
/// # Safety
///
/// While the iterator lives, [`TableReadOps::read_entry`] can be called on every entry of `op`'s root table and of
/// every table that a present entry reached from it links, and nothing writes those tables.
pub unsafe fn virt_to_phys<'a, Op: TableReadOps + 'a>(
    op: impl AsRef<Op> + Copy + 'a,
    address: u64,
    len: u64,
) -> impl Iterator<Item = Mapping> + 'a {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { virt_to_phys_in(FourLevel::default(), op, address, len) }
}
