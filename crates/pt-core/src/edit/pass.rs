//! The descent that every operation shares, as a plan or as a commit.

use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use crate::edit::change::{Action, Change, Place};
use crate::edit::run::fill;
use crate::edit::tables::{Needed, Reserved};
use crate::edit::way::Start;
use crate::edit::{EditError, Editor, Flush, OnShared, Stale, StaleRange, TableAllocator, TableRequest};
use crate::scan::Entries;
use crate::{Encode, Entry, Geometry, Level, MAX_LEVELS, MemoryMut, Unreadable};

/// What a pass does where it would change something.
pub(super) enum Phase {
    /// Nothing, but for counting the tables that it needs.
    Plan { needed: Needed },
    /// It writes, into tables that were reserved.
    Commit { reserved: Reserved },
}

/// One descent over a range.
pub(super) struct Pass<'e, 'a, F, M: ?Sized, A: ?Sized> {
    pub(super) editor: &'e mut Editor<'a, F, M, A>,
    pub(super) change: Change,
    /// The range, without sign extension.
    first: u64,
    last: u64,
    phase: Phase,
    /// How many more tables it may go through.
    left: u64,
    stale: Stale,
    freed: Vec<(u64, TableRequest)>,
    /// Room for one table per level, where it is needed: see [`Bytes`].
    pub(super) buffers: [Vec<u8>; MAX_LEVELS],
}

/// A table that is being dealt with.
#[derive(Clone, Copy)]
struct Open {
    level: Level,
    /// Where it stands, or will stand.
    address: u64,
    va: u64,
    bytes: Bytes,
    /// Whether entries are written where the table stands, which the memory lends.
    in_place: bool,
    /// Whether what it links is linked by the table that it was copied from, too.
    copied: bool,
}

/// Where a table's entries are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    /// In use, and lent by the memory whenever they are looked at.
    Lent,
    /// In use, and read into the buffer.
    Read,
    /// Nothing links it yet. The buffer has all of it, and it is written whole.
    Draft,
    /// Nothing links it yet, and nothing is in it: of its entries that are in range, all are zero, wherever they are.
    Blank,
}

impl Bytes {
    /// Whether something may have been translated by it.
    fn in_use(self) -> bool {
        matches!(self, Self::Lent | Self::Read)
    }
}

impl<'e, 'a, F: Encode, M: MemoryMut + ?Sized, A: TableAllocator + ?Sized> Pass<'e, 'a, F, M, A> {
    pub(super) fn new(
        editor: &'e mut Editor<'a, F, M, A>,
        change: Change,
        first: u64,
        last: u64,
        phase: Phase,
    ) -> Self {
        let buffers = [const { Vec::new() }; MAX_LEVELS];
        let left = editor.limit;
        Self { editor, change, first, last, phase, left, stale: Stale::Nothing, freed: Vec::new(), buffers }
    }

    /// How many tables a commit will need.
    pub(super) fn needed(&self) -> Needed {
        match self.phase {
            Phase::Plan { needed } => needed,
            Phase::Commit { .. } => Needed::default(),
        }
    }

    /// What is left to be done, and the reserved tables that were not used.
    pub(super) fn finish(self) -> (Flush, Option<Reserved>) {
        let unused = match self.phase {
            Phase::Commit { reserved } => Some(reserved),
            Phase::Plan { .. } => None,
        };
        (Flush { stale: self.stale, freed: self.freed }, unused)
    }

    pub(super) fn run(&mut self, start: Start) -> Result<(), EditError> {
        let Start { level, table, va } = start;
        // The root cannot be copied: the register that holds it is not ours to change.
        if self.is_shared(table) && !matches!(self.editor.sharing, Some((_, OnShared::EditForAll))) {
            return Err(EditError::Shared { va: F::canonical(self.first), level, table });
        }
        self.in_use(level, table, va)
    }

    pub(super) fn writes(&self) -> bool {
        matches!(self.phase, Phase::Commit { .. })
    }

