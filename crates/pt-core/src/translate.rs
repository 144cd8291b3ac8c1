//! One address to its frame, by a straight loop. What remembers its path is below: a range of addresses, extent by
//! extent (`translate/extents.rs`), and many addresses (`translate/translator.rs`).

mod extents;
mod path;
mod translator;

pub use extents::{Extent, Extents};
use path::{Followed, Table};
pub use translator::Translator;

use crate::{Cause, Format, Geometry, Level, Memory};

/// Where a virtual address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation<R> {
    /// The virtual address.
    pub va: u64,
    /// The physical address of the same byte.
    pub pa: u64,
    /// The level of the leaf: its page size is the span of one entry there.
    pub level: Level,
    /// The raw leaf.
    pub raw: u64,
    /// The physical address of the leaf entry.
    pub entry: u64,
    /// The rights of the whole path.
    pub rights: R,
}

/// Why a virtual address leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// The address space has no such address.
    #[error("{va:#x} is not canonical")]
    NonCanonical {
        /// The address.
        va: u64,
    },
    /// An entry of the path is not present.
    #[error("entry {raw:#x} at {entry:#x} (level {level}) is not present")]
    NotPresent {
        /// The level of the entry.
        level: Level,
        /// The physical address of the entry.
        entry: u64,
        /// The raw entry. All its bits are software's.
        raw: u64,
    },
    /// An entry of the path is malformed, or its table cannot be read.
    #[error(transparent)]
    Fault(#[from] Cause),
    /// Entries of the path changed between being read and being marked, so many times that it was given up.
    #[error("the entries that translate {va:#x} kept changing")]
    Contended {
        /// The address.
        va: u64,
    },
}

/// One entry that a translation read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The level of the entry.
    pub level: Level,
    /// The physical address of the entry.
    pub entry: u64,
    /// The raw entry.
    pub raw: u64,
}

/// Translates `va` in the space under `root` (as the register holds it).
///
/// Rights are reported, not judged.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{TranslateError, translate};
///
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1008].copy_from_slice(&0x2003_u64.to_le_bytes());
/// memory[0x2000..0x2008].copy_from_slice(&0x4000_0083_u64.to_le_bytes());
///
/// let found = translate(&FourLevel::default(), &memory, 0x1000, 0x1234)?;
/// assert_eq!((found.pa, found.level.number()), (0x4000_1234, 3));
///
/// let lost = translate(&FourLevel::default(), &memory, 0x1000, 0x4000_0000).unwrap_err();
/// assert!(matches!(lost, TranslateError::NotPresent { entry: 0x2008, raw: 0, .. }));
/// # Ok::<(), TranslateError>(())
/// ```
///
/// # Errors
///
/// - [`TranslateError::NonCanonical`]: the format has no such address;
/// - [`TranslateError::NotPresent`]: an entry of the path is not present;
/// - [`TranslateError::Fault`]: an entry has reserved bits set, or a table cannot be read.
// Handed back through memory, the result would cost as much again as the search. (A constant number of levels in `trace`
// changes nothing: its loop is unrolled as it is.)
#[inline(always)]
pub fn translate<F: Format, M: Memory + ?Sized>(
    format: &F,
    memory: &M,
    root: u64,
    va: u64,
) -> Result<Translation<F::Rights>, TranslateError> {
    trace(format, memory, root, va, |_| ())
}

/// As [`translate`], giving out each entry as it is read, from the root down.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::trace;
///
/// let mut memory = vec![0; 0x2000];
/// memory[0x1000..0x1008].copy_from_slice(&0x1003_u64.to_le_bytes());
/// let mut entries = Vec::new();
/// let result = trace(&FourLevel::default(), &memory, 0x1000, 0, |step| entries.push((step.level.number(), step.entry)));
/// assert_eq!(entries, [(4, 0x1000), (3, 0x1000), (2, 0x1000), (1, 0x1000)], "a table that links itself");
/// assert_eq!(result?.pa, 0x1000);
/// # Ok::<(), pt_core::TranslateError>(())
/// ```
///
/// # Errors
///
/// As [`translate`]. The entry that it failed on was given out too, unless it could not be read.
#[inline(always)]
pub fn trace<F: Format, M: Memory + ?Sized>(
    format: &F,
    memory: &M,
    root: u64,
    va: u64,
    mut read: impl FnMut(Step),
) -> Result<Translation<F::Rights>, TranslateError> {
    if !F::is_canonical(va) {
        return Err(TranslateError::NonCanonical { va });
    }
    let (mut level, mut table) = (F::ROOT, Table::root(format, root));
    loop {
        match table.follow(format, memory, level, va, &mut read)? {
            Followed::Table(below) => {
                table = below;
                level = level.below().unwrap_or(Level::LEAF);
            }
            Followed::Leaf(translation) => return Ok(translation),
        }
    }
}
