//! The proof: old and new in lockstep.
//!
//! It shares no code with the rebuild but the formats, and knows nothing of how the new spaces came to be: from two
//! memories and pairs of roots it finds out which table became which, and which frame, and checks that both are
//! one-to-one, that every entry kept every bit but its address, and that behind every address are the same bytes.

mod bytes;
mod intervals;
mod judge;
mod whole;

use alloc::format;
use alloc::string::String;
use core::cell::Cell;
use core::hash::Hash;
use core::ops::RangeInclusive;

use pt_core::{CompareLimit, Encode, Level, Mapped, Memory, Scope, lockstep};

use crate::{Faults, FrameMap, NewRoot, TableFrames};
use judge::Findings;

/// What is to be proved.
#[derive(Clone, Debug)]
pub struct Proof<'a> {
    /// The virtual addresses, both ends included.
    pub range: RangeInclusive<u64>,
    /// What pages show that map memory of old tables.
    pub table_frames: TableFrames,
    /// Whether pages may have become smaller or larger.
    pub sizes: bool,
    /// Whether frames may have been merged, and pages that map them made read-only.
    pub merged: bool,
    /// What became of entries that cannot be followed: whether they may be cleared.
    pub faults: Faults,
    /// Where frames must have gone, if that is known. Pages of frames that it drops are absent.
    pub frames: Option<&'a FrameMap>,
    /// How many tables may be read on each side.
    pub limit: u64,
}

impl Default for Proof<'_> {
    fn default() -> Self {
        Self {
            range: 0..=u64::MAX,
            table_frames: TableFrames::default(),
            sizes: false,
            merged: false,
            faults: Faults::default(),
            frames: None,
            limit: u64::MAX,
        }
    }
}

/// How many there were, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Before.
    pub old: u64,
    /// After.
    pub new: u64,
}

/// What was proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Pairs of spaces.
    pub spaces: u64,
    /// Tables, each counted once.
    pub tables: Count,
    /// Bytes that pages map, each counted once.
    pub mapped: Count,
    /// Bytes that were compared.
    pub bytes: u64,
    /// Mapped bytes that the old memory does not have, so that there was nothing to compare.
    pub unreadable: u64,
    /// Tables that are where a page maps them, on both sides.
    pub live_tables: u64,
}

