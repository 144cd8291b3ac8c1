//! Tables as nodes: what a rebuild starts from.
//!
//! A walk meets a table once per depth and window; memory has it once. A [`Graph`] has it once too, with every reading:
//! a node is a stretch of physical memory that holds tables, and each visit says at which level some of its entries were
//! read. (Nearly always that is one table and one visit. A table that a self-map leads to has a visit per level; a PAE
//! root of 32 bytes inside a frame that is also a page table is one node with it.)
//!
//! ```text
//! node    old address, entries as they were
//!   visit   level, which entries          links ──▶ nodes          faults
//! ```

mod merge;
mod raw;
mod record;

use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use pt_core::{
    Cause, Encode, Fault, Format, Geometry, Level, LimitReached, Limits, MIN_TABLE_ALIGNMENT, Memory,
    Options, TableRequest, Walk,
};

/// A node's number.
pub(crate) type NodeId = u32;

/// The tables of some spaces, ready to be rebuilt.
#[derive(Clone, Debug)]
pub struct Graph<F> {
    pub(crate) format: F,
    pub(crate) nodes: Vec<Node>,
    pub(crate) roots: Vec<Root>,
    /// What pages map, in the order of the walk.
    pub(crate) frames: Vec<Frames>,
}

/// A stretch of memory that holds tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Where it was; none for a table of which only the mappings are known.
    pub(crate) old: Option<u64>,
    /// Its entries as they were; zero where none was met.
    pub(crate) bytes: Vec<u8>,
    pub(crate) visits: Vec<Visit>,
}

/// Entries of a node, read as those of a table at one level.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) level: Level,
    /// The first of the node's entries that is this table's.
    pub(crate) base: usize,
    /// From the first to the last entry that was met, in numbers of the node.
    pub(crate) seen: Range<usize>,
    /// Entries that are links, ascending, and where they lead.
    pub(crate) links: Vec<(usize, NodeId)>,
    /// Entries that cannot be followed.
    pub(crate) faults: Vec<(usize, Fault)>,
}

/// A root as its register has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    pub(crate) register: u64,
    /// The node, and how many bytes into it; the fault of a root that cannot be read.
    pub(crate) to: Result<(NodeId, u64), Fault>,
}

/// Pages of one size that follow one another in physical memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames {
    pub(crate) first: u64,
    pub(crate) size: u64,
    pub(crate) pages: u32,
}

impl Frames {
    pub(crate) fn last(&self) -> u64 {
        self.first.saturating_add(self.size * u64::from(self.pages) - 1)
    }
}

/// Why events or mappings do not make a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The walk reached a limit.
    #[error(transparent)]
    Limit(#[from] LimitReached),
    /// Events are not those of one whole walk in its order.
    #[error("event {index} does not follow from those before it")]
    Disordered {
        /// Which event.
        index: u64,
    },
    /// Two readings of one entry differ: the guest was running.
    #[error("the entry at {entry:#x} was read as {raw:#x} and as {other:#x}: it changed meanwhile")]
    Changed {
        /// The physical address of the entry.
        entry: u64,
        /// One reading.
        raw: u64,
        /// The other.
        other: u64,
    },
    /// A mapping or reference of a raw result that cannot be in a table of the format.
    #[error("space {space:#x} cannot have {what} at {va:#x}")]
    Misplaced {
        /// The space.
        space: u64,
        /// The virtual address.
        va: u64,
        /// What it is.
        what: &'static str,
    },
    /// A reference of a raw result to a space that is not before it.
    #[error("space {space:#x} refers at {va:#x} to space {owner:#x}, which does not come before it")]
    NoSuchSpace {
        /// The space that refers.
        space: u64,
        /// The virtual address.
        va: u64,
        /// The space that it refers to.
        owner: u64,
    },
}

impl<F: Format> Graph<F> {
    /// Walks the spaces under `roots` (as registers hold them) as far as `range` goes, and keeps what it meets.
    ///
    /// ```
    /// use pt_amd64::FourLevel;
    /// use pt_core::Limits;
    /// use pt_rebuild::Graph;
    ///
    /// // Two roots that share a PDPT, which maps one page of 1 GiB.
    /// let mut memory = vec![0; 0x4000];
    /// for (at, raw) in [(0x1000, 0x3003_u64), (0x2000, 0x3001), (0x3000, 0x4000_0083)] {
    ///     memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    /// }
    /// let graph = Graph::read(FourLevel::default(), &memory, &[0x1000, 0x2000], 0..=u64::MAX, Limits::NONE)?;
    /// assert_eq!((graph.spaces(), graph.tables()), (2, 3));
    /// # Ok::<(), pt_rebuild::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`GraphError::Limit`]: there is more than `limits` allow;
    /// - [`GraphError::Changed`]: the guest writes its tables meanwhile.
    pub fn read<M: Memory + ?Sized>(
        format: F,
        memory: &M,
        roots: &[u64],
        range: RangeInclusive<u64>,
        limits: Limits,
    ) -> Result<Self, GraphError> {
        let options =
            Options { range, limits, absent: true, leaves: pt_core::Leaves::Runs, ..Options::default() };
        Self::record(format.clone(), Walk::new(format, memory, roots, options))
    }

