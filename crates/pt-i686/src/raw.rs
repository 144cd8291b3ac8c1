//! The raw interface of `pt_core::raw`, bound to 2-level paging.
//!
//! [`TableReadOps`] and the types are the same for every architecture and are exported here again, so that an embedder
//! needs this module only. The machine is the one of [`TwoLevel::default`].
//!
//! ```
//! use pt_i686::raw::{SpaceAwareMapping, TableReadOps, walk_va_spaces};
//!
//! /// Tables in a buffer, addressed by offset. Entries are 4 bytes wide, and widened.
//! struct Tables(Vec<u8>);
//!
//! impl TableReadOps for Tables {
//!     type TableAddr = u64;
//!     fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
//!         addr + entry_offset
//!     }
//!     unsafe fn read_entry(&self, addr: u64) -> u64 {
//!         let at = addr as usize;
//!         u64::from(u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap()))
//!     }
//!     fn to_phys(addr: u64) -> u64 {
//!         addr
//!     }
//!     fn from_phys(addr: u64) -> u64 {
//!         addr
//!     }
//!     fn root_table(&self) -> u64 {
//!         0x1000
//!     }
//! }
//!
//! // Two page directories that share a page table with one page.
//! let mut tables = Tables(vec![0; 0x4000]);
//! for (at, raw) in [(0x1000, 0x3003_u32), (0x2004, 0x3001), (0x3000, 0x7003)] {
//!     tables.0[at..at + 4].copy_from_slice(&raw.to_le_bytes());
//! }
//!
//! // SAFETY: every entry that can be reached lies in the buffer, which nothing writes.
//! let spaces = unsafe { walk_va_spaces(&tables, &[0x1000, 0x2000], 0, 1 << 32) };
//! let [(0x1000, first), (0x2000, second)] = &spaces[..] else { panic!("in root order") };
//! assert!(matches!(first[..], [SpaceAwareMapping::ThisSpace(page)] if page.phys_base == 0x7000));
//! let [SpaceAwareMapping::AnotherSpace(link)] = second[..] else { panic!("{second:?}") };
//! assert_eq!((link.depth, link.space, link.our_va, link.their_va), (1, 0x1000, 0x40_0000, 0));
//! ```
#![allow(unsafe_code)]

#[cfg(feature = "alloc")]
use pt_core::raw::walk_va_spaces as walk_va_spaces_in;
pub use pt_core::raw::{
    BasicMapping, CowMapping, LinkRights, Mapping, MappingKind, SpaceAwareMapping, SpaceId,
    SpaceReferenceMapping, TableReadOps,
};
use pt_core::raw::{RawFormat, virt_to_phys as virt_to_phys_in};
use pt_x86::EntryFlags;

use crate::TwoLevel;

/// Copy-on-write is software bit 9, alone in 11:9.
impl RawFormat for TwoLevel {
    const KIND_BITS: u64 = EntryFlags::AVAILABLE.bits();
    const COPY_ON_WRITE: u64 = EntryFlags::COPY_ON_WRITE.bits();
}

/// Walks several spaces together, in order of primacy: the first root to reach a table owns it, later ones get a
/// reference to it. See [`pt_core::raw::walk_va_spaces`]; depths are 1 for a PT.
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
    unsafe { walk_va_spaces_in(TwoLevel::default(), op, roots, address, len) }
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
    unsafe { virt_to_phys_in(TwoLevel::default(), op, address, len) }
}
