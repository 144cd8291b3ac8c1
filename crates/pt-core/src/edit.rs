//! Editing: map, unmap, protect and collapse ranges of a space, in any format.
//!
//! Every operation is one descent per table, twice: a plan that validates and counts the tables that will be needed,
//! writing nothing, and, once these are reserved, a commit that writes. Both are the same code, [`Pass`], and differ in
//! what [`Phase`] does. So that a conflict, or an allocator that has not enough, leaves everything as it was.
//!
//! ```text
//! pass(table):  for each entry in range:  keep it
//!                                         store another            map, unmap, protect a page
//!                                         descend                  into the table that it links,
//!                                                                  a new one where it is absent,
//!                                                                  or its page in pieces
//! ```
//!
//! Order of writes: a new table is written whole before the link that brings it into use, so that a CPU that walks the
//! tables meanwhile sees the old state or the new one.

mod change;
mod flush;
mod pass;
mod run;
mod sharing;
mod size;
mod tables;
mod way;

use core::ops::RangeInclusive;

use change::{Action, Change};
pub use change::{MapOptions, Protection};
pub use flush::{Flush, Stale, StaleRange, StaleRanges};
use pass::{Pass, Phase};
pub use sharing::{Reach, Sharing};
pub use tables::{BumpTables, TableAllocator, TableRequest};
use tables::{Needed, Reserved};

use crate::{Encode, Geometry, Level, MemoryMut, Unreadable};

/// Why an edit did not happen. Unless said otherwise, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The range is empty, is not made of whole pages, or is not in the address space as one piece.
    #[error("{first:#x}..={last:#x} is no range of whole pages of the address space")]
    Range {
        /// Its first address.
        first: u64,
        /// Its last address.
        last: u64,
    },
    /// A page's address is misaligned, goes past the last address, or with its attributes does not fit an entry.
    #[error("no entry can map {va:#x} to {pa:#x} with attributes {attributes:#x}")]
    Unencodable {
        /// The virtual address.
        va: u64,
        /// The physical address.
        pa: u64,
        /// The attributes.
        attributes: u64,
    },
    /// Something is mapped there already, and was not to be replaced.
    #[error("{va:#x} is mapped already: entry {raw:#x} at {entry:#x} (level {level})")]
    Mapped {
        /// The virtual address.
        va: u64,
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
    },
    /// Nothing is mapped there.
    #[error("{va:#x} is not mapped: entry {raw:#x} at {entry:#x} (level {level})")]
    NotMapped {
        /// The virtual address.
        va: u64,
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
    },
    /// A link on the way withholds a right that is asked for, and was not to be widened.
    #[error("{va:#x}: link {raw:#x} at {entry:#x} (level {level}) caps the rights that are asked for")]
    Capped {
        /// The virtual address.
        va: u64,
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
    },
    /// An entry on the way has reserved bits set.
    #[error("{va:#x}: entry {raw:#x} at {entry:#x} (level {level}) has reserved bits {reserved:#x} set")]
    Malformed {
        /// The virtual address.
        va: u64,
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
        /// The reserved bits that are set in it.
        reserved: u64,
    },
    /// A table is reached in other ways too, and was not to be edited for all of them.
    #[error("{va:#x}: the table at {table:#x} (level {level}) is shared")]
    Shared {
        /// The virtual address.
        va: u64,
        /// The level of the table.
        level: Level,
        /// The physical address of the table.
        table: u64,
    },
    /// A table cannot be read.
    #[error("{va:#x}: the table at {table:#x} (level {level}) cannot be read: {why}")]
    Unreadable {
        /// The virtual address.
        va: u64,
        /// The level of the table.
        level: Level,
        /// The physical address of the table.
        table: u64,
        /// Why.
        why: Unreadable,
    },
    /// The allocator has not enough tables. Those that it gave were given back.
    #[error("{needed} tables are needed, and there was memory for {got}")]
    OutOfTables {
        /// How many are needed.
        needed: usize,
        /// How many there were.
        got: usize,
    },
    /// More tables would be gone through than the edit may: see [`Editor::limit`].
    #[error("limit of {limit} tables reached at {va:#x}")]
    Limit {
        /// How many there may be.
        limit: u64,
        /// The first virtual address of the table that is one too many.
        va: u64,
    },
    /// The allocator gave a table at an address that no link can hold. It was given back, like the others.
    #[error("no link can hold the address {table:#x} of a new table")]
    Unlinkable {
        /// Its physical address.
        table: u64,
    },
    /// The tables are not those any more that were planned for. Either somebody else writes them, or the edit wrote a table
    /// that it then met in another way: nobody said that it is [shared](Editor::shared), or it was to be edited for all
    /// and hangs at two levels. What was written before stands, as after [`Unwritable`](Self::Unwritable).
    #[error("{va:#x}: the tables changed while they were edited")]
    Changed {
        /// The virtual address that it was about when that showed.
        va: u64,
    },
    /// Memory that was read could not be written. What was written before stands: the edit is done for some of its entries
    /// and not for others, of which each is as it was or as it is to be, and no link leads to a table that was not written
    /// whole. What is stale is not known, so that everything is to be flushed. Tables that were reserved and not used
    /// were given back; those that were written, and those that were unlinked, were not.
    #[error("entries at {entry:#x} cannot be written: {why}")]
    Unwritable {
        /// The physical address of the first entry that was to be written.
        entry: u64,
        /// Why.
        why: Unreadable,
    },
}

