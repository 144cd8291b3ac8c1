//! A scene as the `x86_64` crate reads it: through pointers to page tables.
#![allow(unsafe_code)]

use x86_64::PhysAddr;
use x86_64::structures::paging::mapper::{MappedPageTable, PageTableFrameMapping};
use x86_64::structures::paging::{PageTable, PageTableFlags, PhysFrame};

use crate::memory::PAGE;

/// The address bits of an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Page tables aligned as the crate wants them, at the same physical addresses.
#[derive(Debug)]
pub struct Mapped {
    tables: Vec<PageTable>,
}

impl Mapped {
    /// Copies the tables.
    pub fn new(bytes: &[u8]) -> Self {
        let tables = bytes.chunks_exact(PAGE).map(|bytes| {
            let mut table = PageTable::new();
            for (entry, raw) in table.iter_mut().zip(bytes.as_chunks::<8>().0) {
                let raw = u64::from_le_bytes(*raw);
                let flags = PageTableFlags::from_bits_retain(raw & !ADDRESS);
                entry.set_addr(PhysAddr::new(raw & ADDRESS), flags);
            }
            table
        });
        Self { tables: tables.collect() }
    }

    /// The space under `root`.
    ///
    /// # Panics
    ///
    /// When there is no such table.
    pub fn space(&mut self, root: u64) -> MappedPageTable<'_, Frames> {
        let root = root as usize / PAGE;
        assert!(root < self.tables.len());
        let frames = Frames { tables: self.tables.as_mut_ptr(), count: self.tables.len() };
        // SAFETY: `root` is in bounds, and the reference lives no longer than the exclusive borrow of the tables. All
        // other tables are reached through `frames`, which checks bounds; no scene has a link to a root.
        unsafe { MappedPageTable::new(&mut *frames.tables.add(root), frames) }
    }
}

/// Where frames are, checked as `[u8]` is.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    tables: *mut PageTable,
    count: usize,
}

// SAFETY: the pointers are to tables of `Mapped`, which stays borrowed exclusively while this is in use.
unsafe impl PageTableFrameMapping for Frames {
    #[inline(always)]
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        let table = frame.start_address().as_u64() as usize / PAGE;
        assert!(table < self.count);
        // SAFETY: in bounds of the allocation, as just checked.
        unsafe { self.tables.add(table) }
    }
}
