//! What an edit leaves to be done: translations to forget, and tables to give back afterwards.

use alloc::vec::Vec;
use core::ops::Deref;
use core::{fmt, slice};

use crate::{TableAllocator, TableRequest};

/// How many stale ranges are listed before the answer is "everything".
const MOST_RANGES: usize = 1024;

/// Which cached translations an edit made wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// None: nothing that was present changed.
    Nothing,
    /// Those of these virtual addresses, which may be more than what changed.
    Ranges(StaleRanges),
    /// All, in every space: an edited table is reached in more ways than were worth listing.
    Everything,
}

impl Stale {
    pub(super) fn of(range: StaleRange) -> Self {
        Self::Ranges(StaleRanges(Listed::One(range)))
    }

    /// Adds a range. It joins one of the same space that it continues.
    pub(super) fn add(&mut self, range: StaleRange) {
        match self {
            Self::Everything => {}
            Self::Nothing => *self = Self::of(range),
            Self::Ranges(ranges) => {
                if !ranges.join(range) && !ranges.push(range) {
                    *self = Self::Everything;
                }
            }
        }
    }
}

/// Virtual addresses of one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StaleRange {
    /// The table address of the space's root.
    pub root: u64,
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
}

/// Ranges of virtual addresses, at least one. Read as a slice.
#[derive(Clone)]
pub struct StaleRanges(Listed);

/// An edit of one page makes one range, for which nothing is to be allocated.
#[derive(Clone)]
enum Listed {
    One(StaleRange),
    Many(Vec<StaleRange>),
}

impl StaleRanges {
    /// Lengthens the range that ends where this one starts, if there is one.
    fn join(&mut self, range: StaleRange) -> bool {
        let ranges = match &mut self.0 {
            Listed::One(only) => slice::from_mut(only),
            Listed::Many(ranges) => ranges,
        };
        let continued = |before: &&mut StaleRange| {
            before.root == range.root && before.last.wrapping_add(1) == range.first
        };
        // The last one, nearly always.
        ranges.iter_mut().rev().find(continued).map(|before| before.last = range.last).is_some()
    }

    /// Adds a range; false where there are too many.
    fn push(&mut self, range: StaleRange) -> bool {
        match &mut self.0 {
            Listed::One(only) => self.0 = Listed::Many(alloc::vec![*only, range]),
            Listed::Many(ranges) if ranges.len() < MOST_RANGES => ranges.push(range),
            Listed::Many(_) => return false,
        }
        true
    }
}

impl Deref for StaleRanges {
    type Target = [StaleRange];

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Listed::One(only) => slice::from_ref(only),
            Listed::Many(ranges) => ranges,
        }
    }
}

impl fmt::Debug for StaleRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for StaleRanges {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for StaleRanges {}

/// What an edit leaves to be done, never does itself: flush the TLBs, then give back the tables that were freed.
///
/// ```
/// # use pt_core::{Flush, Stale, TableAllocator};
/// fn finish(flush: Flush, tables: &mut impl TableAllocator) {
///     match flush.stale() {
///         Stale::Nothing => {}
///         Stale::Ranges(ranges) => ranges.iter().for_each(|range| { /* INVLPG each of its pages, on each CPU */ }),
///         Stale::Everything => { /* reload CR3, with global pages */ }
///     }
///     flush.done(tables);
/// }
/// ```
#[derive(Debug)]
#[must_use = "stale translations are to be flushed, and freed tables released"]
pub struct Flush {
    pub(super) stale: Stale,
    pub(super) freed: Vec<(u64, TableRequest)>,
}

impl Flush {
    /// The cached translations that are wrong now.
    pub fn stale(&self) -> &Stale {
        &self.stale
    }

    /// How many tables are to be given back.
    pub fn freed_tables(&self) -> usize {
        self.freed.len()
    }

    /// Releases the freed tables. Only to be called when no CPU can still walk them: after the flush.
    pub fn done<A: TableAllocator + ?Sized>(self, tables: &mut A) {
        for (table, request) in &self.freed {
            tables.release(*table, request);
        }
    }
}
