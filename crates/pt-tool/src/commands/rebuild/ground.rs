//! What the old image has at which physical addresses, and where new things can go.

use std::ops::RangeInclusive;

use pt_core::{Format, TableAllocator, TableRequest};
use pt_image::Image;
use pt_rebuild::{Arena, Graph};
use rangemap::RangeInclusiveSet;

/// The last address that is physical: no entry and no image can hold one above it.
const LAST: u64 = (1 << 52) - 1;

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

    /// Where tables can go when everything else stays: where nothing was.
    pub(super) fn unused(&self) -> Unused {
        let mut used = self.memory.clone();
        used.extend(self.mapped.iter().cloned());
        used.extend(self.barred.iter().cloned());
        let end = self.end_of_memory();
        let above = end..=LAST;
        let below = 0..=end.saturating_sub(1);
        Unused { above: Arena::new(used.gaps(&above)), between: Arena::new(used.gaps(&below)) }
    }

    /// Where frames and tables can go when nothing else stays: where there is memory, and above it. What lies between
    /// ranges of memory may be a device's.
    pub(super) fn vacated(&self) -> Arena {
        let mut arena = Arena::new(self.memory.iter().cloned().chain([self.end_of_memory()..=LAST]));
        self.barred.iter().for_each(|barred| arena.reserve(barred));
        arena
    }

    fn end_of_memory(&self) -> u64 {
        self.memory.last().map_or(0, |last| last.end().saturating_add(1))
    }
}

/// Addresses that nothing used: above all memory, or else between its ranges.
#[derive(Debug)]
pub(super) struct Unused {
    above: Arena,
    between: Arena,
}

impl TableAllocator for Unused {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        self.above.allocate(request).or_else(|| self.between.allocate(request))
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
