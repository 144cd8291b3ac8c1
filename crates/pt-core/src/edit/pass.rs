//! The descent that every operation shares, as a plan or as a commit.

use alloc::vec::Vec;

use crate::edit::change::{Action, Change, Place};
use crate::edit::{EditError, Editor, Flush, OnShared, Stale, TableAllocator, TableRequest};
use crate::scan::Entries;
use crate::{Encode, Entry, Geometry, Level, MemoryMut};

/// The largest table that can be edited, in bytes.
const LARGEST_TABLE: usize = 4096;
/// How many stale ranges are listed before the answer is "everything".
const MOST_RANGES: usize = 1024;

/// What a pass does where it would change something.
pub(super) enum Phase {
    /// Nothing, but for counting the tables that it needs.
    Plan { needed: Vec<TableRequest> },
    /// It writes, into tables that were reserved: in reverse order of use.
    Commit { reserved: Vec<(u64, TableRequest)> },
}

/// One descent over a range.
pub(super) struct Pass<'e, 'a, F, M: ?Sized, A: ?Sized> {
    editor: &'e mut Editor<'a, F, M, A>,
    change: Change,
    /// The range, without sign extension.
    first: u64,
    last: u64,
    phase: Phase,
    stale: Stale,
    freed: Vec<(u64, TableRequest)>,
}

/// A table whose entries are at hand.
#[derive(Clone, Copy)]
struct Open {
    level: Level,
    /// Where it stands, or will stand.
    address: u64,
    va: u64,
    /// Whether nothing links it yet, so that it is written whole.
    fresh: bool,
    /// Whether what it links is linked by the table that it was copied from, too.
    copied: bool,
}

/// What a table holds after its entries were dealt with.
#[derive(Clone, Copy, Default)]
struct Below {
    empty: bool,
    /// The page and the attributes that would replace the table.
    joined: Option<(u64, u64)>,
}

impl<'e, 'a, F: Encode, M: MemoryMut + ?Sized, A: TableAllocator + ?Sized> Pass<'e, 'a, F, M, A> {
    pub(super) fn new(
        editor: &'e mut Editor<'a, F, M, A>,
        change: Change,
        first: u64,
        last: u64,
        phase: Phase,
    ) -> Self {
        Self { editor, change, first, last, phase, stale: Stale::Nothing, freed: Vec::new() }
    }

    pub(super) fn needed(self) -> Vec<TableRequest> {
        match self.phase {
            Phase::Plan { needed } => needed,
            Phase::Commit { .. } => Vec::new(),
        }
    }

    /// What is left to be done, and the reserved tables that were not used.
    pub(super) fn finish(self) -> (Flush, Vec<(u64, TableRequest)>) {
        let unused = match self.phase {
            Phase::Commit { reserved } => reserved,
            Phase::Plan { .. } => Vec::new(),
        };
        (Flush { stale: self.stale, freed: self.freed }, unused)
    }

    pub(super) fn run(&mut self) -> Result<(), EditError> {
        let address = self.editor.format.root(self.editor.root);
        // The root cannot be copied: the register that holds it is not ours to change.
        if self.is_shared(address) && !matches!(self.editor.sharing, Some((_, OnShared::EditForAll))) {
            return Err(EditError::Shared { va: F::canonical(self.first), level: F::ROOT, table: address });
        }
        let mut bytes = [0; LARGEST_TABLE];
        self.read(F::ROOT, address, 0, &mut bytes)?;
        let root = Open { level: F::ROOT, address, va: 0, fresh: false, copied: false };
        self.table(root, &mut bytes).map(|_| ())
    }

    fn read(
        &self,
        level: Level,
        table: u64,
        va: u64,
        into: &mut [u8; LARGEST_TABLE],
    ) -> Result<(), EditError> {
        let unreadable = |why| EditError::Unreadable { va: F::canonical(va), level, table, why };
        self.editor.memory.read(table, &mut into[..F::table_bytes(level)]).map_err(unreadable)
    }

    fn write(&mut self, entry: u64, bytes: &[u8]) -> Result<(), EditError> {
        match self.phase {
            Phase::Plan { .. } => Ok(()),
            Phase::Commit { .. } => {
                self.editor.memory.write(entry, bytes).map_err(|why| EditError::Unwritable { entry, why })
            }
        }
    }

