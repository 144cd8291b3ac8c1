//! 32-bit paging: two levels of 4-byte entries (SDM "32-Bit Paging").
//!
//! ```text
//!            31:22          21     20:13          12   11:8  7      6:0
//!  PTE, PDE  address ───────────────────────────────▶  …     PAT/0  flags
//!  4 MiB     PA[31:22]      0      PA[39:32]      PAT   …     PS=1   flags     (PSE-36; fewer bits where M < 40)
//! ```

use pt_core::{Encode, Entry, Format, Geometry, Level, Permissions};
use pt_x86::{EntryFlags, Rights, Shape, bits, marked, narrowed, permissive_link, widened};

/// What a CPU makes of the entries: facts of the machine, not of the tables.
/// ```
/// use pt_core::translate;
/// use pt_i686::{TwoLevel, TwoLevelFeatures};
///
/// // A page directory at 0x1000, whose first entry has PS set; the page table that it links without CR4.PSE is at 0x2000.
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1004].copy_from_slice(&0x2083_u32.to_le_bytes());
/// memory[0x2000..0x2004].copy_from_slice(&0x7003_u32.to_le_bytes());
///
/// let old = TwoLevel::new(TwoLevelFeatures { pse: false, ..TwoLevelFeatures::default() });
/// assert_eq!(translate(&old, &memory, 0x1000, 0x123)?.pa, 0x7123);
/// // With it, and PSE-36, bits 20:13 of the entry are bits 39:32 of the address of a page of 4 MiB.
/// assert_eq!(translate(&TwoLevel::default(), &memory, 0x1000, 0x123)?.pa, 0x1_0000_0123);
/// # Ok::<(), pt_core::TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoLevelFeatures {
    /// MAXPHYADDR. A 4 MiB page can use up to 40 bits of it.
    pub phys_bits: u8,
    /// CR4.PSE: PS of a PDE makes a 4 MiB page; otherwise it is ignored.
    pub pse: bool,
    /// PSE-36: a 4 MiB page can lie above 4 GiB; otherwise bits 21:13 of its PDE are reserved.
    pub pse36: bool,
    /// Address bits that are not address, neither reserved nor part of any physical address.
    pub ignored: u64,
}

impl TwoLevelFeatures {
    /// CR4.PSE set, and PSE-36 with its widest addresses (40 bits).
    pub const WIDEST: Self = Self { phys_bits: 40, pse: true, pse36: true, ignored: 0 };
}

/// [`TwoLevelFeatures::WIDEST`].
impl Default for TwoLevelFeatures {
    fn default() -> Self {
        Self::WIDEST
    }
}

const LARGE: u64 = EntryFlags::LARGE.bits();
/// PA[39:32] stands in bits 20:13 of a 4 MiB page's PDE: so far below its place in the address.
const HIGH_FIELD: u64 = bits(13, 20);
const HIGH_SHIFT: u32 = 32 - 13;

/// A 4 MiB page's address as its PDE holds it. Bits 21:12 of such an address are zero, so that the halves do not meet.
const fn folded(address: u64) -> u64 {
    address & bits(0, 31) | (address >> HIGH_SHIFT) & HIGH_FIELD
}

/// As [`folded`], for an address that may not be a 4 MiB page's.
const fn checked_folded(address: u64) -> Option<u64> {
    if address & bits(0, 21) != 0 || address >> 40 != 0 { None } else { Some(folded(address)) }
}

/// The inverse of [`folded`].
const fn unfolded(held: u64) -> u64 {
    held & !HIGH_FIELD | (held & HIGH_FIELD) << HIGH_SHIFT
}

/// The 2-level format.
/// ```
/// use pt_core::{Geometry, Level, translate};
/// use pt_i686::TwoLevel;
///
/// // A page directory at 0x1000 maps 4 MiB at 0xc000_0000 to physical 0.
/// let mut memory = vec![0; 0x2000];
/// memory[0x1c00..0x1c04].copy_from_slice(&0x83_u32.to_le_bytes());
/// // CR3 with its PCD set: the address alone counts.
/// let page = translate(&TwoLevel::default(), &memory, 0x1010, 0xc000_5123)?;
/// assert_eq!((page.pa, TwoLevel::entry_span(page.level)), (0x5123, 4 << 20));
/// # Ok::<(), pt_core::TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoLevel {
    features: TwoLevelFeatures,
    /// A PTE, or a PDE that links a table.
    small: Shape,
    large: Shape,
}

