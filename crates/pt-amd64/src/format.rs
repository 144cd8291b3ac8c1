//! 4-level and 5-level paging (SDM "4-Level Paging and 5-Level Paging", APM "Long-Mode Page Translation").
//!
//! ```text
//!  63  62:52     51:M      M-1:12   11:8  7   6:0
//!  XD  ignored   reserved  address  …     PS  flags     PS: 0 in PML5E and PML4E; a page in PDPTE and PDE; PAT in PTE
//! ```
//!
//! M is MAXPHYADDR. A 1 GiB leaf also reserves 29:13, a 2 MiB leaf 20:13; their bit 12 is PAT.

use pt_core::{Encode, Entry, Format, Geometry, Level, Permissions};
use pt_x86::{
    EntryFlags, MAX_PHYS_BITS, Rights, Shape, Vendor, address_mask, bits, marked, narrowed, permissive_link,
    reserved_above, widened,
};

/// 4-level paging: 48-bit virtual addresses.
pub type FourLevel = LongMode<4>;
/// 5-level paging (CR4.LA57): 57-bit virtual addresses.
pub type FiveLevel = LongMode<5>;

/// What a CPU makes of the entries: facts of the machine, not of the tables.
/// ```
/// use pt_amd64::{Features, FourLevel};
/// use pt_core::{TranslateError, translate};
///
/// // A page of 1 GiB.
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1008].copy_from_slice(&0x2003_u64.to_le_bytes());
/// memory[0x2000..0x2008].copy_from_slice(&0x4000_0083_u64.to_le_bytes());
///
/// assert_eq!(translate(&FourLevel::default(), &memory, 0x1000, 0x123)?.pa, 0x4000_0123);
/// // A machine without them: PS is reserved there.
/// let small = FourLevel::new(Features { gib_pages: false, ..Features::default() });
/// assert!(matches!(translate(&small, &memory, 0x1000, 0x123), Err(TranslateError::Fault(_))));
/// # Ok::<(), TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// MAXPHYADDR, at most 52. Address bits from here to bit 51 are reserved.
    pub phys_bits: u8,
    /// EFER.NXE: bit 63 is XD; otherwise it is reserved.
    pub nx: bool,
    /// Whether PDPTEs can map 1 GiB pages; otherwise their PS bit is reserved.
    pub gib_pages: bool,
    /// Address bits that are not address, such as an SEV C-bit or a TDX shared bit: neither reserved nor part of any
    /// physical address, but kept in raw values.
    pub ignored: u64,
    /// The vendor.
    pub vendor: Vendor,
}

impl Features {
    /// The widest machine: MAXPHYADDR 52, XD and 1 GiB pages.
    pub const WIDEST: Self =
        Self { phys_bits: MAX_PHYS_BITS, nx: true, gib_pages: true, ignored: 0, vendor: Vendor::Intel };
}

/// [`Features::WIDEST`].
impl Default for Features {
    fn default() -> Self {
        Self::WIDEST
    }
}

const LARGE: u64 = EntryFlags::LARGE.bits();
const XD: u64 = EntryFlags::NO_EXECUTE.bits();

/// The format of long mode with `LEVELS` levels: 4 or 5.
/// ```
/// use pt_amd64::{FiveLevel, FourLevel};
/// use pt_core::Geometry;
///
/// assert_eq!((FourLevel::VA_BITS, FiveLevel::VA_BITS), (48, 57));
/// assert!(FiveLevel::is_canonical(0x00ff_8000_0000_0000) && !FourLevel::is_canonical(0x00ff_8000_0000_0000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongMode<const LEVELS: u8> {
    features: Features,
    /// By level, level 1 first: entries that link a table (level 1 has none, the place keeps the index simple). PS is
    /// reserved in all of them: at the levels where it makes a page, an entry that has it is none of these.
    links: [Shape; 5],
    /// By level: entries that map a page.
    leaves: [Shape; 3],
}

impl<const LEVELS: u8> LongMode<LEVELS> {
    /// The format as a machine with these features reads it.
    ///
    /// ```
    /// use pt_amd64::{Features, FourLevel};
    ///
    /// let machine = FourLevel::new(Features { phys_bits: 46, ..Features::default() });
    /// assert_eq!(machine.features().phys_bits, 46);
    /// ```
    pub const fn new(features: Features) -> Self {
        const { assert!(LEVELS == 4 || LEVELS == 5) };
        let everywhere = reserved_above(features.phys_bits, 51) | if features.nx { 0 } else { XD };
        let top = if matches!(features.vendor, Vendor::Amd) { bits(8, 8) } else { 0 };
        let gib = if features.gib_pages { 0 } else { LARGE };
        let (address, ignored) = (address_mask(features.phys_bits, 12), features.ignored);
        let link = Shape::new(everywhere | LARGE, address).ignoring(ignored);
        let top = Shape::new(everywhere | LARGE | top, address).ignoring(ignored);
        let page = Shape::new(everywhere, address).ignoring(ignored);
        let mib = Shape::new(everywhere | bits(13, 20), address & !bits(12, 20)).ignoring(ignored);
        let gib = Shape::new(everywhere | bits(13, 29) | gib, address & !bits(12, 29)).ignoring(ignored);
        Self { features, links: [link, link, link, top, top], leaves: [page, mib, gib] }
    }

