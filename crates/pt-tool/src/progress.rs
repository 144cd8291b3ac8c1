//! How far a long scan of memory is, for a person who waits: on standard error, and only if that is a terminal.

use std::ops::RangeInclusive;

use indicatif::{ProgressBar, ProgressStyle};
use pt_core::{Memory, Unreadable};

/// Memory is counted off in pieces of this size.
const PIECE: u64 = 64 << 20;

/// A bar that goes from nothing to all of some memory, and goes away.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over that memory; none where it is small.
    pub(crate) fn over(memory: &[RangeInclusive<u64>]) -> Self {
        Self::bytes(memory.iter().map(|range| range.end() - range.start() + 1).sum())
    }

    /// A bar over so many bytes; none where they are few.
    pub(crate) fn bytes(bytes: u64) -> Self {
        let bar = if bytes > 8 * PIECE { ProgressBar::new(bytes) } else { ProgressBar::hidden() };
        // The template is a constant; were it refused, the default style would do.
        let style =
            ProgressStyle::with_template("{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left");
        Self { bar: style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style)) }
    }

    /// The same ranges in pieces, each counted as it is taken.
    pub(crate) fn of(
        &self,
        ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
    ) -> impl Iterator<Item = RangeInclusive<u64>> {
        ranges.into_iter().flat_map(pieces).inspect(|piece| self.bar.inc(piece.end() - piece.start() + 1))
    }

    /// Counts bytes off.
    pub(crate) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// The same memory, each piece that is read counted. Entries of tables are not.
    pub(crate) fn watch<'a, M: ?Sized>(&'a self, memory: &'a M) -> Watched<'a, M> {
        Watched { memory, progress: self }
    }
}

/// Memory whose reads show how far something is.
#[derive(Debug)]
pub(crate) struct Watched<'a, M: ?Sized> {
    memory: &'a M,
    progress: &'a Progress,
}

impl<M: Memory + ?Sized> Memory for Watched<'_, M> {
    type Buffer = M::Buffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.progress.add(into.len() as u64);
        self.memory.read(address, into)
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.memory.lend(address, len).inspect(|lent| self.progress.add(lent.len() as u64))
    }

    fn read_entry(&self, address: u64, width: usize) -> Result<u64, Unreadable> {
        self.memory.read_entry(address, width)
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        self.memory.next_readable(address)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A range cut at multiples of [`PIECE`].
fn pieces(range: RangeInclusive<u64>) -> impl Iterator<Item = RangeInclusive<u64>> {
    let (first, last) = range.into_inner();
    let mut next = Some(first).filter(|&first| first <= last);
    std::iter::from_fn(move || {
        let start = next?;
        let end = (start | (PIECE - 1)).min(last);
        next = end.checked_add(1).filter(|&start| start <= last);
        Some(start..=end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_range() {
        let of = |range| pieces(range).collect::<Vec<_>>();
        assert_eq!(of(5..=5), [5..=5]);
        assert_eq!(
            of(PIECE - 1..=2 * PIECE),
            [PIECE - 1..=PIECE - 1, PIECE..=2 * PIECE - 1, 2 * PIECE..=2 * PIECE]
        );
        assert_eq!(of(u64::MAX..=u64::MAX), [u64::MAX..=u64::MAX]);
        assert!(of(RangeInclusive::new(1, 0)).is_empty());
    }
}
