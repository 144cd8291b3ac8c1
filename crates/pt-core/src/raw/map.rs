//! `map`: a range of one space, written entry by entry.
//!
//! Not an adapter over [`Editor`](crate::Editor): that one holds whole tables, lists what it needs in `Vec`s and writes
//! tables that stay where they are. In-guest code maps where there is no allocator, reads single entries, and may see
//! its tables move. What is alike is the plan: everything is looked at before the first entry is written.
//!
//! ```text
//!   root ──▶ link ──▶ link ──▶ a run of entries to write        in a page table; above that a run is one entry
//!                         ╲
//!                          absent: a new table                  in the plan: one more that is needed
//! ```

use crate::raw::request::Request;
use crate::raw::space::{Place, Reserve, Space};
use crate::raw::{MapError, Mapping, RawFormat, TableMovability, TableMoveInfo, TableOps};
use crate::{Entry, Geometry, Level};

/// Maps `mapping` in the space under `op`'s root, or with [`MappingKind::Unmapped`](crate::raw::MappingKind) takes away
/// what is mapped there.
///
/// - [`kind`](Mapping::kind) and [`user_accessible`](Mapping::user_accessible) say what the pages permit;
///   [`entry`](Mapping::entry), if it is not zero, says all else: cache attributes, accessed and dirty, key, software bits.
///   Where it is zero, pages are accessed and dirty. What the hardware cannot withhold is granted: x86 has no page
///   that cannot be read, and 2-level paging none that cannot be executed.
/// - Pages are as large as alignment allows, up to [`level`](Mapping::level): those of a walk keep their size, a mapping by
///   hand is made of 4 KiB pages.
/// - Pages that are mapped already are replaced by pages of the same size, and unmapped whatever their size. Where only a
///   part of a large page is meant, it would have to be split, and that is an error.
/// - New links withhold nothing. Links that are there and withhold what is asked for are an error.
/// - A table that is reached in other ways too is changed for all of them. If it moves, they follow: see [`TableOps`].
/// - Unmapping makes entries zero. No table is freed by it.
///
/// Everything is looked at, and all tables that are needed are allocated, before the first entry is written. Flushing
/// TLBs is left to the caller.
///
/// # Errors
///
/// Nothing has changed after
///
/// - [`MapError::Range`]: no whole pages, or not in the address space;
/// - [`MapError::Unencodable`]: a physical address is misaligned or too high, or the entry has reserved bits;
/// - [`MapError::PageInTheWay`]: a large page would have to be split;
/// - [`MapError::Capped`]: a link on the way withholds rights;
/// - [`MapError::Malformed`]: an entry on the way has reserved bits set;
/// - [`MapError::OutOfTables`], or [`MapError::Unlinkable`] for a table that was allocated.
///
/// [`MapError::Changed`], and where tables move [`MapError::Adrift`] and [`MapError::Unlinkable`], can come after something
/// was written.
///
/// # Safety
///
/// - During the call, all of [`TableOps`] can be called: reads and writes on every entry of the roots that `op` names, of
///   every table that a present entry reached from them links, and of the tables that it allocates. Nothing else reads
///   or writes these.
/// - Whoever runs in the space is prepared for what its addresses mean afterwards, stale translations included.
#[inline]
pub unsafe fn map<F: RawFormat, Op: TableOps>(format: &F, op: &Op, mapping: Mapping) -> Result<(), MapError> {
    // SAFETY: the caller promises what `Space` asks for; no other space is involved.
    let space = unsafe { Space::new(format, op) };
    // One page whose tables are there is what most calls are about. All else is kept away from that path.
    if mapping.len == 1 << F::PAGE_SHIFT {
        let request = Request::new(format, &mapping)?;
        if let Some(table) = space.page_table(&request) {
            return space.map_page(table, request);
        }
    }
    space.map_range(mapping)
}

/// Entries of one table that are to be written.
#[derive(Clone, Copy)]
struct Run {
    /// The table; none where it is not there (yet).
    table: Option<u64>,
    level: Level,
    /// What they translate, as far as it is asked for.
    first: u64,
    last: u64,
}

