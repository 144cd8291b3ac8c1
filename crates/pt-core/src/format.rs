//! What an architecture is: data.
//!
//! A [`Format`] says how many levels a translation has, which bits of a virtual address index each of them, how wide
//! an entry is, and what an entry at a level means. Everything else ([`Geometry`]) follows from those constants, and
//! the walk, the translation and the edit are written once against this trait.
//!
//! ```text
//!            depth 0        depth 1        depth 2        depth 3
//!  root ──▶ level 4  ────▶ level 3  ────▶ level 2  ────▶ level 1  ────▶ 4 KiB page
//!            PML4           PDPT │         PD   │         PT
//!                                └▶ 1 GiB page  └▶ 2 MiB page
//! ```

use core::fmt;
use core::ops::RangeInclusive;

/// The most levels that a format can have.
pub const MAX_LEVELS: usize = 5;

/// The level of a table or of an entry, counted from the pages: a page table (PT) and its entries are at level 1.
///
/// [`Depth`](Level::depth) counts the other way, from the root, which is at depth 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// The level whose entries can only be pages.
    pub const LEAF: Self = Self(1);

    /// The highest level that any format has.
    pub const HIGHEST: Self = Self(MAX_LEVELS as u8);

    /// The level of that number; none unless `1 <= number <= MAX_LEVELS`.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number as usize <= MAX_LEVELS { Some(Self(number)) } else { None }
    }

    /// The level of tables at `depth` in a format of `F::LEVELS` levels; none where the format is not that deep.
    pub const fn at_depth<F: Format>(depth: usize) -> Option<Self> {
        match (F::LEVELS as usize).checked_sub(depth) {
            Some(number) => Self::new(number as u8),
            None => None,
        }
    }

    /// The number: 1 for a page table.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// How far below the root a table at this level is in a format of `F::LEVELS` levels: 0 for the root.
    pub const fn depth<F: Format>(self) -> usize {
        (F::LEVELS as usize).saturating_sub(self.0 as usize)
    }

    /// The level one nearer to the pages; none at level 1.
    pub const fn below(self) -> Option<Self> {
        Self::new(self.0 - 1)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}", self.0)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What an entry means at its level. The raw value is not in here: whoever decodes it has it, and nothing replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Not present. Every other bit belongs to software.
    Absent,
    /// A link to a table one level below, at this physical address.
    Table(u64),
    /// A page of the level's size, at this physical address.
    Leaf(u64),
    /// Present, but the hardware faults on it: these bits are reserved and set.
    Malformed {
        /// The offending bits, all of which are set in the raw value.
        reserved: u64,
    },
}

/// What a path of entries permits, whatever the architecture.
///
/// A format's own representation ([`Format::Rights`]) is chosen for the speed of accumulating it; this trait is how
/// format-independent code reads it.
pub trait Permissions: Copy + Eq + fmt::Debug {
    /// Whether data can be read (by the supervisor).
    fn readable(self) -> bool;
    /// Whether data can be written.
    fn writable(self) -> bool;
    /// Whether instructions can be fetched.
    fn executable(self) -> bool;
    /// Whether user mode reaches the page at all.
    fn user(self) -> bool;
}

/// A paging format.
///
/// # Laws
///
/// For every level, every `raw` and every address `to` that the entry can hold:
///
/// - `decode(level, 0)` is [`Entry::Absent`];
/// - if `raw` decodes to a table or leaf at `a`, then `relocate(level, raw, a) == Some(raw)` (the round trip is the
///   identity: no bit of an entry is lost), and `relocate(level, raw, to)` decodes to the same kind at `to`;
/// - `restrict` only ever takes rights away;
/// - `mark` only ever sets bits, those of [`ACCESSED_DIRTY`](Format::ACCESSED_DIRTY), and never changes what the entry
///   decodes to;
/// - level 1 has pages only: nothing decodes to [`Entry::Table`] there;
/// - table addresses that `decode` and `root` return are multiples of [`MIN_TABLE_ALIGNMENT`].
///
/// The battery in `pt-testkit` checks them exhaustively on the bits that matter.
pub trait Format: Clone {
    /// The accumulated rights of a path, in the representation that is quickest to restrict.
    type Rights: Permissions;

    /// How many levels there are, at most [`MAX_LEVELS`].
    const LEVELS: u8;
    /// The index width of each level in bits, level 1 first. Entries from `LEVELS` on are zero.
    const INDEX_BITS: [u8; MAX_LEVELS];
    /// The width of an entry in bytes: 4 or 8, little-endian.
    const ENTRY_BYTES: usize;
    /// Whether a virtual address is canonical when its upper bits repeat the highest translated bit. Where this is
    /// false they are zero.
    const SIGN_EXTENDED: bool;
    /// The accessed and dirty bits: what the hardware itself writes into an entry.
    const ACCESSED_DIRTY: u64;

    /// The size of the smallest page as a power of two.
    const PAGE_SHIFT: u32 = 12;

    /// What `raw` means at `level`.
    fn decode(&self, level: Level, raw: u64) -> Entry;

    /// The address of the root table that a root register (CR3) holds, its other fields stripped.
    fn root(&self, register: u64) -> u64;

    /// The rights at a root, before any entry restricted them.
    fn unrestricted(&self) -> Self::Rights;

    /// The rights below `raw` at `level`, for a path that had `above` before it.
    fn restrict(&self, above: Self::Rights, level: Level, raw: u64) -> Self::Rights;

