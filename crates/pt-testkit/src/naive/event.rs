//! What the oracle says. The same facts as the engine's events, in types of its own.

use super::Missing;

/// What a path of entries permits; a page that is mapped can always be read by the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rights {
    /// Every R/W is set.
    pub write: bool,
    /// Every U/S is set.
    pub user: bool,
    /// No XD is set.
    pub execute: bool,
}

impl Rights {
    /// Before any entry was read.
    pub const ALL: Self = Self { write: true, user: true, execute: true };
}

/// What points to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The raw entry, or CR3.
    pub raw: u64,
    /// The physical address of the entry; none for CR3.
    pub entry: Option<u64>,
}

/// One thing that a walk meets. Levels count from the page tables, which are at level 1; addresses are canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of pt_core's events, which say what they are")]
pub enum Event {
    /// A table met for the first time.
    Table {
        space: u32,
        id: u32,
        level: u8,
        address: u64,
        va: u64,
        link: Link,
        rights: Rights,
        first_met: Option<u32>,
    },
    /// A page or a run of pages.
    Leaf { space: u32, level: u8, va: u64, pa: u64, pages: u32, raw: u64, entry: u64, rights: Rights },
    /// A link to a table met before.
    Alias {
        space: u32,
        owner: u32,
        table: u32,
        level: u8,
        address: u64,
        our_va: u64,
        their_va: u64,
        link: Link,
        rights: Rights,
    },
    /// A non-present entry that is not zero.
    Absent { space: u32, level: u8, va: u64, raw: u64, entry: u64 },
    /// A present entry with reserved bits set.
    Malformed { space: u32, level: u8, va: u64, raw: u64, entry: u64, reserved: u64 },
    /// A table at `level` that cannot be read.
    Unreadable { space: u32, level: u8, va: u64, table: u64, link: Link, why: Missing },
}

impl Event {
    /// Whether it is a table: what a walk of one root says about its own way rather than about the address space.
    pub fn is_table(&self) -> bool {
        matches!(self, Self::Table { .. })
    }

    /// Whether it is a non-present entry.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// The space that it belongs to.
    pub fn space(&self) -> u32 {
        match *self {
            Self::Table { space, .. }
            | Self::Leaf { space, .. }
            | Self::Alias { space, .. }
            | Self::Absent { space, .. }
            | Self::Malformed { space, .. }
            | Self::Unreadable { space, .. } => space,
        }
    }

    /// The first virtual address that it is about.
    pub fn va(&self) -> u64 {
        match *self {
            Self::Table { va, .. }
            | Self::Leaf { va, .. }
            | Self::Alias { our_va: va, .. }
            | Self::Absent { va, .. }
            | Self::Malformed { va, .. }
            | Self::Unreadable { va, .. } => va,
        }
    }
}
