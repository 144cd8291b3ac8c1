//! The iterator over an image's ranges, whatever keeps them.

use crate::image::{Held, MemoryRange};

/// Ranges of guest memory whose number is known.
#[derive(Clone)]
pub(crate) struct Ranges<I> {
    ranges: I,
    left: usize,
}

impl<I: Iterator<Item = MemoryRange>> Iterator for Ranges<I> {
    type Item = MemoryRange;

    fn next(&mut self) -> Option<MemoryRange> {
        let range = self.ranges.next()?;
        self.left = self.left.saturating_sub(1);
        Some(range)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator<Item = MemoryRange>> ExactSizeIterator for Ranges<I> {}

impl Held {
    /// The guest's memory, in ascending order.
    pub(crate) fn ranges(&self) -> Ranges<impl Iterator<Item = MemoryRange> + Clone> {
        let (plain, pages) = match self {
            Self::Plain(layout) => (layout.pieces(), None),
            Self::Pages(pages) => (&[][..], Some(pages)),
        };
        let plain_ranges =
            plain.iter().map(|piece| MemoryRange { start: piece.start, len: piece.len, held: piece.held });
        let left = plain.len() + pages.map_or(0, |pages| pages.range_count());
        Ranges { ranges: plain_ranges.chain(pages.into_iter().flat_map(|pages| pages.ranges())), left }
    }
}
