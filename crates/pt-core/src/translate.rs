//! One address to its frame, by a straight loop; and a range of addresses, extent by extent.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::RangeInclusive;

use crate::{Cause, Entry, Format, Geometry, Level, Link, MAX_LEVELS, Memory, Unreadable};

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
// Handed back through memory, the result would cost as much again as the search.
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
    let mut at = Table::root(format, root);
    loop {
        match at.follow(format, memory, va, &mut read)? {
            Followed::Table(below) => at = below,
            Followed::Leaf(translation) => return Ok(translation),
        }
    }
}

/// A table on the way down.
#[derive(Clone, Copy)]
struct Table<R> {
    level: Level,
    address: u64,
    link: Link,
    rights: R,
}

enum Followed<R> {
    Table(Table<R>),
    Leaf(Translation<R>),
}

impl<R: Copy> Table<R> {
    #[inline(always)]
    fn root<F: Format<Rights = R>>(format: &F, root: u64) -> Self {
        let link = Link { raw: root, entry: None };
        Self { level: F::ROOT, address: format.root(root), link, rights: format.unrestricted() }
    }

    /// Reads the entry that `va` has in this table.
    #[inline(always)]
    fn follow<F: Format<Rights = R>, M: Memory + ?Sized>(
        &self,
        format: &F,
        memory: &M,
        va: u64,
        read: &mut impl FnMut(Step),
    ) -> Result<Followed<R>, TranslateError> {
        let level = self.level;
        let entry = self.address.checked_add((F::index(level, va) * F::ENTRY_BYTES) as u64);
        let raw = match entry.ok_or(Unreadable::Outside).and_then(|at| memory.read_entry(at, F::ENTRY_BYTES))
        {
            Ok(raw) => raw,
            Err(why) => {
                return Err(Cause::Unreadable { level, table: self.address, link: self.link, why }.into());
            }
        };
        let entry = entry.unwrap_or_default();
        read(Step { level, entry, raw });
        let rights = format.restrict(self.rights, level, raw);
        match (format.decode(level, raw), level.below()) {
            (Entry::Leaf(page), _) => {
                let pa = page | (va & (F::entry_span(level) - 1));
                Ok(Followed::Leaf(Translation { va, pa, level, raw, entry, rights }))
            }
            (Entry::Table(address), Some(level)) => {
                Ok(Followed::Table(Self { level, address, link: Link { raw, entry: Some(entry) }, rights }))
            }
            (Entry::Malformed { reserved }, _) => {
                Err(Cause::Malformed { level, entry, raw, reserved }.into())
            }
            (Entry::Absent | Entry::Table(_), _) => Err(TranslateError::NotPresent { level, entry, raw }),
        }
    }
}

/// What one entry makes of a part of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent<R> {
    /// The first virtual address.
    pub va: u64,
    /// How many bytes from there: never past the entry's span or the range's end.
    pub len: u64,
    /// Where `va` leads, and the bytes after it with it, or why they all lead nowhere.
    pub to: Result<Translation<R>, TranslateError>,
}

/// Translates a range, lazily: one [`Extent`] per entry that decides about a part of it, in ascending order. Addresses
/// that the format does not have are left out.
///
/// It keeps the path that it is on, so that neighbouring pages cost one read each, and skips what an absent entry of a
/// higher level leaves out.
///
/// ```
/// # use pt_core::{Extents, Format, Memory};
/// fn mapped_bytes<F: Format, M: Memory>(format: F, memory: &M, root: u64) -> u64 {
///     let all = Extents::new(format, memory, root, 0..=u64::MAX);
///     all.filter(|extent| extent.to.is_ok()).map(|extent| extent.len).sum()
/// }
/// ```
pub struct Extents<F: Format, M> {
    format: F,
    memory: M,
    /// Without sign extension; none at the end.
    next: Option<u64>,
    last: u64,
    /// The tables from the root down to `level`, by level.
    path: [Table<F::Rights>; MAX_LEVELS],
    level: Level,
}

impl<F: Format, M> fmt::Debug for Extents<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extents").field("next", &self.next).field("last", &self.last).finish_non_exhaustive()
    }
}

impl<F: Format, M: Memory> Extents<F, M> {
    /// The extents of `range`, both ends included, in the space under `root` (as the register holds it).
    pub fn new(format: F, memory: M, root: u64, range: RangeInclusive<u64>) -> Self {
        let root = Table::root(&format, root);
        let (next, last) = F::clip(&range).map_or((None, 0), |(first, last)| (Some(first), last));
        Self { format, memory, next, last, path: [root; MAX_LEVELS], level: F::ROOT }
    }
}

impl<F: Format, M: Memory> Iterator for Extents<F, M> {
    type Item = Extent<F::Rights>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let first = self.next?;
        let va = F::canonical(first);
        let to = loop {
            let table = &self.path[self.level.index()];
            match table.follow(&self.format, &self.memory, va, &mut |_| ()) {
                Ok(Followed::Table(below)) => {
                    self.level = below.level;
                    self.path[below.level.index()] = below;
                }
                Ok(Followed::Leaf(translation)) => break Ok(translation),
                // All of the unreadable table's span is lost, not only this entry's.
                Err(error @ TranslateError::Fault(Cause::Unreadable { .. })) if self.level != F::ROOT => {
                    self.level = Level::new(self.level.number() + 1)?;
                    break Err(error);
                }
                Err(error) => break Err(error),
            }
        };
        let entry_last = first | (F::entry_span(self.level) - 1);
        let last = entry_last.min(self.last);
        self.next = last.checked_add(1).filter(|&next| next <= self.last);
        while self.level != F::ROOT
            && (entry_last & F::table_span_last(self.level)) == F::table_span_last(self.level)
        {
            self.level = Level::new(self.level.number() + 1)?;
        }
        Some(Extent { va, len: last - first + 1, to })
    }
}

impl<F: Format, M: Memory> FusedIterator for Extents<F, M> {}
