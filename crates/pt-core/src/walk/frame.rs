//! One open table: its bytes, lent or copied, and the place in it.

use crate::scan::{Entries, is_behind};
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
    /// The next of them to look at, counted from the first that was read.
    pub(super) next: usize,
    /// The physical address of the first of them.
    first: u64,
    /// What it maps, without sign extension.
    va: u64,
    pub(super) rights: R,
}

impl<'m, B: TableBuffer, R: Copy> Frame<'m, B, R> {
    pub(super) fn empty(rights: R) -> Self {
        Self { lent: None, buffer: B::empty(), len: 0, next: 0, first: 0, va: 0, rights }
    }

    /// Reads the entries `first..=last` of a table.
    pub(super) fn read<F: Format, M: Memory<Buffer = B> + ?Sized>(
        &mut self,
        memory: &'m M,
        table: &Target<R>,
        first: usize,
        last: usize,
    ) -> Result<(), Unreadable> {
        self.len = (last - first + 1) * F::ENTRY_BYTES;
        self.next = 0;
        self.first = table.address.checked_add((first * F::ENTRY_BYTES) as u64).ok_or(Unreadable::Outside)?;
        self.va = table.va + first as u64 * F::entry_span(table.level);
        self.rights = table.rights;
        self.lent = memory.lend(self.first, self.len);
        if self.lent.is_some() {
            return Ok(());
        }
        if let Some(room) = self.buffer.room(self.len) {
            return memory.read(self.first, room);
        }
        // A memory that lends all it has: it is not there. Why, reading it piece by piece will tell.
        let mut piece = [0; 4];
        let mut pieces = (0..self.len as u64).step_by(piece.len());
        let why = pieces.find_map(|offset| memory.read(self.first.checked_add(offset)?, &mut piece).err());
        Err(why.unwrap_or(Unreadable::Failed))
    }

