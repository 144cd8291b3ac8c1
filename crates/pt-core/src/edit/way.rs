//! The way down to where an edit starts, and the edit of one page.
//!
//! Most edits are about a few pages. Links that are free to pass need neither to be looked at twice nor to be written,
//! so that the descent starts at the lowest table that translates the whole range.

use alloc::vec::Vec;

use crate::edit::change::{Change, Place};
use crate::edit::{EditError, Editor, Flush, Stale, StaleRange, TableAllocator};
use crate::{Encode, Entry, Geometry, Level, MemoryMut};

/// A table, and the first address that it translates (without sign extension).
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) level: Level,
    pub(super) table: u64,
    pub(super) va: u64,
}

impl<F: Encode, M: MemoryMut + ?Sized, A: TableAllocator + ?Sized> Editor<'_, F, M, A> {
    /// The lowest table that has all of a range and is reached by links that an edit leaves as they are.
    pub(super) fn start(&self, change: &Change, first: u64, last: u64) -> Start {
        let mut start = Start { level: F::ROOT, table: self.format.root(self.root), va: 0 };
        // Where tables can be shared, or replaced, every link counts.
        if self.sharing.is_some() || self.free_empty || matches!(change, Change::Collapse) {
            return start;
        }
        let asked = change.asked::<F>();
        while let Some(below) = start.level.below() {
            let entry = Self::entry(start.table, start.level, first);
            let same = F::index(start.level, first) == F::index(start.level, last);
            // A table that cannot be read is found again, and said, by who looks at all its entries.
            let Some(raw) = self.memory.read_entry(entry, F::ENTRY_BYTES).ok().filter(|_| same) else {
                break;
            };
            let Some(table) = self.format.passes(start.level, raw, asked) else { break };
            start = Start { level: below, table, va: first & !F::table_span_last(below) };
        }
        start
    }

    /// The entry of the page that an edit is about, if it is one page whose tables are there.
    #[inline(always)]
    pub(super) fn page(&self, change: &Change, first: u64, last: u64) -> Option<Place> {
        let plain = self.sharing.is_none() && !self.free_empty && !matches!(change, Change::Collapse);
        if !plain || last != first | ((1 << F::PAGE_SHIFT) - 1) {
            return None;
        }
        let asked = change.asked::<F>();
        let (mut table, mut level) = (self.format.root(self.root), F::ROOT);
        while let Some(below) = level.below() {
            let raw = self.memory.read_entry(Self::entry(table, level, first), F::ENTRY_BYTES).ok()?;
            table = self.format.passes(level, raw, asked)?;
            level = below;
        }
        let entry = Self::entry(table, Level::LEAF, first);
        let raw = self.memory.read_entry(entry, F::ENTRY_BYTES).ok()?;
        Some(Place { level: Level::LEAF, va: first, covered: true, raw, entry })
    }

    /// Stores what becomes of one page's entry: read once, decided and written at once, it needs no plan.
    #[inline(always)]
    pub(super) fn store(&mut self, place: &Place, stored: u64) -> Result<Flush, EditError> {
        let &Place { level, va, raw, entry, .. } = place;
        let nothing = Flush { stale: Stale::Nothing, freed: Vec::new() };
        if stored == raw {
            return Ok(nothing);
        }
        let bytes = stored.to_le_bytes();
        self.memory
            .write(entry, &bytes[..F::ENTRY_BYTES])
            .map_err(|why| EditError::Unwritable { entry, why })?;
        if self.format.decode(level, raw) == Entry::Absent {
            return Ok(nothing);
        }
        let (root, first) = (self.format.root(self.root), F::canonical(va));
        let last = first | (F::entry_span(level) - 1);
        Ok(Flush { stale: Stale::of(StaleRange { root, first, last }), ..nothing })
    }

    /// The address of the entry that translates `va` in a table.
    #[inline(always)]
    fn entry(table: u64, level: Level, va: u64) -> u64 {
        table.wrapping_add((F::index(level, va) * F::ENTRY_BYTES) as u64)
    }
}
