//! `page-table-generic`: levels, entries and allocator are the caller's; one recursive descent per range.

use std::fmt;

use page_table_generic::{
    FrameAllocator, PageTableEntry, PageTableRef, PhysAddr, PteInfo, TableMeta, VirtAddr,
};

use super::ADDRESS;
use super::lent::{self, Lent};
use crate::{PhysicalMemory, Seen};

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
/// Present, writable, user: what links are.
const LINK: u64 = 0b111;

/// An entry of 4-level paging, configured by its bits.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Pte(pub u64);

impl PageTableEntry for Pte {
    type PteConfig = u64;

    #[inline(always)]
    fn new_page(page: PhysAddr, config: u64, is_huge: bool) -> Self {
        Self(page.as_usize() as u64 | config | if is_huge { LARGE } else { 0 })
    }

    #[inline(always)]
    fn new_table(table: PhysAddr) -> Self {
        Self(table.as_usize() as u64 | LINK)
    }

    #[inline(always)]
    fn paddr(&self, _: bool) -> PhysAddr {
        PhysAddr::from_usize((self.0 & ADDRESS) as usize)
    }

    #[inline(always)]
    fn config(&self, is_dir: bool) -> u64 {
        self.0 & !ADDRESS & if is_dir { !LARGE } else { !0 }
    }

    #[inline(always)]
    fn present(&self) -> bool {
        self.0 & PRESENT != 0
    }

    #[inline(always)]
    fn huge(&self, is_dir: bool) -> bool {
        is_dir && self.0 & LARGE != 0
    }

    #[inline(always)]
    fn unused(&self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    fn clear(&mut self) {
        self.0 = 0;
    }
}

/// 4-level paging without a TLB.
#[derive(Clone, Copy, Debug)]
pub struct FourLevels;

impl TableMeta for FourLevels {
    type P = Pte;
    const PAGE_SIZE: usize = 4096;
    const LEVEL_BITS: &[usize] = &[9, 9, 9, 9];
    const MAX_BLOCK_LEVEL: usize = 3;

    #[inline(always)]
    fn flush(_: Option<VirtAddr>) {}
}

/// The memory that is lent.
#[derive(Clone, Copy, Debug)]
pub struct Frames;

impl FrameAllocator for Frames {
    #[inline(always)]
    fn alloc_frame(&self) -> Option<PhysAddr> {
        lent::allocate().map(PhysAddr::from_usize)
    }

    fn dealloc_frame(&self, _: PhysAddr) {}

    #[inline(always)]
    fn phys_to_virt(&self, table: PhysAddr) -> *mut u8 {
        lent::table(table.as_usize())
    }
}

/// A space in memory that is lent.
pub struct Space<'m> {
    /// The peer's own type.
    pub table: PageTableRef<FourLevels, Frames>,
    _lent: Lent<'m>,
}

impl fmt::Debug for Space<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Space").field(&self.table.root_paddr()).finish()
    }
}

impl<'m> Space<'m> {
    /// The space under `root`.
    pub fn new(memory: &'m mut PhysicalMemory, root: u64) -> Self {
        let lent = Lent::new(memory);
        // SAFETY: every table is checked against the memory, which is lent to this alone.
        let table = unsafe { PageTableRef::from_paddr(PhysAddr::from_usize(root as usize), Frames) };
        Self { table, _lent: lent }
    }

    /// The sum of all fields of all leaves.
    #[inline(never)]
    pub fn fields(&self) -> u64 {
        self.table.walk_valid().fold(0, |sum, leaf| {
            let PteInfo { level, vaddr, is_final_mapping, pte } = leaf;
            let small = level as u64 + u64::from(is_final_mapping);
            let page = pte.paddr(level > 1).as_usize() as u64;
            sum.wrapping_add(vaddr.as_usize() as u64 ^ page ^ pte.0 ^ small)
        })
    }

    /// All pages, in order.
    pub fn seen(&self) -> Vec<Seen> {
        let page = |leaf: PteInfo<Pte>| {
            let raw = leaf.pte.0;
            let (va, len) = (leaf.vaddr.as_usize() as u64, 4096 << (9 * (leaf.level - 1)));
            Seen::page(va, raw & ADDRESS, len, raw & 2 != 0, raw >> 63 == 0)
        };
        self.table.walk_valid().map(page).collect()
    }

    /// The physical address and all that comes with it.
    #[inline(always)]
    pub fn translate(&self, va: u64) -> Option<(u64, u64)> {
        let (pa, pte, level) = self.table.translate_with_level(VirtAddr::from_usize(va as usize)).ok()?;
        Some((pa.as_usize() as u64, pte.0 ^ level as u64))
    }
}