/// Where new spaces are not the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch<R: core::fmt::Debug> {
    /// An entry, or a root's register (level 0 of entries: the one above all tables), has other bits than it must have.
    #[error("{va:#x}: entry {old:#x} became {new:#x} (table of level {level} below it)")]
    Link {
        /// The virtual address.
        va: u64,
        /// The level of the table that it links.
        level: Level,
        /// The old entry.
        old: u64,
        /// The new entry.
        new: u64,
    },
    /// A table is shared in another way: it has become two, or two have become one.
    #[error("{va:#x}: table {old:#x} (level {level}) became {new:#x}, and elsewhere {known:#x}")]
    Sharing {
        /// The virtual address.
        va: u64,
        /// The level of the table.
        level: Level,
        /// The old table.
        old: u64,
        /// The new table.
        new: u64,
        /// What the old table became elsewhere, or which other old table became the new one.
        known: u64,
    },
    /// A table that one side has and the other has not.
    #[error("{va:#x}: table {:#x} (level {level}) is {}", new.or(*old).unwrap_or(0), if new.is_some() { "new" } else { "gone" })]
    Table {
        /// The virtual address.
        va: u64,
        /// The level of the table.
        level: Level,
        /// The old table.
        old: Option<u64>,
        /// The new table.
        new: Option<u64>,
    },
    /// What is mapped differs in presence, size, rights, attributes, or in what cannot be followed.
    #[error("{va:#x}: {old:x?} became {new:x?}")]
    Mapped {
        /// The first virtual address.
        va: u64,
        /// The last virtual address.
        last: u64,
        /// What was there.
        old: Mapped<R>,
        /// What is there.
        new: Mapped<R>,
    },
    /// A frame has become two, or two have become one, or it is not where it must be.
    #[error("{va:#x}: frame {old:#x} became {new:#x}, and elsewhere {known:x?}")]
    Frame {
        /// The virtual address of the page that shows it.
        va: u64,
        /// The old frame.
        old: u64,
        /// The new frame.
        new: u64,
        /// What it became elsewhere, or which other frame became the new one; none where it was to be dropped.
        known: Option<u64>,
    },
    /// Merged frames can be written.
    #[error("frame {new:#x} stands for several, and can be written")]
    Writable {
        /// The new frame.
        new: u64,
    },
    /// A page lost its right to write although its frame was not merged.
    #[error("frame {new:#x} stands for one alone, and cannot be written any more")]
    NotWritable {
        /// The new frame.
        new: u64,
    },
    /// The bytes differ, or the new memory does not have them.
    #[error("bytes from {old:#x} on are not those from {new:#x} on")]
    Bytes {
        /// The old physical address.
        old: u64,
        /// The new physical address.
        new: u64,
    },
    /// The page that maps a table does not show the new one.
    #[error("table {old:#x} became {new:#x}, but the page that maps it shows {shown:#x}")]
    LiveTable {
        /// The old table.
        old: u64,
        /// The new table.
        new: u64,
        /// The new address of the page's frame.
        shown: u64,
    },
    /// A page shows a new table that it is not to show: none at all, where the old bytes are data.
    #[error("a page of frame {frame:#x} shows the new table at {table:#x}")]
    Shown {
        /// The new table.
        table: u64,
        /// The old frame of that page.
        frame: u64,
    },
}

/// Why nothing was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError<R: core::fmt::Debug> {
    /// The first difference.
    #[error("{}{mismatch}", of_space(space.as_ref()))]
    Mismatch {
        /// The pair of roots below which it was met; none where it is one of all spaces together.
        space: Option<NewRoot>,
        /// What differs.
        mismatch: Mismatch<R>,
    },
    /// The limit of tables was reached.
    #[error(transparent)]
    Limit(#[from] CompareLimit),
}

fn of_space(space: Option<&NewRoot>) -> String {
    space.map_or_else(String::new, |space| format!("space {:#x}, now {:#x}: ", space.old, space.new))
}

/// Proves that new spaces are the old ones: for every pair of roots and every virtual address in range the same presence,
/// the same effective rights, the same attributes and the same bytes; and over all pairs the same sharing of tables and
/// frames.
///
/// # Errors
///
/// - [`VerifyError::Mismatch`]: they are not;
/// - [`VerifyError::Limit`]: that is not known, there are more tables than the limit.
pub fn verify<F, M, N>(
    format: &F,
    old: &M,
    new: &N,
    roots: &[NewRoot],
    proof: &Proof<'_>,
) -> Result<Verified, VerifyError<F::Rights>>
where
    F: Encode<Rights: Hash>,
    M: Memory + ?Sized,
    N: Memory + ?Sized,
{
    let scope = Scope { range: proof.range.clone(), same_memory: false, limit: proof.limit };
    let space = Cell::new(None);
    let mut findings = Findings::new(format, proof, &space);
    let pairs = roots.iter().inspect(|root| space.set(Some(**root))).map(|root| (root.old, root.new));
    lockstep((format, old), (format, new), pairs, &scope, &mut findings)?;
    findings.first.map_or(Ok(()), |(space, mismatch)| Err(VerifyError::Mismatch { space, mismatch }))?;
    let of_all = |mismatch| VerifyError::Mismatch { space: None, mismatch };
    let mut verified = findings.verified().map_err(of_all)?;
    verified.spaces = roots.len() as u64;
    bytes::compare(&findings, old, new, &mut verified).map_err(of_all)?;
    Ok(verified)
}