    /// The same entry with its address replaced by `to`; none where `raw` has no address at `level` (absent or
    /// malformed) or cannot hold `to` (misaligned or too wide).
    fn relocate(&self, level: Level, raw: u64, to: u64) -> Option<u64>;

    /// What the hardware leaves of `raw`, a link or a page, once a translation has used it: with its accessed bit set
    /// where it has one, and its dirty bit if it is a page that was `written`.
    fn mark(&self, level: Level, raw: u64, written: bool) -> u64;

    /// How many of the entries from `raw` on, at most, can be contiguous with it by adding the page size to the raw
    /// value each time without carrying out of the address field: at least 1.
    ///
    /// A field that is split (PSE-36) or narrow (MAXPHYADDR) ends the arithmetic before it ends the contiguity; a
    /// caller that gets this far goes on through [`relocate`](Format::relocate).
    fn contiguous(&self, level: Level, raw: u64) -> u64;

    /// What the architecture's manual calls a table of that level, such as `PD`; entries add an `E`.
    fn table_name(level: Level) -> &'static str;
}

/// The least alignment of a table in bytes: what the visited map counts on (a PAE root has exactly this).
pub const MIN_TABLE_ALIGNMENT: u64 = 32;

/// What follows from a format's constants. Implemented for every [`Format`].
pub trait Geometry: Format {
    /// How many bits of a virtual address are translated, offset included.
    const VA_BITS: u32 = {
        assert!(Self::LEVELS >= 1 && Self::LEVELS as usize <= MAX_LEVELS);
        assert!(Self::ENTRY_BYTES == 4 || Self::ENTRY_BYTES == 8);
        shift(Self::PAGE_SHIFT, Self::INDEX_BITS, Self::LEVELS as usize + 1)
    };

    /// The highest virtual address without its sign extension.
    const VA_MASK: u64 = {
        assert!(Self::VA_BITS < 64);
        (1 << Self::VA_BITS) - 1
    };

    /// The root's level.
    const ROOT: Level = Level(Self::LEVELS);

    /// The lowest bit of the index at each level, level 1 first.
    const SHIFTS: [u32; MAX_LEVELS] = {
        let (page, bits) = (Self::PAGE_SHIFT, Self::INDEX_BITS);
        [
            shift(page, bits, 1),
            shift(page, bits, 2),
            shift(page, bits, 3),
            shift(page, bits, 4),
            shift(page, bits, 5),
        ]
    };

    /// The size in bytes of what one entry at `level` maps.
    #[inline(always)]
    fn entry_span(level: Level) -> u64 {
        1 << Self::SHIFTS[level.index()]
    }

    /// The highest offset inside what one *table* at `level` maps: its span in bytes, less one.
    #[inline(always)]
    fn table_span_last(level: Level) -> u64 {
        (Self::entry_span(level) << Self::INDEX_BITS[level.index()]) - 1
    }

    /// How many entries a table at `level` has.
    #[inline(always)]
    fn entries(level: Level) -> usize {
        1 << Self::INDEX_BITS[level.index()]
    }

    /// The size of a table at `level` in bytes.
    #[inline(always)]
    fn table_bytes(level: Level) -> usize {
        Self::entries(level) * Self::ENTRY_BYTES
    }

    /// The index that `va` has at `level`.
    #[inline(always)]
    fn index(level: Level, va: u64) -> usize {
        (va >> Self::SHIFTS[level.index()]) as usize & (Self::entries(level) - 1)
    }

    /// The canonical form of a virtual address of [`VA_BITS`](Self::VA_BITS) bits.
    #[inline(always)]
    fn canonical(va: u64) -> u64 {
        if Self::SIGN_EXTENDED {
            let unused = 64 - Self::VA_BITS;
            ((va << unused).cast_signed() >> unused).cast_unsigned()
        } else {
            va & Self::VA_MASK
        }
    }

    /// Whether the address space has `va` at all.
    #[inline(always)]
    fn is_canonical(va: u64) -> bool {
        Self::canonical(va) == va
    }

    /// The part of `range` that the address space has, as inclusive addresses without sign extension; none where it
    /// has no part of it. Bounds inside the non-canonical hole move to its nearer edge inside the range.
    fn clip(range: &RangeInclusive<u64>) -> Option<(u64, u64)> {
        if range.is_empty() {
            return None;
        }
        let (first, last) = (*range.start(), *range.end());
        let half = (Self::VA_MASK >> 1) + 1;
        let hole = if Self::SIGN_EXTENDED { half..=!half } else { Self::VA_MASK + 1..=u64::MAX };
        let (edge_below, edge_above) = (hole.start() - 1, hole.end().checked_add(1));
        let first = if hole.contains(&first) { edge_above? } else { first };
        let last = if hole.contains(&last) { edge_below } else { last };
        (first <= last).then_some((first & Self::VA_MASK, last & Self::VA_MASK))
    }
}

impl<F: Format> Geometry for F {}

/// The lowest index bit of a level, or of the level above the root: the number of translated bits.
const fn shift(page_shift: u32, index_bits: [u8; MAX_LEVELS], level: usize) -> u32 {
    let mut shift = page_shift;
    let mut below = 1;
    while below < level {
        shift += index_bits[below - 1] as u32;
        below += 1;
    }
    shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_begins_where_those_below_end() {
        let shifts = |bits| core::array::from_fn(|below| shift(12, bits, below + 1));
        assert_eq!(shifts([9, 9, 2, 0, 0]), [12, 21, 30, 32, 32, 32]);
        assert_eq!(shifts([1, 2, 3, 4, 5]), [12, 13, 15, 18, 22, 27]);
    }
}
