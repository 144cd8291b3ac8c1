//! How many entries make sense, if a page is read as a table.
//!
//! | an entry | |
//! |---|---|
//! | 0 | says nothing |
//! | link to a table in memory | sensible, and so is what makes sense below it |
//! | page in memory, of the attributes of the page before it or the first | sensible |
//! | page in memory, of other attributes | mixed: data that is read as a table has nothing else |
//! | the same page again | says nothing |
//! | page out of memory, next to the page before it and of its attributes | sensible: a device |
//! | page out of memory, by itself | stray: real tables have some |
//! | not present, but not 0 | in a page table it says nothing: a swapped page; above, nonsense |
//! | reserved bits, or a link out of memory or with the global bit | nonsense: real tables have none |
//!
//! Sums are over all paths. Each table is looked at once per level.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use pt_core::{Entry, Format, Geometry, Level, Memory};

use super::kernel::settled;
use super::pages::{PAGE, Reader, entry, is_zero};

/// G: never set in links.
const GLOBAL: u64 = 1 << 8;

/// Which memory there is.
#[derive(Debug)]
pub(super) struct Held(Vec<(u64, u64)>);

impl Held {
    pub(super) fn new(ranges: &[RangeInclusive<u64>]) -> Self {
        let some = ranges.iter().filter(|range| !range.is_empty());
        let mut pieces: Vec<_> = some.map(|range| (*range.start(), *range.end())).collect();
        pieces.sort_unstable();
        pieces.dedup_by(|next, piece| {
            let joins = next.0 <= piece.1.saturating_add(1);
            if joins {
                piece.1 = piece.1.max(next.1);
            }
            joins
        });
        Self(pieces)
    }

    fn contains(&self, address: u64) -> bool {
        let after = self.0.partition_point(|piece| piece.0 <= address);
        after.checked_sub(1).is_some_and(|at| address <= self.0[at].1)
    }
}

/// Sums of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sense {
    pub(super) sensible: u64,
    /// Pages in memory whose attributes are not those of the page before.
    pub(super) mixed: u64,
    pub(super) stray: u64,
    pub(super) nonsense: u64,
}

impl Sense {
    fn add(&mut self, other: Self) {
        self.sensible = self.sensible.saturating_add(other.sensible);
        self.mixed = self.mixed.saturating_add(other.mixed);
        self.stray = self.stray.saturating_add(other.stray);
        self.nonsense = self.nonsense.saturating_add(other.nonsense);
    }

    /// What candidates are ordered by.
    pub(super) fn score(&self) -> i128 {
        let [sensible, mixed, stray, nonsense] =
            [self.sensible, self.mixed, self.stray, self.nonsense].map(i128::from);
        sensible - mixed - 8 * stray - 1000 * nonsense
    }
}

/// A page, as far as it says what to think of the next one.
#[derive(Clone, Copy, Debug)]
struct Page {
    slot: usize,
    start: u64,
    attributes: Option<u64>,
    /// Out of memory, and called stray.
    stray: bool,
}

/// One table by itself: its own entries, and the tables that they link.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) sense: Sense,
    pub(super) links: Vec<u64>,
}

impl Own {
    /// Judges a table's own entries.
    pub(super) fn of<F: Format>(format: &F, held: &Held, level: Level, table: &[u8]) -> Self {
        let mut own = Self::default();
        let mut last = None;
        for slot in 0..F::entries(level) {
            let raw = entry::<F>(table, slot);
            match format.decode(level, raw) {
                Entry::Absent => own.sense.nonsense += u64::from(raw != 0 && level != Level::LEAF),
                Entry::Table(address) if raw & GLOBAL == 0 && held.contains(address) => {
                    own.sense.sensible += 1;
                    own.links.push(address);
                }
                Entry::Leaf(start) => {
                    let attributes = format.relocate(level, raw, 0).map(settled::<F>);
                    let stray = !held.contains(start);
                    last =
                        Some(own.page(Page { slot, start, attributes, stray }, last, F::entry_span(level)));
                }
                Entry::Table(_) | Entry::Malformed { .. } => own.sense.nonsense += 1,
            }
        }
        own
    }

    /// Counts a page after the last one, and says what it is to the next.
    fn page(&mut self, page: Page, last: Option<Page>, span: u64) -> Page {
        let alike = last.is_none_or(|last| last.attributes == page.attributes);
        match last {
            Some(last) if last.start == page.start => {}
            Some(last)
                if alike
                    && last.slot + 1 == page.slot
                    && last.start.checked_add(span) == Some(page.start) =>
            {
                let was_stray = u64::from(last.stray);
                self.sense.stray -= was_stray;
                self.sense.sensible += 1 + was_stray;
                return Page { stray: false, ..page };
            }
            _ if page.stray => {
                self.sense.stray += 1;
                return page;
            }
            _ if alike => self.sense.sensible += 1,
            _ => self.sense.mixed += 1,
        }
        Page { stray: false, ..page }
    }
}

/// What is known of the tables of one format.
pub(super) struct Senses<'a, F, M: ?Sized> {
    pub(super) format: F,
    memory: &'a M,
    pub(super) held: &'a Held,
    /// How many tables may still be looked at.
    left: usize,
    known: BTreeMap<(u64, Level), Sense>,
}

impl<'a, F: Format, M: Memory + ?Sized> Senses<'a, F, M> {
    pub(super) fn new(format: F, memory: &'a M, held: &'a Held, left: usize) -> Self {
        Self { format, memory, held, left, known: BTreeMap::new() }
    }

    /// A table with all that is below it.
    pub(super) fn whole(&mut self, level: Level, own: &Own) -> Sense {
        let mut all = own.sense;
        if let Some(below) = level.below() {
            for &link in &own.links {
                all.add(self.at(link, below));
            }
        }
        all
    }

    fn at(&mut self, table: u64, level: Level) -> Sense {
        if let Some(&known) = self.known.get(&(table, level)) {
            return known;
        }
        let Some(left) = self.left.checked_sub(1) else { return Sense::default() };
        self.left = left;
        let bytes = F::table_bytes(level).min(PAGE as usize);
        let mut reader = Reader::new(self.memory);
        let own = reader.bytes(table, bytes).map(|table| {
            let zero = is_zero(table);
            if zero { Own::default() } else { Own::of(&self.format, self.held, level, table) }
        });
        let sense = own.map_or(Sense { nonsense: 1, ..Sense::default() }, |own| self.whole(level, &own));
        self.known.insert((table, level), sense);
        sense
    }
}
