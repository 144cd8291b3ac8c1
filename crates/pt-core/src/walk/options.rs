//! What a walk reports, of what, and how much of it.

use core::ops::RangeInclusive;

use crate::{Format, Space};

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

impl Leaves {
    /// The bits in which the pages of one run may differ; none where pages are no runs.
    #[inline(always)]
    pub(super) fn ignored<F: Format>(self) -> Option<u64> {
        match self {
            Self::Each => None,
            Self::Runs => Some(0),
            Self::RunsIgnoringAccessedDirty => Some(F::ACCESSED_DIRTY),
        }
    }
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
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{Limits, Options, Resource, Walk};
///
/// // A PML4 whose slots link 512 different PDPTs: real ones, or what a hostile guest says are some.
/// let mut memory = vec![0; 0x20_2000];
/// for slot in 0..512 {
///     let at = 0x1000 + slot * 8;
///     memory[at..at + 8].copy_from_slice(&(((slot as u64 + 2) << 12) | 3).to_le_bytes());
/// }
/// let limits = Limits { tables: 100, ..Limits::NONE };
/// let walk = Walk::new(FourLevel::default(), &memory, &[0x1000], Options { limits, ..Options::default() });
/// let stopped = walk.last().unwrap().unwrap_err();
/// // The root and the first 99; what was reported until then is right.
/// assert_eq!((stopped.resource, stopped.va), (Resource::Tables, 99 << 39));
/// ```
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
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{Event, Leaves, Options, Walk};
///
/// // Four tables in a row lead to eight pages that follow each other; the last entry is not present, but not zero.
/// let mut memory = vec![0; 0x5000];
/// for table in [0x1000, 0x2000, 0x3000] {
///     memory[table..table + 8].copy_from_slice(&(table as u64 + 0x1003).to_le_bytes());
/// }
/// for page in 0..9 {
///     let raw = if page == 8 { 0xdead_0000 } else { (0x10 + page as u64) << 12 | 3 };
///     memory[0x4000 + page * 8..0x4008 + page * 8].copy_from_slice(&raw.to_le_bytes());
/// }
/// let events = |options| -> Vec<_> {
///     let walk = Walk::new(FourLevel::default(), &memory, &[0x1000], options);
///     walk.map(|event| event.unwrap()).filter(|event| !matches!(event, Event::Table(_))).collect()
/// };
/// // By default each page, by itself.
/// assert_eq!(events(Options::default()).len(), 8);
/// // In runs, from the third page on; with what is absent.
/// let options = Options { range: 0x2000..=u64::MAX, leaves: Leaves::Runs, absent: true, ..Options::default() };
/// let [Event::Leaf(run), Event::Absent(absent)] = events(options)[..] else { panic!() };
/// assert_eq!((run.va, run.pa, run.pages), (0x2000, 0x1_2000, 6));
/// assert_eq!((absent.va, absent.raw), (0x8000, 0xdead_0000));
/// ```
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