    /// The address of a new table: in a plan, any.
    fn new_table(&mut self, level: Level) -> Result<u64, EditError> {
        match &mut self.phase {
            Phase::Plan { needed } => {
                needed.push(TableRequest::of(&self.editor.format, level));
                Ok(0)
            }
            // More than planned are needed only if the tables changed in between.
            Phase::Commit { reserved } => match reserved.pop() {
                Some((table, _)) => Ok(table),
                None => Err(EditError::OutOfTables { needed: 1, got: 0 }),
            },
        }
    }

    fn is_shared(&self, table: u64) -> bool {
        self.editor
            .sharing
            .is_some_and(|(sharing, _)| sharing.reaches::<F>(table).is_none_or(|reaches| reaches.len() > 1))
    }

    /// Deals with the entries of one table that are in range.
    fn table(&mut self, open: Open, bytes: &mut [u8; LARGEST_TABLE]) -> Result<Below, EditError> {
        const { assert!(F::LEVELS >= 1, "a format has levels") };
        let Open { level, address, va, .. } = open;
        let span = F::entry_span(level);
        let table_last = va + F::table_span_last(level);
        let (from, to) = (F::index(level, self.first.max(va)), F::index(level, self.last.min(table_last)));
        // Neighbouring entries that changed are written together; what did not change is not written at all, lest an
        // accessed bit that a CPU sets meanwhile be lost.
        let mut unwritten = from;
        let mut changed: Option<(u64, u64)> = None;
        for index in from..=to {
            let raw = Entries(&bytes[..]).raw::<F>(index);
            let entry_va = va + index as u64 * span;
            let covered = self.first <= entry_va && entry_va + (span - 1) <= self.last;
            let entry = address.wrapping_add((index * F::ENTRY_BYTES) as u64);
            let place = Place { level, va: entry_va, covered, raw, entry };
            let stored = match self.change.decide(&self.editor.format, &place)? {
                Action::Keep => raw,
                Action::Store(stored) => stored,
                Action::Descend(link) => self.descend(&open, &place, link)?,
            };
            if stored == raw {
                self.write_entries(&open, bytes, unwritten, index)?;
                unwritten = index + 1;
                continue;
            }
            let at = index * F::ENTRY_BYTES;
            bytes[at..at + F::ENTRY_BYTES].copy_from_slice(&stored.to_le_bytes()[..F::ENTRY_BYTES]);
            if self.editor.format.decode(level, raw) != Entry::Absent {
                let offset = index as u64 * span;
                let (lowest, _) = changed.unwrap_or((offset, offset));
                changed = Some((lowest, offset + (span - 1)));
            }
        }
        self.write_entries(&open, bytes, unwritten, to + 1)?;
        if open.fresh {
            self.write(address, &bytes[..F::table_bytes(level)])?;
        } else if let Some((lowest, highest)) = changed {
            self.forget(address, va, lowest, highest);
        }
        let used = &bytes[..F::table_bytes(level)];
        Ok(Below { empty: used.iter().all(|&byte| byte == 0), joined: self.joined(level, used) })
    }

    /// Writes the entries `from..to` of a table that is in use.
    fn write_entries(&mut self, open: &Open, bytes: &[u8], from: usize, to: usize) -> Result<(), EditError> {
        if open.fresh || from >= to {
            return Ok(());
        }
        let (start, end) = (from * F::ENTRY_BYTES, to * F::ENTRY_BYTES);
        self.write(open.address.wrapping_add(start as u64), &bytes[start..end])
    }

    /// Goes one level down from the entry at `place`, whose link is to become `link`. Returns what the entry becomes.
    fn descend(&mut self, above: &Open, place: &Place, link: u64) -> Result<u64, EditError> {
        let Place { level: entry_level, va, raw, .. } = *place;
        // Level 1 has pages only, and its entries are covered or not in range.
        let Some(level) = entry_level.below() else { return Ok(raw) };
        let mut bytes = [0; LARGEST_TABLE];
        let Entry::Table(table) = self.editor.format.decode(entry_level, raw) else {
            if let Entry::Leaf(page) = self.editor.format.decode(entry_level, raw) {
                self.split(entry_level, raw, page, va, &mut bytes)?;
            }
            let address = self.new_table(level)?;
            self.table(Open { level, address, va, fresh: true, copied: false }, &mut bytes)?;
            let unlinkable = EditError::Unencodable { va: F::canonical(va), pa: address, attributes: 0 };
            return self.editor.format.link(entry_level, address).ok_or(unlinkable);
        };
        self.read(level, table, va, &mut bytes)?;
        let shared = above.copied || self.is_shared(table);
        let policy = self.editor.sharing.map_or(OnShared::EditForAll, |(_, policy)| policy);
        if shared && policy == OnShared::Refuse {
            return Err(EditError::Shared { va: F::canonical(va), level, table });
        }
        if shared && policy == OnShared::Unshare {
            let address = self.new_table(level)?;
            self.table(Open { level, address, va, fresh: true, copied: true }, &mut bytes)?;
            let unlinkable = EditError::Unencodable { va: F::canonical(va), pa: address, attributes: 0 };
            return self.editor.format.relocate(entry_level, link, address).ok_or(unlinkable);
        }
        let below =
            self.table(Open { level, address: table, va, fresh: false, copied: false }, &mut bytes)?;
        let replaced = self.replacement(place, link, below).filter(|_| !shared);
        if replaced.is_some() {
            self.freed.push((table, TableRequest::of(&self.editor.format, level)));
        }
        Ok(replaced.unwrap_or(link))
    }

