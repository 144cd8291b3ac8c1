//! Tables to be written: as upstream's own `map` builds them, and ours.
#![allow(unsafe_code)]

use std::cell::Cell;

use hyperlight::vmem as amd64;
use hyperlight_i686::vmem as i686;
use pt_core::raw as ours;

use crate::PhysicalMemory;
use crate::memory::PAGE;

impl PhysicalMemory {
    /// Maps in the space under `root` with upstream's 0.18. New tables are pages that nothing uses.
    ///
    /// # Panics
    ///
    /// When the memory is full, and where upstream panics.
    pub fn map_amd64(&mut self, root: u64, mapping: amd64::Mapping) {
        // SAFETY: every access is checked against the memory, which the builder has borrowed exclusively.
        unsafe { amd64::map(&self.amd64_mut(root), mapping) }
    }

    /// Maps in the space under `root` with upstream's 0.15. New tables are pages that nothing uses.
    ///
    /// # Panics
    ///
    /// When the memory is full, and where upstream panics.
    pub fn map_i686(&mut self, root: u64, mapping: i686::Mapping) {
        // SAFETY: every access is checked against the memory, which the builder has borrowed exclusively.
        unsafe { i686::map(&self.i686_mut(root), mapping) }
    }

    /// The space under `root`, to be written with 8-byte entries by our `map` and upstream's 0.18.
    pub fn amd64_mut(&mut self, root: u64) -> Builder<'_, 8> {
        Builder::new(self, root)
    }

    /// The space under `root`, to be written with 4-byte entries by our `map` and upstream's 0.15.
    pub fn i686_mut(&mut self, root: u64) -> Builder<'_, 4> {
        Builder::new(self, root)
    }
}

/// A space that is being written, entries `WIDTH` bytes wide. New tables are pages that nothing uses; reads and writes
/// are checked against the memory, which it has to itself.
#[derive(Debug)]
pub struct Builder<'m, const WIDTH: usize> {
    bytes: &'m [Cell<u8>],
    /// Where the last entry starts.
    last: usize,
    free: &'m Cell<usize>,
    root: u64,
}

impl<'m, const WIDTH: usize> Builder<'m, WIDTH> {
    fn new(memory: &'m mut PhysicalMemory, root: u64) -> Self {
        let (bytes, free) = memory.bytes_and_free_mut();
        let bytes = Cell::from_mut(bytes).as_slice_of_cells();
        Self { bytes, last: bytes.len() - WIDTH, free: Cell::from_mut(free), root }
    }

    /// Where an entry is: one comparison per access, which is what checked tables cost at least.
    #[inline(always)]
    fn place(&self, at: u64) -> *mut [u8; WIDTH] {
        let at = at as usize;
        assert!(at <= self.last, "entries are in memory");
        self.bytes.as_ptr().wrapping_add(at).cast_mut().cast()
    }

    #[inline(always)]
    fn entry(&self, at: u64) -> [u8; WIDTH] {
        // SAFETY: `place` looks whether these cells are in the slice, into which nobody else has a reference.
        unsafe { self.place(at).read() }
    }

    #[inline(always)]
    fn set_entry(&self, at: u64, entry: [u8; WIDTH]) {
        // SAFETY: as above, and cells can be written.
        unsafe { self.place(at).write(entry) }
    }

    #[inline(always)]
    fn allocate(&self) -> Option<u64> {
        let at = self.free.get() * PAGE;
        let table = self.bytes.get(at..at + PAGE)?;
        let first: *mut u8 = table.as_ptr().cast_mut().cast();
        // SAFETY: `table` are the page's cells, into which nobody else has a reference, and cells can be written.
        unsafe { first.write_bytes(0, PAGE) };
        self.free.set(self.free.get() + 1);
        Some(at as u64)
    }
}

/// Both traits of one side, which differ in the widths of entries and addresses, and in whether allocation can fail.
macro_rules! table_ops {
    (
        $width:literal, $word:ty, $side:ident: $entry:ty, $address:ty,
        |$allocated:ident| -> $table:ty { $give:expr }, fn update_root($($root:ident: $of:ty)?)
    ) => {
        impl $side::TableReadOps for Builder<'_, $width> {
            type TableAddr = u64;

            #[inline(always)]
            fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
                addr + entry_offset
            }

            #[inline(always)]
            #[allow(clippy::useless_conversion)]
            unsafe fn read_entry(&self, addr: u64) -> $entry {
                <$word>::from_le_bytes(self.entry(addr)).into()
            }

            #[inline(always)]
            fn to_phys(addr: u64) -> $address {
                addr as $address
            }

            #[inline(always)]
            #[allow(clippy::useless_conversion)]
            fn from_phys(addr: $address) -> u64 {
                addr.into()
            }

            #[inline(always)]
            fn root_table(&self) -> u64 {
                self.root
            }
        }

        impl $side::TableOps for Builder<'_, $width> {
            type TableMovability = $side::MayNotMoveTable;

            #[inline(always)]
            unsafe fn alloc_table(&self) -> $table {
                let $allocated = self.allocate();
                $give
            }

            #[inline(always)]
            unsafe fn write_entry(&self, addr: u64, entry: $entry) -> Option<$side::Void> {
                self.set_entry(addr, (entry as $word).to_le_bytes());
                None
            }

            unsafe fn update_root(&self, $($root: $of,)? impossible: $side::Void) {
                match impossible {}
            }
        }
    };
}

table_ops!(8, u64, ours: u64, u64, |table| -> Option<u64> { table }, fn update_root(_old: u64));
table_ops!(4, u32, ours: u64, u64, |table| -> Option<u64> { table }, fn update_root(_old: u64));
table_ops!(8, u64, amd64: u64, u64, |table| -> u64 { table.expect("memory is enough") }, fn update_root());
table_ops!(4, u32, i686: u32, u32, |table| -> u64 { table.expect("memory is enough") }, fn update_root());
