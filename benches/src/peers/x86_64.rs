//! A scene as the `x86_64` crate reads it: through pointers to page tables.

use ::x86_64::structures::paging::mapper::{MappedPageTable, PageTableFrameMapping};
use ::x86_64::structures::paging::{PageTable, PhysFrame};

use crate::PhysicalMemory;
use crate::memory::PAGE;

/// The space under `root`, and the number of the first page that nothing uses.
///
/// # Panics
///
/// When there is no such table.
pub fn space(memory: &mut PhysicalMemory, root: u64) -> (MappedPageTable<'_, Frames>, usize) {
    let (tables, free) = memory.tables_and_free_mut();
    let (root, free) = (root as usize / PAGE, *free);
    assert!(root < tables.len());
    let frames = Frames { tables: tables.as_mut_ptr().cast(), count: tables.len() };
    // SAFETY: `root` is in bounds, any bytes are a page table, pages are aligned as one, and the reference lives no longer
    // than the exclusive borrow of the memory. All other tables are reached through `frames`, which checks bounds; nothing
    // here links a root.
    (unsafe { MappedPageTable::new(&mut *frames.tables.add(root), frames) }, free)
}

/// Where frames are, checked as `[u8]` is.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    tables: *mut PageTable,
    count: usize,
}

// SAFETY: the pointers are to tables of the memory, which stays borrowed exclusively while this is in use.
unsafe impl PageTableFrameMapping for Frames {
    #[inline(always)]
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        let table = frame.start_address().as_u64() as usize / PAGE;
        assert!(table < self.count);
        // SAFETY: in bounds of the allocation, as just checked.
        unsafe { self.tables.add(table) }
    }
}
