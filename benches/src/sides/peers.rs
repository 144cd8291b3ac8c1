//! The peers that map, each in its own way: a range where there is a call for it, page by page where there is none.

use std::ops::RangeFrom;

use ::x86_64::structures::paging::mapper::{MappedPageTable, Mapper};
use ::x86_64::structures::paging::{
    FrameAllocator, Page, PageSize, PageTableFlags, PhysFrame, Size2MiB, Size4KiB,
};
use ::x86_64::{PhysAddr, VirtAddr};
use hyperlight::vmem as upstream;
use page_table_generic::MapConfig;

use super::{Change, NO_EXECUTE, ROOT, Range, Side, WRITABLE};
use crate::PhysicalMemory;
use crate::builder::Builder;
use crate::peers::{generic, multiarch, x86_64};

const PRESENT: u64 = 1;

/// hyperlight-common 0.18.
#[derive(Debug)]
pub struct Hyperlight;

impl Side for Hyperlight {
    const NAME: &'static str = "hyperlight";
    type Space<'m> = Builder<'m, 8>;

    fn open(memory: &mut PhysicalMemory) -> Self::Space<'_> {
        memory.amd64_mut(ROOT)
    }

    #[inline(always)]
    fn map(space: &mut Self::Space<'_>, range: &Range) {
        assert_eq!(range.level, 1);
        let kind = upstream::BasicMapping { readable: true, writable: true, executable: false };
        let kind = upstream::MappingKind::Basic(kind);
        let mapping = upstream::Mapping { phys_base: range.pa, virt_base: range.va, len: range.len, kind };
        // SAFETY: every access is checked against the memory, which the builder has to itself.
        unsafe { upstream::map(&*space, mapping) }
    }
}

/// `page_table_multiarch`.
#[derive(Debug)]
pub struct Multiarch;

impl Side for Multiarch {
    const NAME: &'static str = "page_table_multiarch";
    type Space<'m> = multiarch::Space<'m>;

    fn open(memory: &mut PhysicalMemory) -> Self::Space<'_> {
        multiarch::Space::new(memory, ROOT)
    }

    #[inline(always)]
    fn map(space: &mut Self::Space<'_>, range: &Range) {
        let page = |va: memory_addr::VirtAddr| {
            memory_addr::PhysAddr::from_usize(range.pa as usize + (va.as_usize() - range.va as usize))
        };
        let first = memory_addr::VirtAddr::from_usize(range.va as usize);
        let mut cursor = space.table.cursor();
        let mapped = cursor.map_region(first, page, range.len as usize, multiarch::DATA, range.level > 1);
        mapped.expect("nothing is in the way");
    }
}

impl Change for Multiarch {
    #[inline(always)]
    fn unmap(space: &mut Self::Space<'_>, range: &Range) {
        let first = memory_addr::VirtAddr::from_usize(range.va as usize);
        space.table.cursor().unmap_region(first, range.len as usize).expect("all of it is mapped");
    }

    #[inline(always)]
    fn protect(space: &mut Self::Space<'_>, range: &Range, writable: bool) {
        let first = memory_addr::VirtAddr::from_usize(range.va as usize);
        let rights = if writable { multiarch::DATA } else { multiarch::READ_ONLY };
        space.table.cursor().protect_region(first, range.len as usize, rights).expect("all of it is mapped");
    }
}

/// `page-table-generic`.
#[derive(Debug)]
pub struct Generic;

impl Side for Generic {
    const NAME: &'static str = "page-table-generic";
    type Space<'m> = generic::Space<'m>;

    fn open(memory: &mut PhysicalMemory) -> Self::Space<'_> {
        generic::Space::new(memory, ROOT)
    }

    #[inline(always)]
    fn map(space: &mut Self::Space<'_>, range: &Range) {
        let config = MapConfig {
            vaddr: page_table_generic::VirtAddr::from_usize(range.va as usize),
            paddr: page_table_generic::PhysAddr::from_usize(range.pa as usize),
            size: range.len as usize,
            pte: NO_EXECUTE | WRITABLE | PRESENT,
            allow_huge: range.level > 1,
            flush: false,
        };
        space.table.map(&config).expect("nothing is in the way");
    }
}