impl<F: RawFormat, Op: TableOps> Space<'_, F, Op> {
    /// The page table that translates the first page, if the way to it is free.
    #[inline(always)]
    fn page_table(&self, request: &Request) -> Option<u64> {
        let attributes = request.attributes.unwrap_or(F::RESTRICTED);
        let (mut table, mut level) = (self.root(), F::ROOT);
        while let Some(below) = level.below() {
            let raw = self.read(Self::entry(table, level, request.first));
            table = self.format.passes(level, raw, attributes)?;
            level = below;
        }
        Some(table)
    }

    /// Maps the only page, in its page table.
    #[inline(always)]
    fn map_page(self, table: u64, request: Request) -> Result<(), MapError> {
        let place = self.place(table, Level::LEAF, request.first);
        if let Entry::Malformed { reserved } = self.format.decode(Level::LEAF, place.raw) {
            return Err(place.malformed::<F>(reserved));
        }
        let Some(raw) = request.page(self.format, Level::LEAF, request.first) else {
            return Err(request.unencodable::<F>(request.first));
        };
        match self.change(place.entry, raw) {
            None => Ok(()),
            Some(moved) => self.and_follow(table, moved),
        }
    }

    /// The end of a call that made a table move.
    #[cold]
    fn and_follow(mut self, table: u64, moved: TableMoveInfo<Op>) -> Result<(), MapError> {
        self.follow(table, moved)
    }

    /// Writes an entry. Where a table would have to move for that, it is not written if it does not change.
    #[inline(always)]
    fn change(&self, entry: u64, raw: u64) -> Option<TableMoveInfo<Op>> {
        let unchanged = <Op::TableMovability as TableMovability<_>>::MOVES && self.read(entry) == raw;
        if unchanged { None } else { self.store(entry, raw) }
    }

    /// Maps all that is asked for, wherever that may be.
    #[inline(never)]
    fn map_range(mut self, mapping: Mapping) -> Result<(), MapError> {
        if mapping.len == 0 {
            return Ok(());
        }
        let request = Request::new(self.format, &mapping)?;
        let (mut va, mut needed) = (request.first, 0);
        loop {
            let last = self.plan(&request, va, &mut needed)?;
            if last >= request.last {
                return self.commit(&request, needed);
            }
            va = last + 1;
        }
    }

    /// Finds the entries to be written from `va` on. Where a table is missing, `make` is asked for one, given the table
    /// above (none if that one is missing, too) and its level; it may decline, and the search goes on in zeros.
    fn locate(
        &mut self,
        request: &Request,
        va: u64,
        mut make: impl FnMut(&mut Self, Option<u64>, Level) -> Result<Option<u64>, MapError>,
    ) -> Result<Run, MapError> {
        let attributes = request.attributes.unwrap_or(F::RESTRICTED);
        let (mut table, mut level) = (Some(self.root()), F::ROOT);
        while let Some(below) = level.below() {
            let absent = Place { level, va, entry: 0, raw: 0 };
            let place = table.map_or(absent, |table| self.place(table, level, va));
            let run =
                Run { table, level, first: va, last: request.last.min(va | (F::entry_span(level) - 1)) };
            let free = matches!(self.format.decode(level, place.raw), Entry::Absent | Entry::Leaf(_));
            if free && request.page(self.format, level, va).is_some() {
                return Ok(run);
            }
            table = match self.pass(&place, attributes)? {
                Some(linked) => Some(linked),
                // Nothing is there, and nothing is to be.
                None if request.attributes.is_none() => return Ok(Run { table: None, ..run }),
                None => make(self, table, level)?,
            };
            level = below;
        }
        Ok(Run { table, level, first: va, last: request.last.min(va | F::table_span_last(level)) })
    }

    /// Looks at what is to be written from `va` on, and counts the tables that it takes. Returns how far that goes.
    fn plan(&mut self, request: &Request, va: u64, needed: &mut usize) -> Result<u64, MapError> {
        let run = self.locate(request, va, |_, _, level| {
            // A table that is missing is met again with each run in it. The first starts where it does, or the range.
            let within = F::entry_span(level) - 1;
            *needed += usize::from(va == request.first || va & within == 0);
            Ok(None)
        })?;
        if run.level == Level::LEAF {
            request.all_fit(self.format, run.first, run.last)?;
            for (va, entry) in run.table.into_iter().flat_map(|table| Self::entries_of(table, &run)) {
                let raw = self.read(entry);
                if let Entry::Malformed { reserved } = self.format.decode(Level::LEAF, raw) {
                    return Err(Place { level: run.level, va, entry, raw }.malformed::<F>(reserved));
                }
            }
        }
        Ok(run.last)
    }

    /// Writes all that is asked for, with so many new tables.
    fn commit(&mut self, request: &Request, needed: usize) -> Result<(), MapError> {
        let mut reserve = self.reserve(needed)?;
        let mut va = request.first;
        loop {
            match self.commit_run(request, va, &mut reserve) {
                Ok(last) if last < request.last => va = last + 1,
                done => {
                    self.release(reserve);
                    return done.map(|_| ()).map_err(|why| why.after_plan(F::canonical(request.first)));
                }
            }
        }
    }

    /// Writes from `va` on: one table's entries, until it moves. Returns the last address that was dealt with.
    fn commit_run(&mut self, request: &Request, va: u64, reserve: &mut Reserve) -> Result<u64, MapError> {
        let run = self.locate(request, va, |space, above, level| match above {
            Some(above) => space.link_new(reserve, above, level, va).map(Some),
            None => Ok(None),
        })?;
        match run.table {
            None => Ok(run.last),
            // The level of nearly all entries, as a constant.
            Some(table) if run.level == Level::LEAF => self.write_run(request, table, Level::LEAF, &run),
            Some(table) => self.write_run(request, table, run.level, &run),
        }
    }

    #[inline(always)]
    fn write_run(&mut self, request: &Request, table: u64, level: Level, run: &Run) -> Result<u64, MapError> {
        for (va, entry) in Self::entries_of(table, run) {
            let Some(raw) = request.page(self.format, level, va) else {
                return Err(request.unencodable::<F>(va));
            };
            if let Some(moved) = self.change(entry, raw) {
                self.follow(table, moved)?;
                return Ok(va | (F::entry_span(level) - 1));
            }
        }
        Ok(run.last)
    }

    /// The entries of a run, each with the address from which it translates. Above page tables there is one.
    #[inline(always)]
    fn entries_of(table: u64, run: &Run) -> impl Iterator<Item = (u64, u64)> + use<F, Op> {
        let (first, entry) = (run.first, Self::entry(table, run.level, run.first));
        let pages = if run.level == Level::LEAF { ((run.last - first) >> F::PAGE_SHIFT) + 1 } else { 1 };
        (0..pages).map(move |page| (first + (page << F::PAGE_SHIFT), entry + page * F::ENTRY_BYTES as u64))
    }
}
