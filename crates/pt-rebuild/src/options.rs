//! What a rebuild does where there is a choice, and why it cannot be done.

use pt_core::{Fault, Level};

use crate::NoRoom;

/// What pages show that map memory of old tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TableFrames {
    /// The old bytes, as data: the new tables are elsewhere, out of the guest's sight.
    #[default]
    Data,
    /// The new table: a guest that edits its tables goes on doing so. A table that a page maps goes where that page's
    /// frame goes (and stays where it stays).
    Live,
}

/// What happens to the sizes of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pages {
    /// They stay, but for large ones that a placement takes apart.
    #[default]
    Keep,
    /// All become the smallest.
    Split,
    /// Tables whose pages follow one another, and are alike, become one large page.
    Promote {
        /// Tables with several links, too: each link becomes a page, and what they shared is shared no more.
        shared: bool,
    },
}

/// What happens to entries that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Faults {
    /// Nothing is rebuilt.
    #[default]
    Refuse,
    /// They become zero.
    Clear,
    /// They stay as they are. What they point to stays out of use.
    Keep,
}

/// What a rebuild does where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildOptions {
    /// What pages show that map memory of old tables.
    pub table_frames: TableFrames,
    /// What happens to the sizes of pages.
    pub pages: Pages,
    /// What happens to entries that cannot be followed.
    pub faults: Faults,
    /// How many tables there can be in the end.
    pub limit: u64,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self {
            table_frames: TableFrames::default(),
            pages: Pages::default(),
            faults: Faults::default(),
            limit: u64::from(u32::MAX),
        }
    }
}

/// What an entry becomes, as one reading of it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// That value.
    Raw(u64),
    /// A link to a new table: that of the old table at this address, where it had one.
    Link {
        /// The old table's address; none for a table that splits a page.
        old: Option<u64>,
    },
}

/// Why spaces cannot be rebuilt in the way that was asked for. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Something cannot be followed, and that was to be refused; or it is a root.
    #[error(transparent)]
    Fault(Fault),
    /// Two readings of one entry do not agree on what becomes of it. A page that maps a table which its entry also links
    /// is one: the table must be [live](TableFrames::Live).
    #[error(
        "entry {raw:#x} at {entry:#x} is read at level {} and at level {}, and cannot become both {:x?} and {:x?}",
        one.0, other.0, one.1, other.1
    )]
    Conflict {
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
        /// The level of one reading, and what it makes of the entry.
        one: (Level, Becomes),
        /// The level of another reading, and what it makes of the entry.
        other: (Level, Becomes),
    },
    /// An entry cannot hold the address that its page or table was given.
    #[error("entry {raw:#x} at {entry:#x} (level {level}) cannot hold {to:#x}")]
    Unencodable {
        /// The physical address of the entry.
        entry: u64,
        /// The level of the entry.
        level: Level,
        /// The raw entry.
        raw: u64,
        /// The address.
        to: u64,
    },
    /// A root register cannot hold the address that its table was given.
    #[error("root register {register:#x} cannot hold {to:#x}")]
    UnencodableRoot {
        /// The register.
        register: u64,
        /// The address.
        to: u64,
    },
    /// The frames of a page were placed apart, and it is not to be split, or is the smallest.
    #[error("the frames of page {raw:#x} at {entry:#x} (level {level}) were placed apart")]
    Torn {
        /// The physical address of the entry.
        entry: u64,
        /// The level of the entry.
        level: Level,
        /// The raw entry.
        raw: u64,
    },
    /// An entry's format cannot take rights away that must go.
    #[error("entry {raw:#x} at {entry:#x} (level {level}) cannot be made read-only")]
    Unrestrictable {
        /// The physical address of the entry.
        entry: u64,
        /// The level of the entry.
        level: Level,
        /// The raw entry.
        raw: u64,
    },
    /// The placement put something that is not whole grains of one extent, moves by less than a grain, or twice.
    #[error(
        "the placement put {first:#x}..={last:#x}, which is not made of whole pieces that it was given, once each"
    )]
    Misplaced {
        /// The first old address.
        first: u64,
        /// The last old address.
        last: u64,
    },
    /// Two things would be at one address: frames, kept frames, or tables.
    #[error("{first:#x}..={last:#x} would be used twice")]
    Collision {
        /// The first new address in question.
        first: u64,
        /// The last new address of what begins there.
        last: u64,
    },
    /// The placement has no room.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// There would be more tables than there can be.
    #[error("more than {limit} tables would be needed")]
    Limit {
        /// How many there can be.
        limit: u64,
    },
    /// The allocator has not enough tables. Those that it gave were given back.
    #[error("{needed} tables are needed, and there was memory for {got}")]
    OutOfTables {
        /// How many are needed.
        needed: usize,
        /// How many there were.
        got: usize,
    },
    /// The allocator gave memory that is not as it was asked for. Everything was given back.
    #[error("a table cannot be at {table:#x}: it was to be {alignment}-byte aligned and end at {highest:#x}")]
    BadTable {
        /// The address.
        table: u64,
        /// The alignment that was asked for.
        alignment: u64,
        /// The highest address that was asked for.
        highest: u64,
    },
}
