//! Tables in one stretch of pages: a physical address is an offset.
#![allow(unsafe_code)]

use std::slice;

use pt_core::raw::TableReadOps;

/// The size of a page, and of every table.
pub(crate) const PAGE: usize = 4096;

/// One page, aligned as peers that read through pointers want their tables.
#[derive(Clone, Debug)]
#[repr(C, align(4096))]
pub(crate) struct Frame([u64; PAGE / 8]);

impl Frame {
    const ZERO: Self = Self([0; PAGE / 8]);
}

/// Physical memory from address 0 on. What lies behind its end reads as zero.
#[derive(Clone, Debug, Default)]
pub struct PhysicalMemory {
    frames: Vec<Frame>,
    /// The first page that was not given out.
    free: usize,
}

impl PhysicalMemory {
    /// So many pages of zeros.
    pub fn new(pages: usize) -> Self {
        Self { frames: vec![Frame::ZERO; pages], free: 0 }
    }

    /// The pages, and the number of the first that was not given out.
    pub(crate) fn frames_and_free_mut(&mut self) -> (&mut [Frame], &mut usize) {
        (&mut self.frames, &mut self.free)
    }

    /// The pages as bytes, and the number of the first that was not given out.
    pub(crate) fn bytes_and_free_mut(&mut self) -> (&mut [u8], &mut usize) {
        let len = self.frames.len() * PAGE;
        // SAFETY: frames are whole pages without padding, any bytes are a frame, and the borrow is exclusive.
        let bytes = unsafe { slice::from_raw_parts_mut(self.frames.as_mut_ptr().cast(), len) };
        (bytes, &mut self.free)
    }

    /// The pages as 8-byte entries, and the number of the first that was not given out.
    pub(crate) fn tables_and_free_mut(&mut self) -> (&mut [[u64; PAGE / 8]], &mut usize) {
        let len = self.frames.len();
        // SAFETY: a frame is such an array with another alignment, and the borrow is exclusive.
        let tables = unsafe { slice::from_raw_parts_mut(self.frames.as_mut_ptr().cast(), len) };
        (tables, &mut self.free)
    }

    /// Forgets what was given out from that page on. Its bytes stay.
    pub fn free_from(&mut self, page: usize) {
        self.free = page;
    }

    /// Fills the page at that address with zeros.
    ///
    /// # Panics
    ///
    /// When there is no such page.
    pub fn clear(&mut self, page: u64) {
        self.frames[page as usize / PAGE] = Frame::ZERO;
    }

    /// The address of a page that nothing uses.
    ///
    /// # Panics
    ///
    /// When there is none left.
    pub fn allocate(&mut self) -> u64 {
        assert!(self.free < self.frames.len(), "all pages are given out");
        self.free += 1;
        ((self.free - 1) * PAGE) as u64
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: frames are whole pages without padding, borrowed as long as the slice.
        unsafe { slice::from_raw_parts(self.frames.as_ptr().cast(), self.frames.len() * PAGE) }
    }

    /// All of it, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes_and_free_mut().0
    }

    /// Writes the entry at `index` of an amd64 table.
    ///
    /// # Panics
    ///
    /// When the memory does not reach that far.
    pub fn set_amd64(&mut self, table: u64, index: usize, entry: u64) {
        let at = table as usize + index * 8;
        self.bytes_mut()[at..at + 8].copy_from_slice(&entry.to_le_bytes());
    }

    /// Writes the entry at `index` of an i686 table.
    ///
    /// # Panics
    ///
    /// When the memory does not reach that far.
    pub fn set_i686(&mut self, table: u64, index: usize, entry: u32) {
        let at = table as usize + index * 4;
        self.bytes_mut()[at..at + 4].copy_from_slice(&entry.to_le_bytes());
    }

    /// The space under `root`, read with 8-byte entries.
    pub fn amd64(&self, root: u64) -> Amd64Tables<'_> {
        Tables { bytes: self.bytes(), root }
    }

    /// The space under `root`, read with 4-byte entries.
    pub fn i686(&self, root: u64) -> I686Tables<'_> {
        Tables { bytes: self.bytes(), root }
    }
}

/// A space in a [`PhysicalMemory`], readable by every walker with entries of `WIDTH` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'m, const WIDTH: usize> {
    bytes: &'m [u8],
    root: u64,
}

/// A space of 8-byte entries: for our walker and upstream's 0.18.
pub type Amd64Tables<'m> = Tables<'m, 8>;

/// A space of 4-byte entries: for our walker and upstream's 0.15.
pub type I686Tables<'m> = Tables<'m, 4>;

impl<const WIDTH: usize> Tables<'_, WIDTH> {
    #[inline(always)]
    fn entry(&self, at: u64) -> [u8; WIDTH] {
        self.bytes.get(at as usize..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; WIDTH])
    }
}

impl<const WIDTH: usize> AsRef<Self> for Tables<'_, WIDTH> {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The body of all three traits' implementations, which differ in the widths of entries and addresses only.
macro_rules! read_ops {
    ($($path:ident)::+, $width:literal, $word:ty => $entry:ty, $address:ty) => {
        impl $($path)::+ for Tables<'_, $width> {
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
    };
}

read_ops!(TableReadOps, 8, u64 => u64, u64);
read_ops!(TableReadOps, 4, u32 => u64, u64);
read_ops!(hyperlight::vmem::TableReadOps, 8, u64 => u64, u64);
read_ops!(hyperlight_i686::vmem::TableReadOps, 4, u32 => u32, u32);
