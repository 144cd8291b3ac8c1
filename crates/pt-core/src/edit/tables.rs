//! Where tables come from, and where they go.

use alloc::vec::Vec;
use core::ops::Range;

use crate::edit::EditError;
use crate::{Encode, Geometry, Level, MAX_LEVELS, MIN_TABLE_ALIGNMENT};

/// What a new table needs of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableRequest {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its alignment in bytes: a power of two.
    pub alignment: u64,
    /// The highest address that its last byte can have.
    pub highest: u64,
}

impl TableRequest {
    /// What a table at `level` needs.
    pub fn of<F: Encode>(format: &F, level: Level) -> Self {
        let bytes = F::table_bytes(level) as u64;
        Self {
            bytes,
            alignment: bytes.max(MIN_TABLE_ALIGNMENT),
            highest: format.highest_table_address(level),
        }
    }
}

/// Gives out memory for tables. What that memory holds does not matter: whoever asks for a table writes all of it.
pub trait TableAllocator {
    /// The physical address of memory for one table; none where there is no more.
    fn allocate(&mut self, request: &TableRequest) -> Option<u64>;

    /// Takes back a table that nothing links any more, or that never came into use.
    fn release(&mut self, table: u64, request: &TableRequest);
}

impl<A: TableAllocator + ?Sized> TableAllocator for &mut A {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        (**self).allocate(request)
    }
    fn release(&mut self, table: u64, request: &TableRequest) {
        (**self).release(table, request);
    }
}

/// Tables from a stretch of physical memory, in ascending order; what is released is not used again.
///
/// ```
/// use pt_core::{BumpTables, TableAllocator, TableRequest};
///
/// let mut tables = BumpTables::new(0x1100..=0x3fff);
/// let page = TableRequest { bytes: 4096, alignment: 4096, highest: u64::MAX };
/// assert_eq!(tables.allocate(&page), Some(0x2000));
/// assert_eq!(tables.allocate(&page), Some(0x3000));
/// assert_eq!(tables.allocate(&page), None);
/// ```
#[derive(Clone, Debug)]
pub struct BumpTables {
    next: Option<u64>,
    last: u64,
}

impl BumpTables {
    /// Gives out tables from `range`, both ends included.
    pub const fn new(range: core::ops::RangeInclusive<u64>) -> Self {
        Self { next: Some(*range.start()), last: *range.end() }
    }
}

impl TableAllocator for BumpTables {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        let mask = request.alignment.checked_sub(1)?;
        let table = self.next?.checked_add(mask)? & !mask;
        let last = table.checked_add(request.bytes.checked_sub(1)?)?;
        if last > self.last.min(request.highest) {
            return None;
        }
        self.next = last.checked_add(1);
        Some(table)
    }

    fn release(&mut self, _: u64, _: &TableRequest) {}
}

/// How many tables an edit needs, by level.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needed([usize; MAX_LEVELS]);

impl Needed {
    pub(super) fn add(&mut self, level: Level) {
        self.0[level.index()] += 1;
    }

    fn total(&self) -> usize {
        self.0.iter().sum()
    }
}

/// Tables that were allocated for an edit, and those of them that are not used yet.
#[derive(Debug)]
pub(super) struct Reserved {
    tables: Vec<u64>,
    /// By level: where in `tables` the next one is, and where the level's end.
    levels: [Range<usize>; MAX_LEVELS],
}

/// Whether an entry can link a table at that level there.
fn fits<F: Encode>(format: &F, level: Level, table: u64) -> bool {
    Level::new(level.number() + 1).and_then(|above| format.link(above, table)).is_some()
}

impl Reserved {
    /// As many as are needed, or none: then all that were got have been given back, and it says how many these were.
    pub(super) fn new<F: Encode, A: TableAllocator + ?Sized>(
        format: &F,
        allocator: &mut A,
        needed: Needed,
    ) -> Result<Self, EditError> {
        let mut reserved = Self { tables: Vec::new(), levels: [const { 0..0 }; MAX_LEVELS] };
        // From the root down, as they are met.
        for level in (1..=F::LEVELS).rev().filter_map(Level::new) {
            let request = TableRequest::of(format, level);
            reserved.levels[level.index()] = reserved.tables.len()..reserved.tables.len();
            for _ in 0..needed.0[level.index()] {
                let got = reserved.tables.len();
                let table = allocator.allocate(&request);
                reserved.tables.extend(table);
                reserved.levels[level.index()].end = reserved.tables.len();
                let failed = match table {
                    None => EditError::OutOfTables { needed: needed.total(), got },
                    Some(table) if !fits(format, level, table) => EditError::Unlinkable { table },
                    Some(_) => continue,
                };
                reserved.release(format, allocator);
                return Err(failed);
            }
        }
        Ok(reserved)
    }

    /// The next table for that level.
    pub(super) fn take(&mut self, level: Level) -> Option<u64> {
        self.levels[level.index()].next().and_then(|next| self.tables.get(next).copied())
    }

    /// Gives back what was not used.
    pub(super) fn release<F: Encode, A: TableAllocator + ?Sized>(mut self, format: &F, allocator: &mut A) {
        for level in (1..=F::LEVELS).rev().filter_map(Level::new) {
            while let Some(table) = self.take(level) {
                allocator.release(table, &TableRequest::of(format, level));
            }
        }
    }
}