impl EditError {
    /// What it means in a commit, after a plan that did not meet it; `start` is where the edit starts.
    #[cold]
    fn after_plan(self, start: u64) -> Self {
        match self {
            Self::Unwritable { .. } => self,
            Self::Unencodable { va, .. }
            | Self::Mapped { va, .. }
            | Self::NotMapped { va, .. }
            | Self::Capped { va, .. }
            | Self::Malformed { va, .. }
            | Self::Shared { va, .. }
            | Self::Unreadable { va, .. }
            | Self::Limit { va, .. }
            | Self::Changed { va } => Self::Changed { va },
            Self::Range { .. } | Self::OutOfTables { .. } | Self::Unlinkable { .. } => {
                Self::Changed { va: start }
            }
        }
    }
}

/// What happens to a table that other spaces, or other addresses, reach too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnShared {
    /// The edit is refused.
    #[default]
    Refuse,
    /// The table is edited for all, and all of them are told to flush.
    EditForAll,
    /// The table is copied first, and only this path links the copy.
    Unshare,
}

/// Edits the tables of one space.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{BumpTables, Editor, MapOptions, Protection, translate};
/// use pt_x86::EntryFlags;
///
/// let (mut memory, mut tables) = (vec![0; 0x10_0000], BumpTables::new(0x2000..=0xf_ffff));
/// let mut editor = Editor::new(FourLevel::default(), &mut memory, &mut tables, 0x1000);
///
/// // 4 MiB and a page, with the largest pages that alignment allows.
/// let data = (EntryFlags::WRITABLE | EntryFlags::NO_EXECUTE).bits();
/// let flush = editor.map(0x20_0000..=0x60_0fff, 0x4000_0000, data, MapOptions::default())?;
/// flush.done(&mut tables);
/// assert_eq!(translate(&FourLevel::default(), &memory, 0x1000, 0x60_0123)?.pa, 0x4040_0123);
///
/// // One page of it becomes read-only: the 2 MiB page around it is split.
/// let mut editor = Editor::new(FourLevel::default(), &mut memory, &mut tables, 0x1000);
/// let read_only = Protection { clear: EntryFlags::WRITABLE.bits(), ..Protection::default() };
/// let flush = editor.protect(0x20_3000..=0x20_3fff, read_only)?;
/// flush.done(&mut tables);
/// let page = translate(&FourLevel::default(), &memory, 0x1000, 0x20_3000)?;
/// assert_eq!((page.pa, page.level.number()), (0x4000_3000, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Editor<'a, F, M: ?Sized, A: ?Sized> {
    format: F,
    memory: &'a mut M,
    tables: &'a mut A,
    root: u64,
    sharing: Option<(&'a Sharing, OnShared)>,
    free_empty: bool,
    limit: u64,
}

impl<F, M: ?Sized, A: ?Sized> Editor<'_, F, M, A> {
    /// How many tables an edit goes through if nothing else is said: as many as 32 TiB of the smallest pages have.
    pub const LIMIT: u64 = 1 << 24;
}

impl<'a, F: Encode, M: MemoryMut + ?Sized, A: TableAllocator + ?Sized> Editor<'a, F, M, A> {
    /// Edits the space under `root` (as the register holds it). Unless [`shared`](Self::shared) says otherwise, each of
    /// its tables is taken to be reached in one way only.
    pub fn new(format: F, memory: &'a mut M, tables: &'a mut A, root: u64) -> Self {
        Self { format, memory, tables, root, sharing: None, free_empty: false, limit: Self::LIMIT }
    }

    /// With what a walk found of tables that are reached in several ways, and what to do with them.
    ///
    /// It describes the tables as they were walked: after an edit that made or freed tables, walk again.
    pub fn shared(self, sharing: &'a Sharing, policy: OnShared) -> Self {
        Self { sharing: Some((sharing, policy)), ..self }
    }

    /// Whether tables that an edit empties are unlinked and freed. Default: no. Shared ones never are.
    pub fn free_empty(self, free_empty: bool) -> Self {
        Self { free_empty, ..self }
    }

    /// How many tables an edit may go through, each counted as often as it is reached. A few tables that link each other are
    /// reached in billions of ways. Default: [`LIMIT`](Self::LIMIT).
    pub fn limit(self, tables: u64) -> Self {
        Self { limit: tables, ..self }
    }

