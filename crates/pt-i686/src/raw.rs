//! The raw interface of `pt_core::raw`, bound to 2-level paging.
//!
//! [`TableReadOps`], [`TableOps`] and the types are the same for every architecture and are exported here again, so that an embedder
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
//!
//! # Writing
//!
//! [`map`] makes pages and the tables above them, [`space_aware_map`] links a table that another space has. Together they
//! rebuild what [`walk_va_spaces`] reports: pages with every bit of their entries, links with their own rights.
//!
//! ```
//! use std::cell::{Cell, RefCell};
//!
//! use pt_i686::raw::{
//!     BasicMapping, LinkRights, Mapping, MappingKind, MayNotMoveTable, SpaceReferenceMapping, TableOps, TableReadOps, Void, map,
//!     space_aware_map, virt_to_phys,
//! };
//!
//! /// Tables in a buffer that grows, and the root that calls act on.
//! #[derive(Default)]
//! struct Tables {
//!     bytes: RefCell<Vec<u8>>,
//!     root: Cell<u64>,
//! }
//!
//! impl TableReadOps for Tables {
//!     type TableAddr = u64;
//!     fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
//!         addr + entry_offset
//!     }
//!     unsafe fn read_entry(&self, addr: u64) -> u64 {
//!         let at = addr as usize;
//!         u64::from(u32::from_le_bytes(self.bytes.borrow()[at..at + 4].try_into().unwrap()))
//!     }
//!     fn to_phys(addr: u64) -> u64 {
//!         addr
//!     }
//!     fn from_phys(addr: u64) -> u64 {
//!         addr
//!     }
//!     fn root_table(&self) -> u64 {
//!         self.root.get()
//!     }
//! }
//!
//! impl TableOps for Tables {
//!     type TableMovability = MayNotMoveTable;
//!     unsafe fn alloc_table(&self) -> Option<u64> {
//!         let mut bytes = self.bytes.borrow_mut();
//!         let table = bytes.len();
//!         bytes.resize(table + 4096, 0);
//!         Some(table as u64)
//!     }
//!     unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<Void> {
//!         let at = addr as usize;
//!         self.bytes.borrow_mut()[at..at + 4].copy_from_slice(&(entry as u32).to_le_bytes());
//!         None
//!     }
//!     unsafe fn update_root(&self, _: u64, never: Void) {
//!         match never {}
//!     }
//! }
//!
//! # impl AsRef<Tables> for Tables {
//! #     fn as_ref(&self) -> &Tables {
//! #         self
//! #     }
//! # }
//! #
//! let tables = Tables::default();
//! // SAFETY of all that follows: entries are looked up in the buffer, which nothing else has.
//! let [first, second] = [(); 2].map(|()| unsafe { tables.alloc_table() }.expect("memory is enough"));
//!
//! // 16 pages in the first space, for user mode, too.
//! let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
//! let pages = Mapping { user_accessible: true, ..Mapping::new(0x80_0000, 0x1_0000, 0x1_0000, kind) };
//! tables.root.set(first);
//! unsafe { map(&tables, pages) }?;
//!
//! // Their page table in the second space, at another address, read-only. That space was walked as 0x7000, say.
//! let rights = LinkRights { writable: false, ..LinkRights::ALL };
//! let link = SpaceReferenceMapping { depth: 1, space: 0x7000, our_va: 0x40_0000, their_va: 0, entry: 0, rights };
//! tables.root.set(second);
//! unsafe { space_aware_map(&tables, link, &[(0x7000, first)]) }?;
//!
//! let page = unsafe { virt_to_phys::<Tables>(&tables, 0x40_0000 + 0x1_3000, 1) }.next().expect("is mapped");
//! assert_eq!(page.phys_base, 0x80_3000);
//! assert_eq!(page.kind, MappingKind::Basic(BasicMapping { readable: true, writable: false, executable: true }));
//! # Ok::<(), pt_i686::raw::MapError>(())
//! ```
#![allow(unsafe_code)]

pub use pt_core::Level;
#[cfg(feature = "alloc")]
use pt_core::raw::walk_va_spaces as walk_va_spaces_in;
pub use pt_core::raw::{
    BasicMapping, BuiltRoots, CowMapping, LinkRights, MapError, Mapping, MappingKind, MayMoveTable,
    MayNotMoveTable, SpaceAwareMapping, SpaceId, SpaceReferenceMapping, TableMoveInfo, TableOps,
    TableReadOps, Void,
};
use pt_core::raw::{
    RawFormat, map as map_in, space_aware_map as space_aware_map_in, virt_to_phys as virt_to_phys_in,
};
use pt_x86::EntryFlags;

use crate::{TwoLevel, TwoLevelFeatures};

/// The format of these functions. Writing borrows it, so that it is not made anew for each page.
const FORMAT: TwoLevel = TwoLevel::new(TwoLevelFeatures::WIDEST);

/// Copy-on-write is software bit 9, alone in 11:9.
impl RawFormat for TwoLevel {
    const PERMISSIVE: u64 = EntryFlags::WRITABLE.union(EntryFlags::USER).bits();
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

/// Maps a range in the space under `op`'s root, or takes away what is mapped there. See [`pt_core::raw::map`] for what
/// becomes of each field.
///
/// # Errors
///
/// As [`pt_core::raw::map`]: nothing has changed, unless tables may move and the error says so.
///
/// # Safety
///
/// - During the call, all of [`TableOps`] can be called: reads and writes on every entry of the roots that `op` names, of
///   every table that a present entry reached from them links, and of the tables that it allocates. Nothing else reads
///   or writes these.
/// - Whoever runs in the space is prepared for what its addresses mean afterwards, stale translations included.
pub unsafe fn map<Op: TableOps>(op: &Op, mapping: Mapping) -> Result<(), MapError> {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { map_in(&FORMAT, op, mapping) }
}

/// Links a table of a space that was rebuilt, at the place and with the rights of a reference that
/// [`walk_va_spaces`] reported. See [`pt_core::raw::space_aware_map`].
///
/// # Errors
///
/// As [`pt_core::raw::space_aware_map`]: nothing has changed, unless tables may move and the error says so.
///
/// # Safety
///
/// As [`map`], for the space that the reference is to as well.
pub unsafe fn space_aware_map<Op: TableOps>(
    op: &Op,
    reference: SpaceReferenceMapping,
    built_roots: &(impl BuiltRoots<Op::TableAddr> + ?Sized),
) -> Result<(), MapError> {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { space_aware_map_in(&FORMAT, op, reference, built_roots) }
}
