//! The new image: which memory it holds, and where each byte is from.

use std::ops::RangeInclusive;

use pt_core::{Memory, Unreadable};
use pt_image::{Image, MemoryRange};
use pt_rebuild::{NewTable, Rebuilt};
use rangemap::RangeInclusiveSet;

use super::ground::{bytes, pages};

/// The memory of the new image: pieces of the old one, new tables over them, and zeros where a table does not fill its
/// page.
#[derive(Debug)]
pub(super) struct NewMemory<'a> {
    image: &'a Image,
    /// By new address.
    tables: &'a [NewTable],
    /// What the old image holds, by new address.
    pieces: Vec<Piece>,
    held: RangeInclusiveSet<u64>,
    /// What exists, and no image holds.
    lacking: RangeInclusiveSet<u64>,
}

/// Old memory that goes to the addresses from `to` to `last`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    to: u64,
    last: u64,
    from: u64,
}

impl<'a> NewMemory<'a> {
    /// All memory of the old image, where it was.
    pub(super) fn kept(image: &'a Image, rebuilt: &'a Rebuilt) -> Self {
        let everything = [(0, u64::MAX, 0)];
        Self::of(image, rebuilt, everything)
    }

    /// What pages map, where it goes.
    pub(super) fn mapped(image: &'a Image, rebuilt: &'a Rebuilt) -> Self {
        let copies = rebuilt.copies().iter();
        Self::of(image, rebuilt, copies.filter_map(|frames| Some((frames.first, frames.last, frames.to?))))
    }

    /// What the old image has of some stretches (first and last old address, first new one), by new address.
    fn of(
        image: &'a Image,
        rebuilt: &'a Rebuilt,
        stretches: impl IntoIterator<Item = (u64, u64, u64)>,
    ) -> Self {
        let ranges: Vec<MemoryRange> = image.ranges().collect();
        let (mut pieces, mut lacking) = (Vec::new(), RangeInclusiveSet::new());
        for (first, last, to) in stretches {
            let moved = |old: u64| to + (old - first);
            let after = ranges.partition_point(|range| range.start + (range.len - 1) < first);
            for range in ranges[after..].iter().take_while(|range| range.start <= last) {
                // What of the range is held, and what is not.
                let end = range.start + range.held;
                let (from, until) = (first.max(range.start), last.min(range.start + (range.len - 1)));
                if from < end {
                    let held_last = until.min(end - 1);
                    pieces.push(Piece { to: moved(from), last: moved(held_last), from });
                }
                if until >= end {
                    lacking.insert(moved(from.max(end))..=moved(until));
                }
            }
        }
        let in_pieces = pieces.iter().map(|piece| piece.to..=piece.last);
        let tables = rebuilt.tables();
        let in_tables = tables.iter().map(|table| pages(&(table.address..=last_of(table))));
        let held: RangeInclusiveSet<u64> = in_pieces.chain(in_tables).collect();
        held.iter().for_each(|held| lacking.remove(held.clone()));
        Self { image, tables, pieces, held, lacking }
    }

    /// The ranges of the new image.
    pub(super) fn ranges(&self) -> impl Iterator<Item = MemoryRange> {
        let len = |range: &RangeInclusive<u64>| range.end() - range.start() + 1;
        let held = self.held.iter().map(move |range| MemoryRange::held(*range.start(), len(range)));
        let lacking = self.lacking.iter();
        held.chain(lacking.map(move |range| MemoryRange::partly_held(*range.start(), len(range), 0)))
    }

    pub(super) fn held_bytes(&self) -> u64 {
        bytes(&self.held)
    }

    /// Puts what there is of tables over it.
    fn lay_tables(&self, address: u64, over: &mut [u8]) {
        let last = address + (over.len() as u64 - 1);
        let after = self.tables.partition_point(|table| last_of(table) < address);
        for table in self.tables[after..].iter().take_while(|table| table.address <= last) {
            let skipped = address.saturating_sub(table.address) as usize;
            let at = table.address.saturating_sub(address) as usize;
            let len = (table.bytes.len() - skipped).min(over.len() - at);
            over[at..at + len].copy_from_slice(&table.bytes[skipped..skipped + len]);
        }
    }
}

impl Memory for NewMemory<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut next = self.pieces.partition_point(|piece| piece.last < address);
        let (mut at, mut rest) = (address, &mut *into);
        while !rest.is_empty() {
            let (piece, bytes) = match self.pieces.get(next) {
                Some(piece) if piece.to <= at => (Some(piece), piece.last - at + 1),
                Some(later) => (None, later.to - at),
                None => (None, u64::MAX),
            };
            let len = usize::try_from(bytes).map_or(rest.len(), |bytes| bytes.min(rest.len()));
            let (now, later) = rest.split_at_mut(len);
            match piece {
                Some(piece) => self.image.read(piece.from + (at - piece.to), now)?,
                None => now.fill(0),
            }
            next += usize::from(piece.is_some());
            (at, rest) = (at + len as u64, later);
        }
        self.lay_tables(address, into);
        Ok(())
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        let last = address.checked_add((len as u64).checked_sub(1)?)?;
        let piece = self.pieces[self.pieces.partition_point(|piece| piece.last < address)..].first()?;
        let table = self.tables[self.tables.partition_point(|table| last_of(table) < address)..].first();
        let from_old = piece.to <= address && last <= piece.last;
        let without_tables = table.is_none_or(|table| table.address > last);
        if from_old && without_tables {
            self.image.lend(piece.from + (address - piece.to), len)
        } else {
            None
        }
    }
}

fn last_of(table: &NewTable) -> u64 {
    table.address + (table.bytes.len() as u64 - 1)
}
