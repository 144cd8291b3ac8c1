//! One space behind an embedder's operations, read and written: single entries, and tables set aside for later.

use crate::raw::memory::{Borrowed, RawMemory, entry_addr};
use crate::raw::{MapError, RawFormat, TableMoveInfo, TableOps};
use crate::{Entry, Geometry, Level};

/// The space under `op`'s root. Tables and entries go by physical address.
pub(super) struct Space<'o, F, Op: TableOps> {
    pub(super) format: &'o F,
    pub(super) op: &'o Op,
    memory: RawMemory<F, Op, Borrowed<'o, Op>>,
    /// The root of a space that a reference is to: links to a table that moved are looked for there, too.
    pub(super) other: Option<u64>,
}

/// An entry on the way to an address.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) level: Level,
    /// The address that is translated, without sign extension.
    pub(super) va: u64,
    /// The entry's address.
    pub(super) entry: u64,
    pub(super) raw: u64,
}

impl Place {
    #[cold]
    pub(super) fn malformed<F: Geometry>(self, reserved: u64) -> MapError {
        let Self { level, va, entry, raw } = self;
        MapError::Malformed { va: F::canonical(va), level, entry, raw, reserved }
    }

    #[cold]
    pub(super) fn page_in_the_way<F: Geometry>(self) -> MapError {
        let Self { level, va, entry, raw } = self;
        MapError::PageInTheWay { va: F::canonical(va), level, entry, raw }
    }

    #[cold]
    pub(super) fn table_in_the_way<F: Geometry>(self) -> MapError {
        let Self { level, va, entry, raw } = self;
        MapError::TableInTheWay { va: F::canonical(va), level, entry, raw }
    }

    #[cold]
    fn capped<F: Geometry>(self) -> MapError {
        let Self { level, va, entry, raw } = self;
        MapError::Capped { va: F::canonical(va), level, entry, raw }
    }
}

/// Tables that were allocated and are not used yet: a list through their first entries.
#[derive(Clone, Copy)]
pub(super) struct Reserve {
    next: u64,
    left: usize,
}

impl<'o, F: RawFormat, Op: TableOps> Space<'o, F, Op> {
    /// # Safety
    ///
    /// As long as this lives, all of [`TableOps`] can be called; its reads and writes on every entry of the root tables
    /// (`op`'s own, those that it names, and `other`), of every table that a present entry reached from them links, and
    /// of those that it allocates; and nobody else reads or writes these.
    pub(super) unsafe fn new(format: &'o F, op: &'o Op) -> Self {
        // SAFETY: the caller promises that, for longer than the memory lives; what is written is written between reads.
        let memory = unsafe { RawMemory::new(Borrowed(op)) };
        Self { format, op, memory, other: None }
    }

    /// The table at the root, without what else a root register holds.
    #[inline(always)]
    pub(super) fn root(&self) -> u64 {
        self.table_of_root(self.op.root_table())
    }

    #[inline(always)]
    pub(super) fn table_of_root(&self, root: Op::TableAddr) -> u64 {
        self.format.root(Op::to_phys(root))
    }

    /// The address of the entry that translates `va` (without sign extension) in a table at `level`.
    #[inline(always)]
    pub(super) fn entry(table: u64, level: Level, va: u64) -> u64 {
        table.wrapping_add((F::index(level, va) * F::ENTRY_BYTES) as u64)
    }

    #[inline(always)]
    pub(super) fn place(&self, table: u64, level: Level, va: u64) -> Place {
        let entry = Self::entry(table, level, va);
        Place { level, va, entry, raw: self.read(entry) }
    }

    /// The table that an entry links, if any; on the way to pages of these attributes.
    #[inline(always)]
    pub(super) fn pass(&self, place: &Place, attributes: u64) -> Result<Option<u64>, MapError> {
        match self.format.decode(place.level, place.raw) {
            Entry::Absent => Ok(None),
            Entry::Table(_) if self.format.widen(place.level, place.raw, attributes) != place.raw => {
                Err(place.capped::<F>())
            }
            Entry::Table(table) => Ok(Some(table)),
            Entry::Leaf(_) => Err(place.page_in_the_way::<F>()),
            Entry::Malformed { reserved } => Err(place.malformed::<F>(reserved)),
        }
    }

