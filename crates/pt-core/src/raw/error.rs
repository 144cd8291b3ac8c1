//! Why nothing was mapped.

use crate::Level;
use crate::raw::SpaceId;

/// Why [`map`](crate::raw::map) or [`space_aware_map`](crate::raw::space_aware_map) did not do what was asked. Unless
/// said otherwise, no table has changed. Virtual addresses are canonical, `entry` is an entry's physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The addresses are not whole pages, or not all in the address space, or not in one piece of it.
    #[error("{len:#x} bytes at {virt_base:#x} are no whole pages of the address space")]
    Range {
        /// The first virtual address, as it was given.
        virt_base: u64,
        /// Bytes.
        len: u64,
    },
    /// A physical address goes past the last one, is misaligned, or does not fit an entry with these attributes.
    #[error("no entry can map {va:#x} to {pa:#x} with attributes {attributes:#x}")]
    Unencodable {
        /// The virtual address.
        va: u64,
        /// The physical address.
        pa: u64,
        /// The attributes, as [`Encode`](crate::Encode) has them.
        attributes: u64,
    },
    /// Where a table has to be, there is a page, which would have to be split.
    #[error("{va:#x}: page {raw:#x} at {entry:#x} (level {level}) is where a table has to be")]
    PageInTheWay {
        /// The virtual address.
        va: u64,
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
    },
    /// Where a table is to be linked, another one is.
    #[error("{va:#x}: link {raw:#x} at {entry:#x} (level {level}) is to another table")]
    TableInTheWay {
        /// The virtual address.
        va: u64,
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry.
        raw: u64,
    },
    /// A link on the way withholds a right that is asked for.
    #[error("{va:#x}: link {raw:#x} at {entry:#x} (level {level}) withholds rights that are asked for")]
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
    /// There is no memory for the tables that are needed. Those that were had were given back.
    #[error("{needed} tables are needed, and there was memory for {got}")]
    OutOfTables {
        /// How many are needed.
        needed: usize,
        /// How many there were.
        got: usize,
    },
    /// No entry can hold the address of a table. If [`alloc_table`](crate::raw::TableOps::alloc_table) gave it, nothing
    /// has changed; if a table moved there, links to it are as after [`MapError::Adrift`].
    #[error("no link can hold the address {table:#x} of a table")]
    Unlinkable {
        /// The physical address of the table.
        table: u64,
    },
    /// The reference is to a space that is not among the built roots.
    #[error("space {space:#x} is not among the roots that were built")]
    UnknownSpace {
        /// The space.
        space: SpaceId,
    },
    /// The reference is to a table at a depth that the format does not have, or to a root, which no entry links.
    #[error("no entry links tables at depth {depth}")]
    Depth {
        /// The depth.
        depth: usize,
    },
    /// The reference's own entry is no link at its level.
    #[error("{va:#x}: {raw:#x} is no link at level {level}")]
    NotALink {
        /// The virtual address that it was to link.
        va: u64,
        /// The level that it would stand at.
        level: Level,
        /// The raw entry.
        raw: u64,
    },
    /// The tables are not those any more that were looked at: one that was written is met again in another way, as where a
    /// table hangs at two levels, or somebody else writes them. What was written stands.
    #[error("{va:#x}: the tables changed while they were written")]
    Changed {
        /// The virtual address that it was about when that showed.
        va: u64,
    },
    /// A table moved, then one that links it, and so on, more often than tables are deep: an embedder moves a table each
    /// time it is written. Or a root moved, and is named where it was all the same. What was written stands, and of the
    /// links to the table some are still to where it was.
    #[error("links to the table that moved from {from:#x} to {to:#x} could not all follow")]
    Adrift {
        /// Where the table was.
        from: u64,
        /// Where it is.
        to: u64,
    },
}

impl MapError {
    /// What it means once everything was looked at without meeting it; `start` is where the call starts.
    #[cold]
    pub(super) fn after_plan(self, start: u64) -> Self {
        match self {
            Self::Unlinkable { .. } | Self::Adrift { .. } => self,
            Self::Unencodable { va, .. }
            | Self::PageInTheWay { va, .. }
            | Self::TableInTheWay { va, .. }
            | Self::Capped { va, .. }
            | Self::Malformed { va, .. }
            | Self::NotALink { va, .. }
            | Self::Changed { va } => Self::Changed { va },
            Self::Range { .. }
            | Self::OutOfTables { .. }
            | Self::UnknownSpace { .. }
            | Self::Depth { .. } => Self::Changed { va: start },
        }
    }
}