    fn write(&mut self, entry: u64, bytes: &[u8]) -> Result<(), EditError> {
        if !self.writes() {
            return Ok(());
        }
        self.editor.memory.write(entry, bytes).map_err(|why| EditError::Unwritable { entry, why })
    }

    /// The address of a new table: in a plan, any.
    fn new_table(&mut self, level: Level) -> Result<u64, EditError> {
        match &mut self.phase {
            Phase::Plan { needed } => {
                needed.add(level);
                Ok(0)
            }
            // More than planned are needed only if the tables changed in between.
            Phase::Commit { reserved } => {
                reserved.take(level).ok_or(EditError::OutOfTables { needed: 1, got: 0 })
            }
        }
    }

    fn is_shared(&self, table: u64) -> bool {
        self.editor
            .sharing
            .is_some_and(|(sharing, _)| sharing.reaches::<F>(table).is_none_or(|reaches| reaches.len() > 1))
    }

    /// The indices of the entries of a table that are in range.
    fn indices(first: u64, last: u64, level: Level, va: u64) -> (usize, usize) {
        let end = va + F::table_span_last(level);
        (F::index(level, first.max(va)), F::index(level, last.min(end)))
    }

    /// Deals with a table that is in use: with its entries in range, and no others are read.
    ///
    /// In place where memory lends it; copied and written back takes 1.6 times as long.
    fn in_use(&mut self, level: Level, address: u64, va: u64) -> Result<(), EditError> {
        let (from, to) = Self::indices(self.first, self.last, level, va);
        let (start, end) = (from * F::ENTRY_BYTES, (to + 1) * F::ENTRY_BYTES);
        let unreadable = |why| EditError::Unreadable { va: F::canonical(va), level, table: address, why };
        let at = address.checked_add(start as u64).ok_or(unreadable(Unreadable::Outside))?;
        let mut open = Open { level, address, va, bytes: Bytes::Lent, in_place: false, copied: false };
        let mut buffer = mem::take(&mut self.buffers[level.index()]);
        if self.editor.memory.lend(at, end - start).is_none() {
            buffer.resize(F::table_bytes(level), 0);
            self.editor.memory.read(at, &mut buffer[start..end]).map_err(unreadable)?;
            open.bytes = Bytes::Read;
        } else if self.writes() {
            open.in_place = self.editor.memory.lend_mut(at, end - start).is_some();
        }
        self.table(open, &mut buffer)?;
        self.buffers[level.index()] = buffer;
        Ok(())
    }

    /// Deals with a new table. The buffer has what is in it already, if it is not blank.
    fn fresh(&mut self, mut open: Open, mut buffer: Vec<u8>) -> Result<(), EditError> {
        let bytes = F::table_bytes(open.level);
        if open.bytes == Bytes::Blank && self.writes() {
            let table = if let Some(table) = self.editor.memory.lend_mut(open.address, bytes) {
                open.in_place = true;
                table
            } else {
                buffer.resize(bytes, 0);
                &mut buffer[..]
            };
            let (from, to) = Self::indices(self.first, self.last, open.level, open.va);
            table[..from * F::ENTRY_BYTES].fill(0);
            table[(to + 1) * F::ENTRY_BYTES..].fill(0);
        }
        self.table(open, &mut buffer)?;
        if !open.in_place && self.writes() {
            self.write(open.address, &buffer[..bytes])?;
        }
        self.buffers[open.level.index()] = buffer;
        Ok(())
    }

    /// Deals with the entries of one table that are in range.
    fn table(&mut self, open: Open, buffer: &mut Vec<u8>) -> Result<(), EditError> {
        const { assert!(F::LEVELS >= 1, "a format has levels") };
        let reached = EditError::Limit { limit: self.editor.limit, va: F::canonical(open.va) };
        self.left = self.left.checked_sub(1).ok_or(reached)?;
        // The level of nearly all entries, as a constant.
        if open.level == Level::LEAF {
            self.runs(Level::LEAF, open, buffer)
        } else {
            self.runs(open.level, open, buffer)
        }
    }

