//! Tables that take the place of a page, and what takes the place of a table.

use alloc::vec::Vec;
use core::mem;

use crate::edit::change::{Change, Place};
use crate::edit::pass::Pass;
use crate::edit::{EditError, TableAllocator};
use crate::scan::Entries;
use crate::{Encode, Entry, Geometry, Level, MemoryMut};

impl<F: Encode, M: MemoryMut + ?Sized, A: TableAllocator + ?Sized> Pass<'_, '_, F, M, A> {
    /// Reads all of a table.
    pub(super) fn read(
        &self,
        level: Level,
        table: u64,
        va: u64,
        into: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        let unreadable = |why| EditError::Unreadable { va: F::canonical(va), level, table, why };
        into.resize(F::table_bytes(level), 0);
        self.editor.memory.read(table, into).map_err(unreadable)
    }

    /// What takes the place of a link to a table that is not needed any more, now that it was dealt with. A plan does not
    /// ask: it needs no table for that.
    pub(super) fn replacement(&mut self, place: &Place, link: u64, table: u64) -> Option<u64> {
        let collapse = matches!(self.change, Change::Collapse) && place.covered;
        if !self.writes() || !(self.editor.free_empty || collapse) {
            return None;
        }
        let level = place.level.below()?;
        let mut buffer = mem::take(&mut self.buffers[level.index()]);
        // What cannot be read is kept.
        self.read(level, table, place.va, &mut buffer).ok()?;
        let entries = Entries(&buffer);
        let replaced = if self.editor.free_empty && entries.next_used::<F>(0) == F::entries(level) {
            Some(0)
        } else {
            self.joined(level, entries).filter(|_| collapse).and_then(|(page, attributes)| {
                // The link's own restrictions would be lost with it.
                let caps = self.editor.format.widen(place.level, link, attributes) != link;
                self.editor.format.leaf(place.level, page, attributes).filter(|_| !caps)
            })
        };
        self.buffers[level.index()] = buffer;
        replaced
    }

    /// The page that all entries of a table make up together, and its attributes.
    fn joined(&self, level: Level, entries: Entries<'_>) -> Option<(u64, u64)> {
        let format = &self.editor.format;
        let first = entries.raw::<F>(0);
        let Entry::Leaf(page) = format.decode(level, first) else { return None };
        let whole = entries.run(format, level, 0, page, F::ACCESSED_DIRTY) == F::entries(level);
        let aligned = page & F::table_span_last(level) == 0;
        let all = (0..F::entries(level))
            .fold(first, |all, index| all | entries.raw::<F>(index) & F::ACCESSED_DIRTY);
        (whole && aligned).then(|| (page, format.attributes(level, all)))
    }

    /// A page as a table of pages one size smaller.
    pub(super) fn split(
        &self,
        level: Level,
        raw: u64,
        page: u64,
        va: u64,
        into: &mut Vec<u8>,
    ) -> Result<(), EditError> {
        let format = &self.editor.format;
        let attributes = format.attributes(level, raw);
        let Some(below) = level.below() else { return Ok(()) };
        into.resize(F::table_bytes(below), 0);
        for (index, entry) in into.chunks_exact_mut(F::ENTRY_BYTES).enumerate() {
            let offset = index as u64 * F::entry_span(below);
            let unencodable =
                EditError::Unencodable { va: F::canonical(va + offset), pa: page + offset, attributes };
            let piece = format.leaf(below, page + offset, attributes).ok_or(unencodable)?;
            entry.copy_from_slice(&piece.to_le_bytes()[..F::ENTRY_BYTES]);
        }
        Ok(())
    }
}