    #[inline(always)]
    pub(super) fn read(&self, entry: u64) -> u64 {
        self.memory.entry_at(entry)
    }

    /// Writes an entry, and says where its table went if it had to move.
    #[inline(always)]
    pub(super) fn store(&self, entry: u64, raw: u64) -> Option<TableMoveInfo<Op>> {
        // SAFETY: entries that are stored are those of root tables, of tables that present entries link and of tables
        // that `op` allocated; whoever made `self` promised that those can be written, and that nobody else does.
        unsafe { self.op.write_entry(entry_addr::<Op>(entry), raw) }
    }

    /// Writes an entry of `table` that is in use. If the table has to move for that, every link to it follows: addresses
    /// of tables that were found before may not be theirs any more.
    #[inline(always)]
    pub(super) fn write(&mut self, table: u64, entry: u64, raw: u64) -> Result<(), MapError> {
        match self.store(entry, raw) {
            None => Ok(()),
            Some(moved) => self.follow(table, moved),
        }
    }

    /// Puts a table that was set aside where `table` at `level` has none for `va`.
    pub(super) fn link_new(
        &mut self,
        reserve: &mut Reserve,
        table: u64,
        level: Level,
        va: u64,
    ) -> Result<u64, MapError> {
        // As many as were counted are there, unless the tables changed since.
        let new = self.take(reserve).ok_or(MapError::OutOfTables { needed: 1, got: 0 })?;
        let link = self.format.link(level, new).ok_or(MapError::Unlinkable { table: new })?;
        self.write(table, Self::entry(table, level, va), link)?;
        Ok(new)
    }

    /// Sets so many tables aside, or none.
    pub(super) fn reserve(&self, needed: usize) -> Result<Reserve, MapError> {
        let mut reserve = Reserve { next: 0, left: 0 };
        while reserve.left < needed {
            let got = reserve.left;
            // SAFETY: whoever made `self` promised that this can be called, and `self` is not used meanwhile.
            let failed = match unsafe { self.op.alloc_table() } {
                None => MapError::OutOfTables { needed, got },
                Some(table) => {
                    let table = self.put(&mut reserve, Op::to_phys(table));
                    if self.format.link(F::ROOT, table).is_some() {
                        continue;
                    }
                    MapError::Unlinkable { table }
                }
            };
            self.release(reserve);
            return Err(failed);
        }
        Ok(reserve)
    }

    /// Puts a table of zeros at the head of the list. Returns where it is after that.
    fn put(&self, reserve: &mut Reserve, mut table: u64) -> u64 {
        // An address of a table is no present entry. The last one in the list says nothing.
        if reserve.left > 0 {
            table = self.settle(table, reserve.next);
        }
        *reserve = Reserve { next: table, left: reserve.left + 1 };
        table
    }

    /// Writes the first entry of a table that nothing links. Returns where it is after that.
    fn settle(&self, table: u64, raw: u64) -> u64 {
        self.store(table, raw).map_or(table, |moved| Self::table_moved(moved))
    }

    /// The next of the tables that were set aside, all zeros.
    pub(super) fn take(&self, reserve: &mut Reserve) -> Option<u64> {
        let left = reserve.left.checked_sub(1)?;
        let mut table = reserve.next;
        *reserve = Reserve { next: if left > 0 { self.read(table) } else { 0 }, left };
        if left > 0 {
            table = self.settle(table, 0);
        }
        Some(table)
    }

    /// Gives back what was not used.
    pub(super) fn release(&self, mut reserve: Reserve) {
        while let Some(table) = self.take(&mut reserve) {
            // SAFETY: the table came from `alloc_table`, nothing links it, and it is forgotten here.
            unsafe { self.op.free_table(Op::from_phys(table)) };
        }
    }
}
