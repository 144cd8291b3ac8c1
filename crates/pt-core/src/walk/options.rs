//! What a walk reports, of what, and how much of it.

use core::ops::RangeInclusive;

use crate::Space;

/// How pages are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Leaves {
    /// One event per leaf entry.
    #[default]
    Each,
    /// One event per run: contiguous in both address spaces, every other bit equal. Runs end with their table.
    Runs,
    /// As [`Runs`](Leaves::Runs), but the accessed and dirty bits may differ; the first page's stand for the run.
    RunsIgnoringAccessedDirty,
}

/// What a root means that an earlier root already was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RepeatedRoots {
    /// An alias at depth 0.
    #[default]
    Alias,
    /// A table of its own that is read again, so that its links are aliases at depth 1 and its leaves are leaves: for
    /// results that have no depth 0.
    Read,
}

/// How much a walk may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tables read, those that turn out to be unreadable included: what is remembered grows with them.
    pub tables: u64,
    /// Events given out.
    pub events: u64,
}

impl Limits {
    /// None but those of the numbers themselves (2^32 - 1 tables).
    pub const NONE: Self = Self { tables: u64::MAX, events: u64::MAX };
}

impl Default for Limits {
    fn default() -> Self {
        Self::NONE
    }
}

/// What a walk reports, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The virtual addresses, both ends included, sign extension too. Default: all.
    pub range: RangeInclusive<u64>,
    /// How pages are reported. Default: each.
    pub leaves: Leaves,
    /// Whether absent entries that are not zero are events. Default: no.
    pub absent: bool,
    /// What repeated roots are. Default: aliases.
    pub repeated_roots: RepeatedRoots,
    /// How much the walk may do. Default: no limits.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            range: 0..=u64::MAX,
            leaves: Leaves::default(),
            absent: false,
            repeated_roots: RepeatedRoots::default(),
            limits: Limits::default(),
        }
    }
}

/// The resource whose limit ended a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Tables read.
    Tables,
    /// Events given out.
    Events,
    /// Roots that a [`Space`] can number.
    Spaces,
}

/// A walk ended before its end. Everything before this was reported; nothing after it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit of {limit} {resource:?} reached in space {space} at {va:#x}")]
pub struct LimitReached {
    /// What ran out.
    pub resource: Resource,
    /// How much of it there was.
    pub limit: u64,
    /// The space that was being walked.
    pub space: Space,
    /// The first virtual address that was not reported.
    pub va: u64,
}
