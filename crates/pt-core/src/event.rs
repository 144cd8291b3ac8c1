//! What a walk says, one [`Event`] at a time.
//!
//! Per space in root order, per space in ascending virtual address. The first event of a space is about its root, at
//! depth 0: a table, an alias (the root was met before) or a fault (it cannot be read).

#[cfg(feature = "alloc")]
use crate::Format;
use crate::{Level, Unreadable};

/// A space: the index of its root in the roots that were given. (A root's address would not do: it is not unique.)
pub type Space = u32;

/// A table visit: tables are numbered from 0 in the order in which the walk introduced them, without gaps, so that
/// what is kept per table is a `Vec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

impl TableId {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One thing that the walk met. `R` are the format's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<R> {
    /// A table met for the first time at this depth. Its bytes were read.
    Table(Table<R>),
    /// A page, or a run of them.
    Leaf(Leaf<R>),
    /// A link to a table that an earlier event introduced.
    Alias(Alias<R>),
    /// An entry that is not present but not zero either. Only on request.
    Absent(Absent),
    /// Something in range that cannot be followed.
    Fault(Fault),
}

/// A link as it stands in memory: an entry that points to a table, or the root register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The raw entry, or the root as it was given (CR3 with all its fields).
    pub raw: u64,
    /// The entry's physical address; none for a root, which no table holds.
    pub entry: Option<u64>,
}

/// A table met for the first time at this depth and through this window of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table<R> {
    /// The space that owns it.
    pub space: Space,
    /// Its number: one more than the last table's.
    pub id: TableId,
    /// Its level; the root's is the format's highest.
    pub level: Level,
    /// Its physical address.
    pub address: u64,
    /// The first virtual address that it maps, aligned to its span even where the range starts later.
    pub va: u64,
    /// What points to it.
    pub link: Link,
    /// The rights of the path down to and including that link.
    pub rights: R,
    /// The first visit of the same physical table, where it was met before: at another depth, through another window
    /// where the range cuts it differently here, or as a root that is read again.
    pub first_met: Option<TableId>,
}

/// A page that the tables map, or a run of pages: contiguous in both address spaces, equal in attributes and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<R> {
    /// The space through which it was met first.
    pub space: Space,
    /// The level of the entry: its page size is the span of one entry there.
    pub level: Level,
    /// The first virtual address.
    pub va: u64,
    /// The first physical address.
    pub pa: u64,
    /// How many pages of the level's size: 1, unless runs were asked for. Never past the end of one table.
    pub pages: u32,
    /// The raw entry; for a run that of its first page.
    pub raw: u64,
    /// The physical address of that entry.
    pub entry: u64,
    /// The rights of the whole path, this entry included.
    pub rights: R,
}

/// A link to a table that was met before, at the same depth and through the same window of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias<R> {
    /// The space that holds this link.
    pub space: Space,
    /// The space that owns the table: an earlier one, or this one.
    pub owner: Space,
    /// The table's number, as its owner's event gave it.
    pub table: TableId,
    /// The table's level.
    pub level: Level,
    /// The table's physical address.
    pub address: u64,
    /// The first virtual address that the table maps through this link.
    pub our_va: u64,
    /// The first virtual address at which its owner has it.
    pub their_va: u64,
    /// What points to it here: two links to one table can differ in everything but the address.
    pub link: Link,
    /// The rights of *this* path down to and including the link.
    pub rights: R,
}

/// An entry that is not present, but carries something (a swap slot, a copy-on-write mark).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The space.
    pub space: Space,
    /// The level of the entry.
    pub level: Level,
    /// The first virtual address that the entry stands for.
    pub va: u64,
    /// The raw entry.
    pub raw: u64,
    /// The physical address of the entry.
    pub entry: u64,
}

/// Something in range that the walk could not follow. The walk goes on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}, at {va:#x}")]
pub struct Fault {
    /// The space.
    pub space: Space,
    /// The first virtual address that is lost by it.
    pub va: u64,
    /// What is wrong.
    pub cause: Cause,
}

impl Fault {
    /// How many tables are open above the place of the fault.
    #[cfg(feature = "alloc")]
    pub(crate) fn tables_above<F: Format>(&self) -> usize {
        match self.cause {
            Cause::Malformed { level, .. } => level.depth::<F>() + 1,
            Cause::Unreadable { level, .. } => level.depth::<F>(),
        }
    }
}

/// Why a link or a page cannot be followed: what a walk reports and a translation returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A present entry has reserved bits set.
    #[error("entry {raw:#x} at {entry:#x} (level {level}) has reserved bits {reserved:#x} set")]
    Malformed {
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
        /// The reserved bits that are set in it.
        reserved: u64,
    },
    /// A table cannot be read.
    #[error("the table at {table:#x} (level {level}), linked by {:#x}, cannot be read: {why}", link.raw)]
    Unreadable {
        /// The level of the table that cannot be read: one below that of the entry that links it.
        level: Level,
        /// The table's physical address.
        table: u64,
        /// What points to it.
        link: Link,
        /// Why its bytes cannot be had.
        why: Unreadable,
    },
}

impl<R> Event<R> {
    /// The space that the event belongs to.
    pub fn space(&self) -> Space {
        match self {
            Self::Table(table) => table.space,
            Self::Leaf(leaf) => leaf.space,
            Self::Alias(alias) => alias.space,
            Self::Absent(absent) => absent.space,
            Self::Fault(fault) => fault.space,
        }
    }

    /// The first virtual address that the event is about.
    pub fn va(&self) -> u64 {
        match self {
            Self::Table(table) => table.va,
            Self::Leaf(leaf) => leaf.va,
            Self::Alias(alias) => alias.our_va,
            Self::Absent(absent) => absent.va,
            Self::Fault(fault) => fault.va,
        }
    }
}
