//! `page_table_multiarch`: one recursive walk with callbacks, a cursor for everything that writes.
//!
//! Its table begins empty; [`Space::new`] puts the tables of a scene in its place.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;

use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::GenericPTE;
use page_table_entry::x86_64::X64PTE;
use page_table_multiarch::{MappingFlags, PageTable64, PagingHandler, PagingMetaData};

use super::lent::{self, Lent};
use crate::{PhysicalMemory, Seen};

/// 4-level paging without a TLB.
#[derive(Debug)]
pub struct FourLevels;

impl PagingMetaData for FourLevels {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    #[inline(always)]
    fn flush_tlb(_: Option<VirtAddr>) {}
}

/// The memory that is lent.
#[derive(Debug)]
pub struct Handler;

impl PagingHandler for Handler {
    #[inline(always)]
    fn alloc_frames(count: usize, _: usize) -> Option<PhysAddr> {
        (count == 1).then(lent::allocate).flatten().map(PhysAddr::from_usize)
    }

    fn dealloc_frames(_: PhysAddr, _: usize) {}

    #[inline(always)]
    fn phys_to_virt(table: PhysAddr) -> VirtAddr {
        VirtAddr::from_mut_ptr_of(lent::table(table.as_usize()))
    }
}

/// The rights that all sides map with.
pub const DATA: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);
/// The same without the right to write.
pub const READ_ONLY: MappingFlags = MappingFlags::READ;

/// A space in memory that is lent.
pub struct Space<'m> {
    /// The peer's own type. It frees nothing.
    pub table: ManuallyDrop<PageTable64<FourLevels, X64PTE, Handler>>,
    _lent: Lent<'m>,
}

impl fmt::Debug for Space<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Space").field(&self.table.root_paddr()).finish()
    }
}

impl<'m> Space<'m> {
    /// The space under `root`.
    ///
    /// # Panics
    ///
    /// If there is no such table.
    pub fn new(memory: &'m mut PhysicalMemory, root: u64) -> Self {
        let lent = Lent::new(memory);
        let table = Lent::as_root(&lent, root, || PageTable64::try_new().expect("a page for the root"));
        Self { table: ManuallyDrop::new(table), _lent: lent }
    }

    /// Every leaf, by level below the root, address and entry.
    #[inline(always)]
    pub fn leaves(&self, leaf: impl Fn(usize, u64, X64PTE)) {
        let entry = |level: usize, _: usize, va: VirtAddr, entry: &X64PTE| {
            if level == 3 || entry.is_huge() {
                leaf(level, va.as_usize() as u64, *entry);
            }
        };
        self.table.walk(usize::MAX, Some(&entry), None);
    }

    /// The sum of all fields of all leaves.
    #[inline(never)]
    pub fn fields(&self) -> u64 {
        let sum = Cell::new(0u64);
        self.leaves(|level, va, entry| {
            let fields = va ^ entry.paddr().as_usize() as u64 ^ entry.flags().bits() as u64;
            sum.set(sum.get().wrapping_add(fields ^ entry.bits() as u64 ^ level as u64));
        });
        sum.get()
    }

    /// All pages, in order.
    pub fn seen(&self) -> Vec<Seen> {
        let all = RefCell::new(Vec::new());
        self.leaves(|level, va, entry| {
            let flags = entry.flags();
            let (writable, executable) =
                (flags.contains(MappingFlags::WRITE), flags.contains(MappingFlags::EXECUTE));
            all.borrow_mut().push(Seen::page(
                va,
                entry.paddr().as_usize() as u64,
                4096 << (9 * (3 - level)),
                writable,
                executable,
            ));
        });
        all.into_inner()
    }

    /// The physical address and all that comes with it.
    #[inline(always)]
    pub fn translate(&self, va: u64) -> Option<(u64, u64)> {
        let (pa, flags, size) = self.table.query(VirtAddr::from_usize(va as usize)).ok()?;
        Some((pa.as_usize() as u64, flags.bits() as u64 ^ size as u64))
    }
}
