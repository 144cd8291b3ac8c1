//! Free physical memory: for frames and tables alike.

use alloc::collections::BTreeMap;
use core::ops::RangeInclusive;

use pt_core::{TableAllocator, TableRequest};

/// Physical memory that is free, given out from the lowest address on.
///
/// ```
/// use pt_rebuild::Arena;
///
/// let mut arena = Arena::new([0x1000..=0x7fff]);
/// arena.reserve(&(0x3000..=0x3fff));
/// assert_eq!(arena.take(0x2000, 0x1000, u64::MAX), Some(0x1000));
/// assert_eq!(arena.take(0x2000, 0x2000, u64::MAX), Some(0x4000));
/// assert_eq!(arena.take(0x20, 0x20, u64::MAX), Some(0x6000));
/// assert_eq!(arena.take(0x1000, 0x1000, u64::MAX), Some(0x7000));
/// assert_eq!(arena.take(0x1000, 0x1000, u64::MAX), None);
/// ```
#[derive(Clone, Debug)]
pub struct Arena {
    /// First address to last address.
    free: BTreeMap<u64, u64>,
    /// Per logarithm of a size: no block of that size and alignment is free below this address.
    none_below: [u64; 64],
}

/// Nothing is free.
impl Default for Arena {
    fn default() -> Self {
        Self { free: BTreeMap::new(), none_below: [0; 64] }
    }
}

impl Arena {
    /// Memory that consists of these ranges.
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u64>>) -> Self {
        let mut arena = Self::default();
        ranges.into_iter().for_each(|range| arena.release(&range));
        arena
    }

    /// Takes a range out: it is not free.
    pub fn reserve(&mut self, range: &RangeInclusive<u64>) {
        let (first, last) = (*range.start(), *range.end());
        if first > last {
            return;
        }
        while let Some((&start, &end)) =
            self.free.range(..=last).next_back().filter(|(_, end)| **end >= first)
        {
            self.free.remove(&start);
            if end > last {
                self.free.insert(last + 1, end);
            }
            if start < first {
                self.free.insert(start, first - 1);
            }
        }
    }

    /// Gives a range back, or adds it.
    pub fn release(&mut self, range: &RangeInclusive<u64>) {
        let (mut first, mut last) = (*range.start(), *range.end());
        if first > last {
            return;
        }
        // What overlaps it or lies next to it becomes one with it.
        while let Some((&start, &end)) = self
            .free
            .range(..=last.saturating_add(1))
            .next_back()
            .filter(|(_, end)| end.saturating_add(1) >= first)
        {
            self.free.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.free.insert(first, last);
        self.none_below = [0; 64];
    }

    /// The lowest free address for so many bytes, at a multiple of `alignment` (a power of two), no byte of them above
    /// `highest`.
    pub fn take(&mut self, bytes: u64, alignment: u64, highest: u64) -> Option<u64> {
        let (mask, more) = (alignment.checked_sub(1)?, bytes.checked_sub(1)?);
        // Whatever is at least as long as it is aligned starts with a block of that size and alignment.
        let class = alignment.ilog2() as usize;
        let from = if bytes >= alignment { self.none_below[class] } else { 0 };
        let start = self.free.range(..=from).next_back().map_or(from, |(&start, _)| start);
        let fits = |(&first, &last): (&u64, &u64)| {
            let at = first.checked_add(mask)? & !mask;
            (at.checked_add(more)? <= last).then_some(at)
        };
        let at = self.free.range(start..).find_map(fits).filter(|at| at + more <= highest)?;
        if bytes == alignment {
            self.none_below[class..].iter_mut().for_each(|below| *below = at.max(*below));
        }
        self.reserve(&(at..=at + more));
        Some(at)
    }
}

impl TableAllocator for Arena {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        self.take(request.bytes, request.alignment, request.highest)
    }

    fn release(&mut self, table: u64, request: &TableRequest) {
        if let Some(last) = request.bytes.checked_sub(1).and_then(|more| table.checked_add(more)) {
            self.release(&(table..=last));
        }
    }
}