impl Change for Generic {
    #[inline(always)]
    fn unmap(space: &mut Self::Space<'_>, range: &Range) {
        let first = page_table_generic::VirtAddr::from_usize(range.va as usize);
        space.table.unmap(first, range.len as usize).expect("all of it is mapped");
    }

    #[inline(always)]
    fn protect(space: &mut Self::Space<'_>, range: &Range, writable: bool) {
        let first = page_table_generic::VirtAddr::from_usize(range.va as usize);
        let rights = NO_EXECUTE | if writable { WRITABLE } else { 0 } | PRESENT;
        space.table.protect_region(first, range.len as usize, rights).expect("all of it is mapped");
    }
}

/// The `x86_64` crate, a page at a time: it has no calls for ranges.
#[derive(Debug)]
pub struct X8664;

/// Pages that nothing uses, by number.
#[derive(Debug)]
pub struct Free(RangeFrom<u64>);

// SAFETY: each page is given out once, and nothing else uses it.
unsafe impl FrameAllocator<Size4KiB> for Free {
    #[inline(always)]
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.0.next().map(|page| PhysFrame::containing_address(PhysAddr::new(page * 4096)))
    }
}

impl X8664 {
    const FLAGS: PageTableFlags =
        PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE).union(PageTableFlags::NO_EXECUTE);

    #[inline(always)]
    fn map_pages<S: PageSize + std::fmt::Debug>((table, free): &mut Space<'_>, range: &Range)
    where
        for<'m> MappedPageTable<'m, x86_64::Frames>: Mapper<S>,
    {
        for (page, frame) in pages::<S>(range) {
            // SAFETY: nothing is accessed through these mappings.
            let mapped = unsafe { table.map_to(page, frame, Self::FLAGS, free) };
            mapped.expect("nothing is in the way").ignore();
        }
    }

    #[inline(always)]
    fn unmap_pages<S: PageSize + std::fmt::Debug>((table, _): &mut Space<'_>, range: &Range)
    where
        for<'m> MappedPageTable<'m, x86_64::Frames>: Mapper<S>,
    {
        for (page, _) in pages::<S>(range) {
            table.unmap(page).expect("all of it is mapped").1.ignore();
        }
    }

    #[inline(always)]
    fn protect_pages<S: PageSize + std::fmt::Debug>((table, _): &mut Space<'_>, range: &Range, writable: bool)
    where
        for<'m> MappedPageTable<'m, x86_64::Frames>: Mapper<S>,
    {
        let mut flags = Self::FLAGS;
        flags.set(PageTableFlags::WRITABLE, writable);
        for (page, _) in pages::<S>(range) {
            // SAFETY: as above.
            unsafe { table.update_flags(page, flags) }.expect("all of it is mapped").ignore();
        }
    }
}

/// Tables, and pages for more.
type Space<'m> = (MappedPageTable<'m, x86_64::Frames>, Free);

fn pages<S: PageSize>(range: &Range) -> impl Iterator<Item = (Page<S>, PhysFrame<S>)> {
    range.pieces(S::SIZE).map(|page| {
        let frame = PhysFrame::containing_address(PhysAddr::new(page.pa));
        (Page::containing_address(VirtAddr::new(page.va)), frame)
    })
}

impl Side for X8664 {
    const NAME: &'static str = "x86_64";
    type Space<'m> = Space<'m>;

    fn open(memory: &mut PhysicalMemory) -> Space<'_> {
        let (table, free) = x86_64::space(memory, ROOT);
        (table, Free(free as u64..))
    }

    #[inline(always)]
    fn map(space: &mut Space<'_>, range: &Range) {
        match range.level {
            1 => Self::map_pages::<Size4KiB>(space, range),
            _ => Self::map_pages::<Size2MiB>(space, range),
        }
    }
}

impl Change for X8664 {
    #[inline(always)]
    fn unmap(space: &mut Space<'_>, range: &Range) {
        match range.level {
            1 => Self::unmap_pages::<Size4KiB>(space, range),
            _ => Self::unmap_pages::<Size2MiB>(space, range),
        }
    }

    #[inline(always)]
    fn protect(space: &mut Space<'_>, range: &Range, writable: bool) {
        match range.level {
            1 => Self::protect_pages::<Size4KiB>(space, range, writable),
            _ => Self::protect_pages::<Size2MiB>(space, range, writable),
        }
    }
}