    /// The features that it was made with.
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// What a present `raw` is made of at `level`, and whether it maps a page.
    #[inline(always)]
    fn shape(&self, level: Level, raw: u64) -> (&Shape, bool) {
        let level = level.number() as usize;
        let page = level == 1 || (level <= 3 && raw & LARGE != 0);
        (if page { &self.leaves[level - 1] } else { &self.links[level - 1] }, page)
    }
}

impl<const LEVELS: u8> Default for LongMode<LEVELS> {
    fn default() -> Self {
        Self::new(Features::default())
    }
}

impl<const LEVELS: u8> Format for LongMode<LEVELS> {
    type Rights = Rights;

    const LEVELS: u8 = LEVELS;
    const INDEX_BITS: [u8; 5] = if LEVELS == 5 { [9; 5] } else { [9, 9, 9, 9, 0] };
    const ENTRY_BYTES: usize = 8;
    const SIGN_EXTENDED: bool = true;
    const ACCESSED_DIRTY: u64 = EntryFlags::ACCESSED.union(EntryFlags::DIRTY).bits();

    #[inline(always)]
    fn decode(&self, level: Level, raw: u64) -> Entry {
        // Above page tables most entries are links, which are told from all else by one comparison.
        let link = self.links[level.number() as usize - 1];
        if level > Level::LEAF && link.fits(raw) {
            return Entry::Table(raw & link.address());
        }
        let (shape, page) = self.shape(level, raw);
        shape.decode(raw, page)
    }

    /// CR3 without PCID or PWT/PCD (11:0), LAM (62:61) and the no-flush bit (63). Bits between MAXPHYADDR and 52, which
    /// `MOV` to CR3 refuses, are left out too.
    fn root(&self, register: u64) -> u64 {
        register & self.links[0].address()
    }

    fn unrestricted(&self) -> Rights {
        Rights::all()
    }

    #[inline(always)]
    fn restrict(&self, above: Rights, _: Level, raw: u64) -> Rights {
        above.restrict(raw)
    }

    fn relocate(&self, level: Level, raw: u64, to: u64) -> Option<u64> {
        self.shape(level, raw).0.relocate(raw, to)
    }

    fn mark(&self, level: Level, raw: u64, written: bool) -> u64 {
        marked(raw, self.shape(level, raw).1, written)
    }

    #[inline(always)]
    fn contiguous(&self, level: Level, raw: u64) -> u64 {
        self.shape(level, raw).0.contiguous(raw, Self::entry_span(level))
    }

    fn table_name(level: Level) -> &'static str {
        pt_x86::table_name(level)
    }
}

impl<const LEVELS: u8> Encode for LongMode<LEVELS> {
    const RESTRICTED: u64 = XD;

    fn link(&self, level: Level, table: u64) -> Option<u64> {
        let shape = &self.links[level.number() as usize - 1];
        (level > Level::LEAF && table & !shape.address() == 0).then_some(permissive_link(table))
    }

    #[inline]
    fn leaf(&self, level: Level, page: u64, attributes: u64) -> Option<u64> {
        self.leaves.get(level.number() as usize - 1)?.page(page, attributes, level > Level::LEAF)
    }

    #[inline]
    fn attributes(&self, level: Level, raw: u64) -> u64 {
        self.shape(level, raw).0.attributes(raw, level > Level::LEAF)
    }

    #[inline]
    fn widen(&self, _: Level, raw: u64, attributes: u64) -> u64 {
        widened(raw, attributes)
    }

    /// PS is reserved at the upper levels and makes a page at the others.
    #[inline(always)]
    fn passes(&self, level: Level, raw: u64, attributes: u64) -> Option<u64> {
        let shape = &self.links[level.number() as usize - 1];
        if level > Level::LEAF { shape.passes(raw, attributes, LARGE) } else { None }
    }

    #[inline]
    fn narrow(&self, _: Level, raw: u64, most: impl Permissions) -> Option<u64> {
        narrowed(raw, most, self.features.nx)
    }

    fn with_root(&self, register: u64, root: u64) -> Option<u64> {
        let field = self.links[0].address();
        (root & !field == 0).then_some(register & !field | root)
    }

    /// The end of the physical address space: MAXPHYADDR.
    fn highest_table_address(&self, _: Level) -> u64 {
        self.links[0].address() | bits(0, 11)
    }
}
