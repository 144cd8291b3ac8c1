//! Tables as upstream's own `map` builds them.
#![allow(unsafe_code)]

use std::cell::Cell;

use hyperlight::vmem as amd64;
use hyperlight_i686::vmem as i686;

use crate::PhysicalMemory;
use crate::memory::PAGE;

impl PhysicalMemory {
    /// Maps in the space under `root` with upstream's 0.18. New tables are pages that nothing uses.
    ///
    /// # Panics
    ///
    /// When the memory is full, and where upstream panics.
    pub fn map_amd64(&mut self, root: u64, mapping: amd64::Mapping) {
        self.build(root, |builder: &Builder<'_, 8>| {
            // SAFETY: every access is checked against the slice, which `build` has borrowed exclusively.
            unsafe { amd64::map(builder, mapping) }
        });
    }

    /// Maps in the space under `root` with upstream's 0.15. New tables are pages that nothing uses.
    ///
    /// # Panics
    ///
    /// When the memory is full, and where upstream panics.
    pub fn map_i686(&mut self, root: u64, mapping: i686::Mapping) {
        self.build(root, |builder: &Builder<'_, 4>| {
            // SAFETY: every access is checked against the slice, which `build` has borrowed exclusively.
            unsafe { i686::map(builder, mapping) }
        });
    }

    fn build<const WIDTH: usize>(&mut self, root: u64, act: impl FnOnce(&Builder<'_, WIDTH>)) {
        let bytes = Cell::from_mut(&mut self.bytes[..]).as_slice_of_cells();
        let builder = Builder { bytes, free: Cell::new(self.free), root };
        act(&builder);
        self.free = builder.free.get();
    }
}

/// A space that is being written, entries `WIDTH` bytes wide.
struct Builder<'m, const WIDTH: usize> {
    bytes: &'m [Cell<u8>],
    free: Cell<usize>,
    root: u64,
}

impl<const WIDTH: usize> Builder<'_, WIDTH> {
    fn entry(&self, at: u64) -> [u8; WIDTH] {
        std::array::from_fn(|byte| self.bytes[at as usize + byte].get())
    }

    fn set_entry(&self, at: u64, entry: [u8; WIDTH]) {
        for (byte, value) in self.bytes[at as usize..].iter().zip(entry) {
            byte.set(value);
        }
    }

    fn allocate(&self) -> u64 {
        let at = self.free.get() * PAGE;
        assert!(at + PAGE <= self.bytes.len(), "all pages are given out");
        self.free.set(self.free.get() + 1);
        at as u64
    }
}

macro_rules! table_ops {
    ($upstream:ident, $width:literal, $word:ty) => {
        impl $upstream::TableReadOps for Builder<'_, $width> {
            type TableAddr = u64;

            fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
                addr + entry_offset
            }

            unsafe fn read_entry(&self, addr: u64) -> $word {
                <$word>::from_le_bytes(self.entry(addr))
            }

            fn to_phys(addr: u64) -> $word {
                addr as $word
            }

            #[allow(clippy::useless_conversion)]
            fn from_phys(addr: $word) -> u64 {
                addr.into()
            }

            fn root_table(&self) -> u64 {
                self.root
            }
        }

        impl $upstream::TableOps for Builder<'_, $width> {
            type TableMovability = $upstream::MayNotMoveTable;

            unsafe fn alloc_table(&self) -> u64 {
                self.allocate()
            }

            unsafe fn write_entry(&self, addr: u64, entry: $word) -> Option<$upstream::Void> {
                self.set_entry(addr, entry.to_le_bytes());
                None
            }

            unsafe fn update_root(&self, impossible: $upstream::Void) {
                match impossible {}
            }
        }
    };
}

table_ops!(amd64, 8, u64);
table_ops!(i686, 4, u32);
