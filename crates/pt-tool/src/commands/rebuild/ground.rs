//! What the old image has at which physical addresses, and where new things can go.

use std::ops::RangeInclusive;

use pt_core::{Encode, Format, Level, TableAllocator, TableRequest};
use pt_image::Image;
use pt_rebuild::{Arena, Graph};
use rangemap::RangeInclusiveSet;

/// The last address that is physical: no entry and no image can hold one above it.
const LAST: u64 = (1 << 52) - 1;

const FOUR_GIB: u64 = 1 << 32;

/// Video memory and ROMs on every PC, even where an image has what was read there: nothing goes there.
const LEGACY: RangeInclusive<u64> = 0xa_0000..=0xf_ffff;

/// The addresses of the firmware's ROM on every PC: memory that starts there is not the last.
const FIRMWARE: RangeInclusive<u64> = 0xff00_0000..=FOUR_GIB - 1;

/// Physical addresses by what the old image has there.
#[derive(Debug)]
pub(super) struct Ground {
    /// The guest's memory, in whole pages.
    memory: RangeInclusiveSet<u64>,
    /// What the image holds of it.
    held: RangeInclusiveSet<u64>,
    /// What pages map, be it memory or not.
    mapped: RangeInclusiveSet<u64>,
    /// The old tables, in whole pages.
    tables: RangeInclusiveSet<u64>,
    /// What cannot be used although nothing is there: a kept link to a table that is missing leads to it.
    barred: Vec<RangeInclusive<u64>>,
}

impl Ground {
    pub(super) fn of<F: Format>(image: &Image, graph: &Graph<F>, faults_stay: bool) -> Self {
        let ranges = image.ranges().map(|range| range.start..=range.start + (range.len - 1));
        let held = image.ranges().filter(|range| range.held > 0);
        Self {
            memory: ranges.map(|range| pages(&range)).collect(),
            held: held.map(|range| range.start..=range.start + (range.held - 1)).collect(),
            mapped: graph.mapped().collect(),
            tables: graph.table_memory().map(|table| pages(&table)).collect(),
            barred: if faults_stay { graph.unreadable().collect() } else { Vec::new() },
        }
    }

    /// Whether the image holds tables alone: nothing that pages map but the tables themselves.
    pub(super) fn has_tables_alone(&self) -> bool {
        let mut rest = self.held.clone();
        self.tables.iter().for_each(|table| rest.remove(table.clone()));
        !self.mapped.is_empty() && !self.mapped.iter().any(|mapped| rest.overlaps(mapped))
    }

    pub(super) fn held(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.held.iter().cloned()
    }

    /// What pages map and the image does not hold.
    pub(super) fn missing(&self) -> RangeInclusiveSet<u64> {
        let mut missing = self.mapped.clone();
        self.held.iter().for_each(|held| missing.remove(held.clone()));
        missing
    }

    pub(super) fn mapped_bytes(&self) -> u64 {
        bytes(&self.mapped)
    }

    /// Where tables can go when everything else stays: where nothing was, behind the guest's memory if possible.
    pub(super) fn unused(&self) -> Unused {
        let mut used = self.memory.clone();
        used.extend([LEGACY]);
        used.extend(self.mapped.iter().cloned());
        used.extend(self.barred.iter().cloned());
        let end = self.end_of_memory();
        let (behind, between) = (end..=LAST, 0..=end.saturating_sub(1));
        Unused { behind: Arena::new(used.gaps(&behind)), between: Arena::new(used.gaps(&between)) }
    }

    /// Where frames and tables can go when nothing stays but what is not held: where there is memory, and behind it. What
    /// lies between ranges of memory may be a device's; it is taken where entries can hold nothing above 4 GiB.
    pub(super) fn vacated<F: Encode>(&self, format: &F) -> Arena {
        let highest = format.highest_table_address(Level::LEAF);
        let from = if highest > FOUR_GIB { self.end_of_memory() } else { 0 };
        let mut arena = Arena::new(self.memory.iter().cloned().chain([from..=highest.min(LAST)]));
        arena.reserve(&LEGACY);
        self.barred.iter().for_each(|barred| arena.reserve(barred));
        arena
    }

    /// Takes places out of an arena for tables that must lie low, where frames that can lie anywhere would fill it.
    pub(super) fn set_aside(
        &self,
        arena: &mut Arena,
        tables: impl Iterator<Item = TableRequest>,
    ) -> Vec<RangeInclusive<u64>> {
        let low = |table: &TableRequest| table.highest < FOUR_GIB && self.end_of_memory() > FOUR_GIB;
        let places = tables.filter(low).filter_map(|table| {
            let at = arena.take(table.bytes, table.alignment, table.highest)?;
            Some(at..=at + (table.bytes - 1))
        });
        places.collect()
    }

    /// The address behind the last range of memory that is not firmware.
    fn end_of_memory(&self) -> u64 {
        let mut ranges = self.memory.iter().rev();
        ranges
            .find(|range| !FIRMWARE.contains(range.start()))
            .map_or(0, |range| range.end().saturating_add(1))
    }
}

/// Addresses that nothing used: behind the guest's memory, or else between its ranges.
#[derive(Debug)]
pub(super) struct Unused {
    behind: Arena,
    between: Arena,
}

impl TableAllocator for Unused {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        self.behind.allocate(request).or_else(|| self.between.allocate(request))
    }

    /// Nothing is rebuilt after that.
    fn release(&mut self, _: u64, _: &TableRequest) {}
}

/// The whole pages that a range touches.
pub(super) fn pages(range: &RangeInclusive<u64>) -> RangeInclusive<u64> {
    range.start() & !0xfff..=range.end() | 0xfff
}

pub(super) fn bytes(ranges: &RangeInclusiveSet<u64>) -> u64 {
    ranges.iter().map(|range| range.end() - range.start() + 1).sum()
}