    /// What takes the place of a link to a table that is not needed any more.
    fn replacement(&self, place: &Place, link: u64, below: Below) -> Option<u64> {
        if below.empty && self.editor.free_empty {
            return Some(0);
        }
        let (page, attributes) = below.joined.filter(|_| place.covered)?;
        // The link's own restrictions would be lost with it.
        let caps = self.editor.format.widen(place.level, link, attributes) != link;
        self.editor.format.leaf(place.level, page, attributes).filter(|_| !caps)
    }

    /// The page that all entries of a table make up together, if a collapse asks for it.
    fn joined(&self, level: Level, used: &[u8]) -> Option<(u64, u64)> {
        let (format, entries) = (&self.editor.format, Entries(used));
        if !matches!(self.change, Change::Collapse) {
            return None;
        }
        let first = entries.raw::<F>(0);
        let Entry::Leaf(page) = format.decode(level, first) else { return None };
        let whole = entries.run(format, level, 0, page, F::ACCESSED_DIRTY) == F::entries(level);
        let aligned = page & F::table_span_last(level) == 0;
        let all = (0..F::entries(level))
            .fold(first, |all, index| all | entries.raw::<F>(index) & F::ACCESSED_DIRTY);
        (whole && aligned).then(|| (page, format.attributes(level, all)))
    }

    /// A page as a table of pages one size smaller.
    fn split(
        &self,
        level: Level,
        raw: u64,
        page: u64,
        va: u64,
        into: &mut [u8; LARGEST_TABLE],
    ) -> Result<(), EditError> {
        let format = &self.editor.format;
        let attributes = format.attributes(level, raw);
        let Some(below) = level.below() else { return Ok(()) };
        for (index, entry) in into.chunks_exact_mut(F::ENTRY_BYTES).take(F::entries(below)).enumerate() {
            let offset = index as u64 * F::entry_span(below);
            let unencodable =
                EditError::Unencodable { va: F::canonical(va + offset), pa: page + offset, attributes };
            let piece = format.leaf(below, page + offset, attributes).ok_or(unencodable)?;
            entry.copy_from_slice(&piece.to_le_bytes()[..F::ENTRY_BYTES]);
        }
        Ok(())
    }

    /// Translations through the part `lowest..=highest` of the span of `table` are stale, wherever it is reached.
    fn forget(&mut self, table: u64, va: u64, lowest: u64, highest: u64) {
        let own = (self.editor.format.root(self.editor.root), F::canonical(va));
        self.forget_at(own, lowest, highest);
        let Some((sharing, OnShared::EditForAll)) = self.editor.sharing else { return };
        match sharing.reaches::<F>(table) {
            None => self.stale = Stale::Everything,
            Some(reaches) => {
                let others =
                    reaches.into_iter().map(|reach| (reach.root, reach.va)).filter(|&reach| reach != own);
                others.for_each(|other| self.forget_at(other, lowest, highest));
            }
        }
    }

    fn forget_at(&mut self, (root, va): (u64, u64), lowest: u64, highest: u64) {
        let (first, last) = (va.wrapping_add(lowest), va.wrapping_add(highest));
        let ranges = match &mut self.stale {
            Stale::Everything => return,
            Stale::Ranges(ranges) => ranges,
            Stale::Nothing => {
                self.stale = Stale::Ranges(alloc::vec![(root, first..=last)]);
                return;
            }
        };
        let before =
            ranges.iter_mut().find(|(of, range)| *of == root && range.end().wrapping_add(1) == first);
        if let Some((_, range)) = before {
            *range = *range.start()..=last;
        } else if ranges.len() < MOST_RANGES {
            ranges.push((root, first..=last));
        } else {
            self.stale = Stale::Everything;
        }
    }
}