    /// How many spaces there are.
    pub fn spaces(&self) -> usize {
        self.roots.len()
    }

    /// How many tables there are, each counted once.
    pub fn tables(&self) -> usize {
        self.nodes.len()
    }

    /// The physical memory of the tables, each once, where their places are known.
    pub fn table_memory(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.nodes.iter().filter_map(|node| Some(node.old?..=node.last()?))
    }

    /// What each table needs of its place, in the order in which they were met.
    pub fn requests(&self) -> impl Iterator<Item = TableRequest>
    where
        F: Encode,
    {
        self.nodes.iter().map(|node| node.request(&self.format))
    }

    /// The physical memory that pages map, in the order of the walk; what is mapped twice comes twice.
    pub fn mapped(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.frames.iter().map(|frames| frames.first..=frames.last())
    }

    /// The physical memory of tables that are linked and cannot be read: where links to them [are kept](crate::Faults::Keep),
    /// nothing else can go. A table that is linked twice comes twice.
    pub fn unreadable(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let visits = self.nodes.iter().flat_map(|node| &node.visits);
        let faults = visits.flat_map(|visit| &visit.faults);
        faults.filter_map(|(_, fault)| match fault.cause {
            Cause::Unreadable { level, table, .. } => {
                Some(table..=table.saturating_add(F::table_bytes(level) as u64 - 1))
            }
            _ => None,
        })
    }
}

impl Node {
    /// The raw entry of that number.
    #[inline]
    pub(crate) fn raw<F: Format>(&self, index: usize) -> u64 {
        raw_entry::<F>(&self.bytes, index)
    }

    /// Where the entry of that number was; 0-based where the node's own place is not known.
    pub(crate) fn entry<F: Format>(&self, index: usize) -> u64 {
        self.old.unwrap_or(0).wrapping_add((index * F::ENTRY_BYTES) as u64)
    }

    /// What it needs of its place: what all its visits allow.
    pub(crate) fn request<F: Encode>(&self, format: &F) -> TableRequest {
        let bytes = self.bytes.len() as u64;
        let alignment = bytes.next_power_of_two().max(MIN_TABLE_ALIGNMENT);
        let visits = self.visits.iter().map(|visit| {
            let end = (visit.base * F::ENTRY_BYTES + F::table_bytes(visit.level)) as u64;
            format.highest_table_address(visit.level).saturating_add(bytes.saturating_sub(end))
        });
        TableRequest { bytes, alignment, highest: visits.min().unwrap_or(u64::MAX) }
    }

    /// The last address of the node, where it has one.
    pub(crate) fn last(&self) -> Option<u64> {
        self.old?.checked_add(self.bytes.len() as u64 - 1)
    }
}

impl Visit {
    /// A table at `level` of which nothing was met yet.
    pub(crate) fn new(level: Level, base: usize) -> Self {
        Self { level, base, seen: 0..0, links: Vec::new(), faults: Vec::new() }
    }

    /// Counts the entry of that number among those that were met.
    pub(crate) fn see(&mut self, index: usize) {
        self.seen = if self.seen.is_empty() {
            index..index + 1
        } else {
            self.seen.start.min(index)..self.seen.end.max(index + 1)
        };
    }

    /// Whether every entry of the table was met.
    pub(crate) fn is_whole<F: Format>(&self) -> bool {
        self.seen.len() == F::entries(self.level)
    }
}

/// The entry of that number in the bytes of a table; 0 past the end.
#[inline]
pub(crate) fn raw_entry<F: Format>(bytes: &[u8], index: usize) -> u64 {
    if F::ENTRY_BYTES == 4 {
        bytes.as_chunks().0.get(index).map_or(0, |entry| u64::from(u32::from_le_bytes(*entry)))
    } else {
        bytes.as_chunks().0.get(index).map_or(0, |entry| u64::from_le_bytes(*entry))
    }
}

/// Stores an entry in the bytes of a table.
#[inline]
pub(crate) fn store_entry<F: Format>(bytes: &mut [u8], index: usize, raw: u64) {
    let at = index * F::ENTRY_BYTES;
    if let Some(entry) = bytes.get_mut(at..at + F::ENTRY_BYTES) {
        entry.copy_from_slice(&raw.to_le_bytes()[..F::ENTRY_BYTES]);
    }
}