    #[inline(always)]
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries(self.lent.unwrap_or_else(|| self.buffer.filled(self.len)))
    }

    /// The virtual address of the entry at `at`, counted from the first that was read, without sign extension.
    #[inline(always)]
    pub(super) fn va<F: Format>(&self, level: Level, at: usize) -> u64 {
        self.va + at as u64 * F::entry_span(level)
    }

    /// The physical address of the entry at `at`, counted from the first that was read.
    #[inline(always)]
    pub(super) fn entry<F: Format>(&self, at: usize) -> u64 {
        self.first.wrapping_add((at * F::ENTRY_BYTES) as u64)
    }

    /// The leaf that comes next, or the run that starts there; none where something else comes next.
    ///
    /// What is seldom needed is called, so that this itself is short.
    #[inline(always)]
    pub(super) fn next_leaf<F: Format<Rights = R>>(
        &mut self,
        format: &F,
        (space, level): (Space, Level),
        leaves: Leaves,
    ) -> Option<Leaf<R>> {
        let (mut at, mut raw) = (self.next, self.entries().raw::<F>(self.next));
        if raw == 0 {
            (at, raw) = self.entries().next_used_called::<F>(at);
            self.next = at;
        }
        let Entry::Leaf(pa) = format.decode(level, raw) else { return None };
        let pages = match leaves.ignored::<F>() {
            None => 1,
            Some(ignored) => self.entries().run_called(format, level, at, pa, ignored),
        };
        self.next = at + pages;
        Some(self.leaf(format, (space, level), at, raw, pa, pages))
    }

    /// Gives out the leaves that follow one another without a hole, `room` of them at most, and says for how many more
    /// there is room; run by run if `ignored` says what may differ within one.
    ///
    /// Pages that stay alone have a loop of their own, which calls nothing.
    ///
    /// Tried for scattered runs (44 instructions each), and slower: carrying the next entry along instead of loading it
    /// again (49), finding out for 8 entries at a time that none follows (87), [`fold_used`](Self::fold_used) from the
    /// start (53).
    #[inline(always)]
    pub(super) fn fold_leaves<F: Format<Rights = R>, A>(
        &mut self,
        format: &F,
        (space, level): (Space, Level),
        ignored: Option<u64>,
        mut room: u64,
        init: A,
        mut give: impl FnMut(A, Leaf<R>) -> A,
    ) -> (A, u64) {
        let (entries, mut at, mut given) = (self.entries(), self.next, init);
        loop {
            // Each leaf is an entry: among so many entries there are not too many.
            let most = usize::try_from(room).unwrap_or(usize::MAX);
            let (first, end) = (at, entries.count::<F>().min(at.saturating_add(most)));
            let mut run = None;
            while at < end {
                let raw = entries.raw::<F>(at);
                let Entry::Leaf(pa) = format.decode(level, raw) else { break };
                if let Some(ignored) = ignored
                    && is_behind(format, level, pa, entries.raw::<F>(at + 1))
                {
                    run = Some((raw, pa, ignored));
                    break;
                }
                given = give(given, self.leaf(format, (space, level), at, raw, pa, 1));
                at += 1;
            }
            room -= (at - first) as u64;
            let Some((raw, pa, ignored)) = run else { break };
            let pages = entries.run(format, level, at, pa, ignored);
            given = give(given, self.leaf(format, (space, level), at, raw, pa, pages));
            at += pages;
            room -= 1;
        }
        self.next = at;
        (given, room)
    }

    /// As [`fold_leaves`](Self::fold_leaves), over holes, to the end of the table or what is no leaf.
    ///
    /// Which entries are used is found out for 64 of them at a time, without a branch for each: where holes follow no
    /// rule, each branch is guessed wrong once a leaf.
    #[inline(always)]
    pub(super) fn fold_used<F: Format<Rights = R>, A>(
        &mut self,
        format: &F,
        (space, level): (Space, Level),
        ignored: Option<u64>,
        mut room: u64,
        init: A,
        mut give: impl FnMut(A, Leaf<R>) -> A,
    ) -> (A, u64) {
        let entries = self.entries();
        let (mut first, mut given) = (self.next, init);
        // Above page tables that is what comes next nearly always.
        if let Entry::Table(_) = format.decode(level, entries.raw::<F>(first)) {
            return (given, room);
        }
        while first < entries.count::<F>() {
            let mut used = entries.used::<F>(first);
            let mut end = first + 64;
            loop {
                let mut run = None;
                while used != 0 {
                    let at = first + used.trailing_zeros() as usize;
                    let raw = entries.raw::<F>(at);
                    let (Entry::Leaf(pa), 1..) = (format.decode(level, raw), room) else {
                        self.next = at;
                        return (given, room);
                    };
                    room -= 1;
                    if let Some(ignored) = ignored
                        && is_behind(format, level, pa, entries.raw::<F>(at + 1))
                    {
                        run = Some((at, raw, pa, ignored));
                        break;
                    }
                    given = give(given, self.leaf(format, (space, level), at, raw, pa, 1));
                    used &= used - 1;
                }
                let Some((at, raw, pa, ignored)) = run else { break };
                let pages = entries.run(format, level, at, pa, ignored);
                given = give(given, self.leaf(format, (space, level), at, raw, pa, pages));
                let behind = at + pages - first;
                end = end.max(first + behind);
                used &= u64::MAX.checked_shl(behind as u32).unwrap_or(0);
            }
            first = end;
        }
        self.next = entries.count::<F>();
        (given, room)
    }

    /// Gives out the leaves of a page table that follow one another, `room` of them at most, stretch by stretch.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn fold_stretches<F: Format<Rights = R>, A>(
        &mut self,
        format: &F,
        space: Space,
        mut room: u64,
        init: A,
        mut give: impl FnMut(A, Stretch<'_, F>) -> A,
    ) -> (A, u64) {
        let (entries, mut at, mut given) = (self.entries(), self.next, init);
        loop {
            at = entries.next_used::<F>(at);
            let most = usize::try_from(room).unwrap_or(usize::MAX);
            let len = entries.leaves(format, Level::LEAF, at).min(most);
            if len == 0 {
                break;
            }
            let (va, entry) = (F::canonical(self.va::<F>(Level::LEAF, at)), self.entry::<F>(at));
            let entries = entries.part::<F>(at, len);
            given = give(given, Stretch { format, space, entries, va, entry, rights: self.rights });
            at += len;
            room -= len as u64;
        }
        self.next = at;
        (given, room)
    }

    #[inline(always)]
    fn leaf<F: Format<Rights = R>>(
        &self,
        format: &F,
        (space, level): (Space, Level),
        at: usize,
        raw: u64,
        pa: u64,
        pages: usize,
    ) -> Leaf<R> {
        let rights = format.restrict(self.rights, level, raw);
        let (va, entry) = (F::canonical(self.va::<F>(level, at)), self.entry::<F>(at));
        Leaf { space, level, va, pa, pages: pages as u32, raw, entry, rights }
    }
}

/// Leaves that follow one another in one page table without a gap.
#[cfg(feature = "alloc")]
pub(crate) struct Stretch<'t, F: Format> {
    format: &'t F,
    pub(crate) space: Space,
    entries: Entries<'t>,
    /// What the first of them maps.
    va: u64,
    /// Where the first of them is.
    entry: u64,
    /// The rights of the path down to the table.
    rights: F::Rights,
}

#[cfg(feature = "alloc")]
impl<F: Format> Stretch<'_, F> {
    /// Appends what `make` makes of each.
    #[inline(always)]
    pub(crate) fn extend<T>(self, into: &mut alloc::vec::Vec<T>, mut make: impl FnMut(Leaf<F::Rights>) -> T) {
        let Self { format, space, entries, va, entry, rights } = self;
        entries.extend::<F, T>(into, move |index, raw| {
            let level = Level::LEAF;
            // All of them are leaves.
            let pa = if let Entry::Leaf(pa) = format.decode(level, raw) { pa } else { 0 };
            let rights = format.restrict(rights, level, raw);
            let va = va + index as u64 * F::entry_span(level);
            let entry = entry + (index * F::ENTRY_BYTES) as u64;
            make(Leaf { space, level, va, pa, pages: 1, raw, entry, rights })
        });
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
