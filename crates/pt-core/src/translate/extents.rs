//! A range of addresses, extent by extent.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::RangeInclusive;

use super::path::{Followed, Path, Table};
use crate::{Cause, Format, Geometry, Level, Memory, TranslateError, Translation};

/// What one entry makes of a part of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent<R> {
    /// The first virtual address.
    pub va: u64,
    /// How many bytes from there: never past the entry's span or the range's end.
    pub len: u64,
    /// Where `va` leads, and the bytes after it with it, or why they all lead nowhere.
    pub to: Result<Translation<R>, TranslateError>,
}

/// Translates a range, lazily: one [`Extent`] per entry that decides about a part of it, in ascending order. Addresses
/// that the format does not have are left out.
///
/// It keeps the path that it is on, so that neighbouring pages cost one read each, and skips what an absent entry of a
/// higher level leaves out. `fold`, and what the standard library builds on it, is quicker than `next`.
///
/// ```
/// # use pt_core::{Extents, Format, Memory};
/// fn mapped_bytes<F: Format, M: Memory>(format: F, memory: &M, root: u64) -> u64 {
///     let all = Extents::new(format, memory, root, 0..=u64::MAX);
///     all.filter(|extent| extent.to.is_ok()).map(|extent| extent.len).sum()
/// }
/// ```
pub struct Extents<F: Format, M> {
    format: F,
    memory: M,
    /// Without sign extension; past `last` at the end.
    next: u64,
    last: u64,
    path: Path<F::Rights>,
}

impl<F: Format, M> fmt::Debug for Extents<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extents").field("next", &self.next).field("last", &self.last).finish_non_exhaustive()
    }
}

impl<F: Format, M: Memory> Extents<F, M> {
    /// The extents of `range`, both ends included, in the space under `root` (as the register holds it).
    #[inline]
    pub fn new(format: F, memory: M, root: u64, range: RangeInclusive<u64>) -> Self {
        let path = Path::new(&format, root);
        let (next, last) = F::clip(&range).unwrap_or((1, 0));
        Self { format, memory, next, last, path }
    }

    /// What the entry at `next` says of a page table that the path ends in; none where it cannot be read.
    #[inline(always)]
    fn of_page_table(&self, table: &Table<F::Rights>, next: u64) -> Option<Extent<F::Rights>> {
        let va = F::canonical(next);
        let to = match table.follow(&self.format, &self.memory, Level::LEAF, va, &mut |_| ()) {
            Ok(Followed::Leaf(translation)) => Ok(translation),
            Err(TranslateError::Fault(Cause::Unreadable { .. })) | Ok(Followed::Table(..)) => return None,
            Err(error) => Err(error),
        };
        let last = self.last.min(next | (F::entry_span(Level::LEAF) - 1));
        Some(Extent { va, len: last - next + 1, to })
    }

    /// The next page of the page table that the path ends in, entries that are none left out; none at its end or the
    /// range's.
    #[inline(always)]
    pub(crate) fn next_page(&mut self) -> Option<Translation<F::Rights>> {
        while self.path.lowest() == Level::LEAF && self.next <= self.last {
            let Extent { len, to, .. } = self.of_page_table(&self.path.at(Level::LEAF), self.next)?;
            self.next += len;
            self.leave(self.next);
            if let Ok(page) = to {
                return Some(page);
            }
        }
        None
    }

    /// Gives out what a page table says that the path ends in, up to its end or the range's, or until it cannot be read.
    #[inline(always)]
    fn fold_page_table<A>(&mut self, init: A, give: &mut impl FnMut(A, Extent<F::Rights>) -> A) -> A {
        let (table, mut next, mut given) = (self.path.at(Level::LEAF), self.next, init);
        let end = self.last.min(next | F::table_span_last(Level::LEAF));
        while next <= end
            && let Some(extent) = self.of_page_table(&table, next)
        {
            next += extent.len;
            given = give(given, extent);
        }
        self.next = next;
        self.leave(next);
        given
    }

    /// Forgets the tables that have nothing to say of `next`, which follows what they ended with.
    #[inline(always)]
    fn leave(&mut self, next: u64) {
        while self.path.lowest() != F::ROOT && next & F::table_span_last(self.path.lowest()) == 0 {
            self.path.climb::<F>();
        }
    }

    /// What comes next, wherever the path ends.
    #[inline(never)]
    pub(crate) fn descend(&mut self, into: &mut Option<Extent<F::Rights>>) {
        if self.next > self.last {
            return;
        }
        let first = self.next;
        let va = F::canonical(first);
        let to = self.path.descend(&self.format, &self.memory, va);
        if let Err(TranslateError::Fault(Cause::Unreadable { .. })) = to {
            // All of the unreadable table's span is lost, not only this entry's.
            self.path.climb::<F>();
        }
        let last = self.last.min(first | (F::entry_span(self.path.lowest()) - 1));
        self.next = last + 1;
        self.leave(self.next);
        *into = Some(Extent { va, len: last - first + 1, to });
    }
}

impl<F: Format, M: Memory> Iterator for Extents<F, M> {
    type Item = Extent<F::Rights>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.path.lowest() == Level::LEAF
            && self.next <= self.last
            && let Some(extent) = self.of_page_table(&self.path.at(Level::LEAF), self.next)
        {
            self.next += extent.len;
            self.leave(self.next);
            return Some(extent);
        }
        let mut other = None;
        self.descend(&mut other);
        other
    }

    fn fold<A, G: FnMut(A, Self::Item) -> A>(mut self, init: A, mut give: G) -> A {
        let mut given = init;
        loop {
            if self.path.lowest() == Level::LEAF {
                given = self.fold_page_table(given, &mut give);
            }
            let mut other = None;
            self.descend(&mut other);
            let Some(extent) = other else { return given };
            given = give(given, extent);
        }
    }
}

impl<F: Format, M: Memory> FusedIterator for Extents<F, M> {}