    /// Deals with them a run at a time.
    #[inline(always)]
    fn runs(&mut self, level: Level, open: Open, buffer: &mut Vec<u8>) -> Result<(), EditError> {
        let Open { address, va, .. } = open;
        let span = F::entry_span(level);
        let (from, to) = Self::indices(self.first, self.last, level, va);
        // The first entry and the last can be in range in part only.
        let whole_from = from + usize::from(va + from as u64 * span < self.first);
        let whole_to = to + usize::from(va + to as u64 * span + (span - 1) <= self.last);
        // Neighbouring entries that changed are written together; what did not change is not written at all, lest an
        // accessed bit that a CPU sets meanwhile be lost.
        let writes = self.writes();
        if writes && !open.in_place && buffer.is_empty() {
            buffer.resize(F::table_bytes(level), 0);
        }
        let mut unwritten = from..from;
        let mut changed: Option<(u64, u64)> = None;
        let mut index = from;
        while index <= to {
            let entries = self.entries(&open, buffer, from, to)?;
            let raw = entries.raw::<F>(index - from);
            let covered = whole_from <= index && index < whole_to;
            let entry = address.wrapping_add((index * F::ENTRY_BYTES) as u64);
            let place = Place { level, va: va + index as u64 * span, covered, raw, entry };
            let format = &self.editor.format;
            let action = self.change.decide(format, &place).map_err(|why| place.error(format, why))?;
            let (stored, step, count) = if let Action::Descend(link) = action {
                (self.descend(&open, &place, link)?, 0, 1)
            } else {
                let alike = match open.bytes {
                    _ if !covered => 1,
                    Bytes::Blank => whole_to - index,
                    _ => self.change.alike(format, level, entries, index - from).min(whole_to - index),
                };
                match action {
                    Action::Store(stored) if alike > 1 => {
                        let (step, most) = self.change.steps(format, level, stored);
                        (stored, step, alike.min(most))
                    }
                    Action::Store(stored) => (stored, 0, 1),
                    Action::Keep | Action::Descend(_) => (raw, 0, alike),
                }
            };
            let these = index..index + count;
            index = these.end;
            if stored == raw && open.bytes != Bytes::Blank {
                continue;
            }
            if open.bytes.in_use() && self.editor.format.decode(level, raw) != Entry::Absent {
                let lowest = changed.map_or(these.start as u64 * span, |(lowest, _)| lowest);
                changed = Some((lowest, these.end as u64 * span - 1));
            }
            if !writes {
                continue;
            }
            let (start, end) = (these.start * F::ENTRY_BYTES, these.end * F::ENTRY_BYTES);
            if open.in_place {
                let entry = address.wrapping_add(start as u64);
                let lent = self.editor.memory.lend_mut(entry, end - start);
                let place = lent.ok_or(EditError::Unwritable { entry, why: Unreadable::Failed })?;
                fill::<F>(place, stored, step);
                continue;
            }
            fill::<F>(&mut buffer[start..end], stored, step);
            if these.start == unwritten.end {
                unwritten.end = these.end;
            } else {
                self.write_entries(&open, buffer, unwritten)?;
                unwritten = these;
            }
        }
        self.write_entries(&open, buffer, unwritten)?;
        if let Some((lowest, highest)) = changed {
            self.forget(address, va, lowest, highest);
        }
        Ok(())
    }

