//! Memory page by page: the only reads of a search but for single entries.

use core::ops::RangeInclusive;

use pt_core::{Format, Memory, TableBuffer};

/// The bytes of a page, and of every table that fills one.
pub(super) const PAGE: u64 = 4096;

/// The addresses of the pages that lie in `range` as a whole.
pub(super) fn pages(range: &RangeInclusive<u64>) -> impl Iterator<Item = u64> + use<> {
    let first = range.start().checked_next_multiple_of(PAGE);
    let end = *range.end() & !(PAGE - 1);
    // Only a range that ends with a page has all of its last one.
    let last = if *range.end() % PAGE == PAGE - 1 { Some(end) } else { end.checked_sub(PAGE) };
    let all = first.zip(last).filter(|_| !range.is_empty()).map(|(first, last)| first..=last);
    all.into_iter().flat_map(|all| all.step_by(PAGE as usize))
}

/// Whether a page is what most of a sparse memory is.
pub(super) fn is_zero(page: &[u8]) -> bool {
    page == [0; PAGE as usize]
}

/// A memory, and room for one read of it.
pub(super) struct Reader<'m, M: Memory + ?Sized> {
    memory: &'m M,
    buffer: M::Buffer,
}

impl<'m, M: Memory + ?Sized> Reader<'m, M> {
    pub(super) fn new(memory: &'m M) -> Self {
        Self { memory, buffer: M::Buffer::empty() }
    }

    pub(super) const fn memory(&self) -> &'m M {
        self.memory
    }

    /// `len` bytes at `address`, at most a page; none where they cannot be read.
    #[inline]
    pub(super) fn bytes(&mut self, address: u64, len: usize) -> Option<&[u8]> {
        if let Some(lent) = self.memory.lend(address, len) {
            return Some(lent);
        }
        self.memory.read(address, self.buffer.room(len)?).ok()?;
        Some(self.buffer.filled(len))
    }

    /// The page at `address`.
    #[inline]
    pub(super) fn page(&mut self, address: u64) -> Option<&[u8]> {
        self.bytes(address, PAGE as usize)
    }
}

/// The entry of that index; 0 past the end.
#[inline(always)]
pub(super) fn entry<F: Format>(table: &[u8], index: usize) -> u64 {
    let at = index * F::ENTRY_BYTES;
    let bytes = table.get(at..at + F::ENTRY_BYTES).unwrap_or_default();
    match F::ENTRY_BYTES {
        4 => bytes.try_into().map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes))),
        _ => bytes.try_into().map_or(0, u64::from_le_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn only_whole_pages_are_looked_at() {
        let of = |range| pages(&range).collect::<Vec<_>>();
        assert_eq!(of(0..=0x1fff), [0, 0x1000]);
        assert_eq!(of(0..=0xffe), []);
        assert_eq!(of(1..=0x2ffe), [0x1000]);
        assert_eq!(of(u64::MAX - 0xfff..=u64::MAX), [u64::MAX - 0xfff]);
        assert_eq!(of(u64::MAX - 0xffe..=u64::MAX), []);
        let (start, end) = (0x5000, 0x4fff);
        assert_eq!(of(start..=end), []);
    }
}
