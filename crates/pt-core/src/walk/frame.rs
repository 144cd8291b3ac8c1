//! One open table: its bytes, lent or copied, and the place in it.

use crate::scan::Entries;
use crate::{Entry, Format, Geometry, Leaf, Leaves, Level, Link, Memory, Space, TableBuffer, Unreadable};

/// A table that a link points to, not yet read.
#[derive(Clone, Copy)]
pub(super) struct Target<R> {
    pub(super) level: Level,
    pub(super) link: Link,
    pub(super) address: u64,
    /// What the table's first entry maps, without sign extension.
    pub(super) va: u64,
    pub(super) rights: R,
}

/// One open table.
pub(super) struct Frame<'m, B, R> {
    lent: Option<&'m [u8]>,
    buffer: B,
    /// How many bytes of the table were read: its entries in range.
    len: usize,
    /// The index in the table of the first of them.
    first: usize,
    /// The next of them to look at, counted from `first`.
    pub(super) next: usize,
    address: u64,
    /// What the table's first entry maps, without sign extension.
    va: u64,
    pub(super) rights: R,
}

impl<'m, B: TableBuffer, R: Copy> Frame<'m, B, R> {
    pub(super) fn empty(rights: R) -> Self {
        Self { lent: None, buffer: B::empty(), len: 0, first: 0, next: 0, address: 0, va: 0, rights }
    }

    /// Reads the entries `first..=last` of a table.
    pub(super) fn read<F: Format, M: Memory<Buffer = B> + ?Sized>(
        &mut self,
        memory: &'m M,
        table: &Target<R>,
        first: usize,
        last: usize,
    ) -> Result<(), Unreadable> {
        (self.address, self.va, self.rights) = (table.address, table.va, table.rights);
        (self.first, self.next, self.len) = (first, 0, (last - first + 1) * F::ENTRY_BYTES);
        let address =
            table.address.checked_add((first * F::ENTRY_BYTES) as u64).ok_or(Unreadable::Outside)?;
        self.lent = memory.lend(address, self.len);
        if self.lent.is_some() {
            return Ok(());
        }
        if let Some(room) = self.buffer.room(self.len) {
            return memory.read(address, room);
        }
        // A memory that lends all it has: it is not there. Why, reading it piece by piece will tell.
        let mut piece = [0; 4];
        let mut pieces = (0..self.len as u64).step_by(piece.len());
        let why = pieces.find_map(|offset| memory.read(address.checked_add(offset)?, &mut piece).err());
        Err(why.unwrap_or(Unreadable::Failed))
    }

    #[inline(always)]
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries(self.lent.unwrap_or_else(|| self.buffer.filled(self.len)))
    }

    /// The virtual address of the entry at `at`, counted from the first that was read, without sign extension.
    #[inline(always)]
    pub(super) fn va<F: Format>(&self, level: Level, at: usize) -> u64 {
        self.va + ((self.first + at) as u64 * F::entry_span(level))
    }

    /// The physical address of the entry at `at`, counted from the first that was read.
    #[inline(always)]
    pub(super) fn entry<F: Format>(&self, at: usize) -> u64 {
        self.address.wrapping_add(((self.first + at) * F::ENTRY_BYTES) as u64)
    }

    /// The leaf that comes next, or the run that starts there; none where something else comes next.
    #[inline(always)]
    pub(super) fn next_leaf<F: Format<Rights = R>>(
        &mut self,
        format: &F,
        place: (Space, Level),
        leaves: Leaves,
    ) -> Option<Leaf<R>> {
        let mut cursor = self.cursor();
        let leaf = cursor.next_leaf(format, place, leaves);
        self.next = cursor.next;
        leaf
    }

    #[inline(always)]
    pub(super) fn cursor(&self) -> Cursor<'_, B, R> {
        Cursor { frame: self, entries: self.entries(), next: self.next }
    }
}

/// A place in an open table: small, so that a loop holds it in registers.
pub(super) struct Cursor<'f, B, R> {
    frame: &'f Frame<'f, B, R>,
    entries: Entries<'f>,
    pub(super) next: usize,
}

impl<B: TableBuffer, R: Copy> Cursor<'_, B, R> {
    /// As [`Frame::next_leaf`].
    #[inline(always)]
    pub(super) fn next_leaf<F: Format<Rights = R>>(
        &mut self,
        format: &F,
        (space, level): (Space, Level),
        leaves: Leaves,
    ) -> Option<Leaf<R>> {
        let at = self.entries.next_used::<F>(self.next);
        self.next = at;
        let raw = self.entries.raw::<F>(at);
        let Entry::Leaf(pa) = format.decode(level, raw) else { return None };
        let pages = match leaves {
            Leaves::Each => 1,
            Leaves::Runs => self.entries.run(format, level, at, pa, 0),
            Leaves::RunsIgnoringAccessedDirty => self.entries.run(format, level, at, pa, F::ACCESSED_DIRTY),
        };
        self.next = at + pages;
        let frame = self.frame;
        let rights = format.restrict(frame.rights, level, raw);
        let (va, entry) = (F::canonical(frame.va::<F>(level, at)), frame.entry::<F>(at));
        Some(Leaf { space, level, va, pa, pages: pages as u32, raw, entry, rights })
    }
}

/// The size in bytes of the largest table of a format.
pub(super) const fn largest_table<F: Format>() -> usize {
    let (mut level, mut largest) = (0, 0);
    while level < F::LEVELS as usize {
        let bytes = F::ENTRY_BYTES << F::INDEX_BITS[level];
        largest = if bytes > largest { bytes } else { largest };
        level += 1;
    }
    largest
}