    /// The entries `from..=to` of a table; of a blank one, none.
    #[inline(always)]
    fn entries<'b>(
        &'b self,
        open: &Open,
        buffer: &'b [u8],
        from: usize,
        to: usize,
    ) -> Result<Entries<'b>, EditError> {
        let (start, end) = (from * F::ENTRY_BYTES, (to + 1) * F::ENTRY_BYTES);
        match open.bytes {
            Bytes::Blank => Ok(Entries(&[])),
            Bytes::Read | Bytes::Draft => Ok(Entries(&buffer[start..end])),
            Bytes::Lent => {
                let lent = self.editor.memory.lend(open.address.wrapping_add(start as u64), end - start);
                lent.map(Entries).ok_or_else(|| Self::unreadable(open, Unreadable::Failed))
            }
        }
    }

    #[cold]
    fn unreadable(&Open { level, address: table, va, .. }: &Open, why: Unreadable) -> EditError {
        EditError::Unreadable { va: F::canonical(va), level, table, why }
    }

    /// Writes entries of a table that is in use.
    fn write_entries(&mut self, open: &Open, buffer: &[u8], entries: Range<usize>) -> Result<(), EditError> {
        if !open.bytes.in_use() || entries.is_empty() {
            return Ok(());
        }
        let (start, end) = (entries.start * F::ENTRY_BYTES, entries.end * F::ENTRY_BYTES);
        self.write(open.address.wrapping_add(start as u64), &buffer[start..end])
    }

    /// Goes one level down from the entry at `place`, whose link is to become `link`. Returns what the entry becomes.
    fn descend(&mut self, above: &Open, place: &Place, link: u64) -> Result<u64, EditError> {
        let Place { level: entry_level, va, raw, .. } = *place;
        // Level 1 has pages only, and its entries are covered or not in range.
        let Some(level) = entry_level.below() else { return Ok(raw) };
        let existing = self.editor.format.decode(entry_level, raw);
        let Entry::Table(table) = existing else {
            let address = self.new_table(level)?;
            let mut buffer = mem::take(&mut self.buffers[level.index()]);
            let mut bytes = Bytes::Blank;
            if let Entry::Leaf(page) = existing {
                self.split(entry_level, raw, page, va, &mut buffer)?;
                bytes = Bytes::Draft;
            }
            self.fresh(Open { level, address, va, bytes, in_place: false, copied: false }, buffer)?;
            let unlinkable = EditError::Unencodable { va: F::canonical(va), pa: address, attributes: 0 };
            return self.editor.format.link(entry_level, address).ok_or(unlinkable);
        };
        let shared = above.copied || self.is_shared(table);
        let policy = self.editor.sharing.map_or(OnShared::EditForAll, |(_, policy)| policy);
        if shared && policy == OnShared::Refuse {
            return Err(EditError::Shared { va: F::canonical(va), level, table });
        }
        if shared && policy == OnShared::Unshare {
            let address = self.new_table(level)?;
            let mut buffer = mem::take(&mut self.buffers[level.index()]);
            self.read(level, table, va, &mut buffer)?;
            self.fresh(
                Open { level, address, va, bytes: Bytes::Draft, in_place: false, copied: true },
                buffer,
            )?;
            let unlinkable = EditError::Unencodable { va: F::canonical(va), pa: address, attributes: 0 };
            return self.editor.format.relocate(entry_level, link, address).ok_or(unlinkable);
        }
        self.in_use(level, table, va)?;
        let Some(replaced) = self.replacement(place, link, table).filter(|_| !shared) else {
            return Ok(link);
        };
        self.freed.push((table, TableRequest::of(&self.editor.format, level)));
        Ok(replaced)
    }

    /// Translations through the part `lowest..=highest` of the span of `table` are stale, wherever it is reached.
    fn forget(&mut self, table: u64, va: u64, lowest: u64, highest: u64) {
        let own = (self.editor.format.root(self.editor.root), F::canonical(va));
        let mut forget = |(root, va): (u64, u64)| {
            let (first, last) = (va.wrapping_add(lowest), va.wrapping_add(highest));
            self.stale.add(StaleRange { root, first, last });
        };
        forget(own);
        let Some((sharing, OnShared::EditForAll)) = self.editor.sharing else { return };
        match sharing.reaches::<F>(table) {
            None => self.stale = Stale::Everything,
            Some(reaches) => {
                let others = reaches.into_iter().map(|reach| (reach.root, reach.va));
                others.filter(|&reach| reach != own).for_each(forget);
            }
        }
    }
}