impl TwoLevel {
    /// The format as a machine with these features reads it.
    pub const fn new(features: TwoLevelFeatures) -> Self {
        let width = if features.phys_bits > 40 { 40 } else { features.phys_bits };
        let reserved = bits(if features.pse36 && width > 32 { width as u32 - 19 } else { 13 }, 21);
        let small = Shape::new(0, bits(12, 31)).ignoring(features.ignored);
        let large = Shape::new(reserved, bits(22, 31) | HIGH_FIELD & !reserved).ignoring(features.ignored);
        Self { features, small, large }
    }

    /// The features that it was made with.
    pub const fn features(&self) -> &TwoLevelFeatures {
        &self.features
    }

    #[inline(always)]
    fn is_large(&self, level: Level, raw: u64) -> bool {
        level != Level::LEAF && self.features.pse && raw & LARGE != 0
    }

    #[inline(always)]
    fn shape(&self, level: Level, raw: u64) -> &Shape {
        if self.is_large(level, raw) { &self.large } else { &self.small }
    }
}

impl Default for TwoLevel {
    fn default() -> Self {
        Self::new(TwoLevelFeatures::default())
    }
}

impl Format for TwoLevel {
    type Rights = Rights;

    const LEVELS: u8 = 2;
    const INDEX_BITS: [u8; 5] = [10, 10, 0, 0, 0];
    const ENTRY_BYTES: usize = 4;
    const SIGN_EXTENDED: bool = false;
    const ACCESSED_DIRTY: u64 = EntryFlags::ACCESSED.union(EntryFlags::DIRTY).bits();

    #[inline(always)]
    fn decode(&self, level: Level, raw: u64) -> Entry {
        if !self.is_large(level, raw) {
            return self.small.decode(raw, level == Level::LEAF);
        }
        match self.large.decode(raw, true) {
            Entry::Leaf(held) => Entry::Leaf(unfolded(held)),
            entry => entry,
        }
    }

    /// CR3 without PWT and PCD; only 32 bits of it exist.
    fn root(&self, register: u64) -> u64 {
        register & self.small.address()
    }

    fn unrestricted(&self) -> Rights {
        Rights::all()
    }

    /// There is no XD: everything can be fetched.
    #[inline(always)]
    fn restrict(&self, above: Rights, _: Level, raw: u64) -> Rights {
        above.restrict(raw)
    }

    fn relocate(&self, level: Level, raw: u64, to: u64) -> Option<u64> {
        let held = if self.is_large(level, raw) { checked_folded(to)? } else { to };
        self.shape(level, raw).relocate(raw, held)
    }

    fn mark(&self, level: Level, raw: u64, written: bool) -> u64 {
        marked(raw, level == Level::LEAF || self.is_large(level, raw), written)
    }

    /// Bits 31:22 of a 4 MiB page count up by themselves; the high part of a PSE-36 address does not follow.
    #[inline(always)]
    fn contiguous(&self, level: Level, raw: u64) -> u64 {
        self.shape(level, raw).contiguous(raw, Self::entry_span(level))
    }

    fn table_name(level: Level) -> &'static str {
        pt_x86::table_name(level)
    }
}

impl Encode for TwoLevel {
    const RESTRICTED: u64 = 0;

    fn link(&self, level: Level, table: u64) -> Option<u64> {
        (level > Level::LEAF && table & !self.small.address() == 0).then_some(permissive_link(table))
    }

    /// There is no XD to keep: that bit of the attributes is let go, and everything can be fetched.
    #[inline]
    fn leaf(&self, level: Level, page: u64, attributes: u64) -> Option<u64> {
        let attributes = attributes & bits(0, 31);
        match level {
            Level::LEAF => self.small.page(page, attributes, false),
            _ if self.features.pse => self.large.page(checked_folded(page)?, attributes, true),
            _ => None,
        }
    }

    #[inline]
    fn attributes(&self, level: Level, raw: u64) -> u64 {
        self.shape(level, raw).attributes(raw, self.is_large(level, raw))
    }

    #[inline]
    fn widen(&self, _: Level, raw: u64, attributes: u64) -> u64 {
        widened(raw, attributes)
    }

    /// PS is ignored where PSE is off.
    #[inline(always)]
    fn passes(&self, level: Level, raw: u64, attributes: u64) -> Option<u64> {
        let page = if self.features.pse { LARGE } else { 0 };
        if level > Level::LEAF { self.small.passes(raw, attributes, page) } else { None }
    }

    /// There is no XD: fetches cannot be forbidden.
    #[inline]
    fn narrow(&self, _: Level, raw: u64, most: impl Permissions) -> Option<u64> {
        narrowed(raw, most, false)
    }

    fn with_root(&self, register: u64, root: u64) -> Option<u64> {
        let field = self.small.address();
        (root & !field == 0).then_some(register & !field | root)
    }

    fn highest_table_address(&self, _: Level) -> u64 {
        self.small.address() | bits(0, 11)
    }
}
