//! What an edit leaves to be done: translations to forget, and tables to give back afterwards.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::{TableAllocator, TableRequest};

/// Which cached translations an edit made wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// None: nothing that was present changed.
    Nothing,
    /// Those of these virtual addresses, in the spaces of these roots (table addresses). A range is inclusive and may
    /// be wider than what changed.
    Ranges(Vec<(u64, RangeInclusive<u64>)>),
    /// All, in every space: an edited table is reached in more ways than were worth listing.
    Everything,
}

/// What an edit leaves to be done, never does itself: flush the TLBs, then give back the tables that were freed.
///
/// ```
/// # use pt_core::{Flush, Stale, TableAllocator};
/// fn finish(flush: Flush, tables: &mut impl TableAllocator) {
///     match flush.stale() {
///         Stale::Nothing => {}
///         Stale::Ranges(ranges) => ranges.iter().for_each(|(root, range)| { /* INVLPG each page, on each CPU */ }),
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