    /// Maps `range` to the physical addresses from `pa` on, with the largest pages that alignment and `options` allow.
    ///
    /// `attributes` are as [`Encode`] has them. Links that are made restrict nothing; links that are there and would
    /// cap the attributes are an error, unless they may be widened (which grants more to whatever else hangs below).
    ///
    /// # Errors
    ///
    /// [`EditError::Range`], [`Unencodable`](EditError::Unencodable), [`Mapped`](EditError::Mapped),
    /// [`Capped`](EditError::Capped), [`Malformed`](EditError::Malformed), [`Shared`](EditError::Shared),
    /// [`Unreadable`](EditError::Unreadable), [`OutOfTables`](EditError::OutOfTables),
    /// [`Unlinkable`](EditError::Unlinkable), [`Limit`](EditError::Limit): nothing has changed; [`Unwritable`](EditError::Unwritable),
    /// [`Changed`](EditError::Changed): something may have.
    pub fn map(
        &mut self,
        range: RangeInclusive<u64>,
        pa: u64,
        attributes: u64,
        options: MapOptions,
    ) -> Result<Flush, EditError> {
        let (first, last) = Self::pages(&range)?;
        if pa.checked_add(last - first).is_none() {
            return Err(EditError::Unencodable { va: *range.start(), pa, attributes });
        }
        self.apply(Change::Map { offset: pa.wrapping_sub(first), attributes, options }, first, last)
    }

    /// Takes away what `range` maps. Large pages that it cuts are split; entries that are absent stay as they are.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map), but for [`EditError::Mapped`] and [`EditError::Capped`].
    pub fn unmap(&mut self, range: RangeInclusive<u64>) -> Result<Flush, EditError> {
        let (first, last) = Self::pages(&range)?;
        self.apply(Change::Unmap, first, last)
    }

    /// Changes the attributes of the pages in `range`. Large pages that it cuts are split.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map), with [`EditError::NotMapped`] (unless holes are skipped) in place of
    /// [`EditError::Mapped`].
    pub fn protect(
        &mut self,
        range: RangeInclusive<u64>,
        protection: Protection,
    ) -> Result<Flush, EditError> {
        let (first, last) = Self::pages(&range)?;
        self.apply(Change::Protect(protection), first, last)
    }

    /// Replaces tables that lie whole in `range` by large pages, where these map the same with the same rights. Accessed
    /// and dirty bits of the pages are joined.
    ///
    /// # Errors
    ///
    /// As [`unmap`](Self::unmap).
    pub fn collapse(&mut self, range: RangeInclusive<u64>) -> Result<Flush, EditError> {
        let (first, last) = Self::pages(&range)?;
        self.apply(Change::Collapse, first, last)
    }

    /// The range without sign extension, if it is one of whole pages.
    fn pages(range: &RangeInclusive<u64>) -> Result<(u64, u64), EditError> {
        let (first, last) = (*range.start(), *range.end());
        let offset = (1u64 << F::PAGE_SHIFT) - 1;
        let whole = first & offset == 0 && last & offset == offset;
        let spans_hole = F::SIGN_EXTENDED && (first ^ last) >> 63 != 0;
        if !whole || first > last || spans_hole || !F::is_canonical(first) || !F::is_canonical(last) {
            return Err(EditError::Range { first, last });
        }
        Ok((first & F::VA_MASK, last & F::VA_MASK))
    }

    fn apply(&mut self, change: Change, first: u64, last: u64) -> Result<Flush, EditError> {
        if let Some(place) = self.page(&change, first, last) {
            match change.decide(&self.format, &place) {
                Ok(Action::Store(stored)) => return self.store(&place, stored),
                Ok(Action::Keep) => return self.store(&place, place.raw),
                Ok(Action::Descend(_)) => {}
                Err(why) => return Err(place.error(&self.format, why)),
            }
        }
        self.plan_and_commit(change, first, last)
    }

    /// Does an edit that is about any number of tables and entries.
    #[inline(never)]
    fn plan_and_commit(&mut self, change: Change, first: u64, last: u64) -> Result<Flush, EditError> {
        let start = self.start(&change, first, last);
        let mut plan = Pass::new(self, change, first, last, Phase::Plan { needed: Needed::default() });
        plan.run(start)?;
        let needed = plan.needed();
        let reserved = Reserved::new(&self.format, self.tables, needed)?;
        let mut commit = Pass::new(self, change, first, last, Phase::Commit { reserved });
        let done = commit.run(start);
        let (flush, unused) = commit.finish();
        // The plan and the commit see the same tables, so that nothing is left over, unless the commit failed.
        if let Some(unused) = unused {
            unused.release(&self.format, self.tables);
        }
        done.map(|()| flush).map_err(|why| why.after_plan(F::canonical(first)))
    }
}
