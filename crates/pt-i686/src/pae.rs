//! PAE paging: two levels of 8-byte entries below a root of four (SDM "PAE Paging").
//!
//! The root is 32-byte aligned and the CPU reads it once, when CR3 is loaded; its entries have no rights of their own.
//!
//! ```text
//!          63   62:M      M-1:12   11:9  8:5        4:3      2:1       0
//!  PDPTE   reserved       address  AVL   reserved   PCD PWT  reserved  P
//!  PDE     XD   reserved  address  …     PS …
//!  PTE     XD   reserved  address  …     PAT …
//! ```

use pt_core::{Encode, Entry, Format, Geometry, Level, Permissions};
use pt_x86::{
    EntryFlags, MAX_PHYS_BITS, Rights, Shape, address_mask, bits, marked, narrowed, permissive_link,
    reserved_above, widened,
};

/// What a CPU makes of the entries: facts of the machine, not of the tables.
/// ```
/// use pt_core::{Cause, TranslateError, translate};
/// use pt_i686::{Pae, PaeFeatures};
///
/// // A PDPTE with bit 5 set, as a guest has it that ran under QEMU's TCG, and a page of 2 MiB.
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1008].copy_from_slice(&0x2021_u64.to_le_bytes());
/// memory[0x2000..0x2008].copy_from_slice(&0x40_0083_u64.to_le_bytes());
///
/// let error = translate(&Pae::default(), &memory, 0x1000, 0x123).unwrap_err();
/// assert!(matches!(error, TranslateError::Fault(Cause::Malformed { reserved: 0x20, .. })));
/// let of_tcg = Pae::new(PaeFeatures { strict_pdpte: false, ..PaeFeatures::default() });
/// assert_eq!(translate(&of_tcg, &memory, 0x1000, 0x123)?.pa, 0x40_0123);
/// # Ok::<(), TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaeFeatures {
    /// MAXPHYADDR, at most 52. Higher bits are reserved, up to bit 62 in entries and 63 in PDPTEs.
    pub phys_bits: u8,
    /// EFER.NXE: bit 63 of a PDE or PTE is XD; otherwise it is reserved.
    pub nx: bool,
    /// Whether bits 8:5 and 2:1 of a PDPTE are reserved. Hardware says so; QEMU's TCG ignores them and even sets bit 5
    /// (accessed) itself, so a reader of its images has to relax this.
    pub strict_pdpte: bool,
    /// Address bits that are not address, such as an SEV C-bit: neither reserved nor part of any physical address.
    pub ignored: u64,
}

/// The widest machine: MAXPHYADDR 52 and XD, PDPTEs as hardware checks them.
impl Default for PaeFeatures {
    fn default() -> Self {
        Self { phys_bits: MAX_PHYS_BITS, nx: true, strict_pdpte: true, ignored: 0 }
    }
}

const LARGE: u64 = EntryFlags::LARGE.bits();
const XD: u64 = EntryFlags::NO_EXECUTE.bits();
const PDPT: u8 = 3;

/// The PAE format.
/// ```
/// use pt_core::translate;
/// use pt_i686::Pae;
///
/// // A root at 0x1020, its fourth entry links a directory at 0x2000: 2 MiB at 0xc020_0000, above 4 GiB.
/// let mut memory = vec![0; 0x3000];
/// memory[0x1038..0x1040].copy_from_slice(&0x2001_u64.to_le_bytes());
/// memory[0x2008..0x2010].copy_from_slice(&0x1_4000_0083_u64.to_le_bytes());
/// assert_eq!(translate(&Pae::default(), &memory, 0x1020, 0xc020_0123)?.pa, 0x1_4000_0123);
/// # Ok::<(), pt_core::TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pae {
    features: PaeFeatures,
    /// A PTE, or a PDE that links a table.
    small: Shape,
    large: Shape,
    pdpte: Shape,
}

impl Pae {
    /// The format as a machine with these features reads it.
    pub const fn new(features: PaeFeatures) -> Self {
        let width = if features.phys_bits > MAX_PHYS_BITS { MAX_PHYS_BITS } else { features.phys_bits };
        let above = reserved_above(width, 62);
        let reserved = above | if features.nx { 0 } else { XD };
        let strict = if features.strict_pdpte { bits(5, 8) | bits(1, 2) } else { 0 };
        let (address, ignored) = (address_mask(width, 12), features.ignored);
        Self {
            features,
            small: Shape::new(reserved, address).ignoring(ignored),
            large: Shape::new(reserved | bits(13, 20), address & !bits(12, 20)).ignoring(ignored),
            pdpte: Shape::new(above | XD | strict, address).ignoring(ignored),
        }
    }

    /// The features that it was made with.
    pub const fn features(&self) -> &PaeFeatures {
        &self.features
    }

    /// What a present `raw` is made of at `level`, and whether it maps a page.
    #[inline(always)]
    fn shape(&self, level: Level, raw: u64) -> (&Shape, bool) {
        match level.number() {
            1 => (&self.small, true),
            2 if raw & LARGE != 0 => (&self.large, true),
            PDPT => (&self.pdpte, false),
            _ => (&self.small, false),
        }
    }
}

impl Default for Pae {
    fn default() -> Self {
        Self::new(PaeFeatures::default())
    }
}

impl Format for Pae {
    type Rights = Rights;

    const LEVELS: u8 = 3;
    const INDEX_BITS: [u8; 5] = [9, 9, 2, 0, 0];
    const ENTRY_BYTES: usize = 8;
    const SIGN_EXTENDED: bool = false;
    const ACCESSED_DIRTY: u64 = EntryFlags::ACCESSED.union(EntryFlags::DIRTY).bits();

    #[inline(always)]
    fn decode(&self, level: Level, raw: u64) -> Entry {
        let (shape, page) = self.shape(level, raw);
        shape.decode(raw, page)
    }

    /// CR3 bits 31:5: the root is 32-byte aligned and below 4 GiB.
    fn root(&self, register: u64) -> u64 {
        register & bits(5, 31) & !self.features.ignored
    }

    fn unrestricted(&self) -> Rights {
        Rights::all()
    }

    #[inline(always)]
    fn restrict(&self, above: Rights, level: Level, raw: u64) -> Rights {
        if level.number() == PDPT { above } else { above.restrict(raw) }
    }

    fn relocate(&self, level: Level, raw: u64, to: u64) -> Option<u64> {
        self.shape(level, raw).0.relocate(raw, to)
    }

    /// A PDPTE has no accessed bit.
    fn mark(&self, level: Level, raw: u64, written: bool) -> u64 {
        if level.number() == PDPT { raw } else { marked(raw, self.shape(level, raw).1, written) }
    }

    #[inline(always)]
    fn contiguous(&self, level: Level, raw: u64) -> u64 {
        self.shape(level, raw).0.contiguous(raw, Self::entry_span(level))
    }

    fn table_name(level: Level) -> &'static str {
        pt_x86::table_name(level)
    }
}

impl Encode for Pae {
    const RESTRICTED: u64 = XD;

    /// A PDPTE has no rights and no accessed bit: it is its address and P.
    fn link(&self, level: Level, table: u64) -> Option<u64> {
        let fits = level > Level::LEAF && table & !self.small.address() == 0;
        let root = level.number() == PDPT;
        fits.then_some(if root { table | EntryFlags::PRESENT.bits() } else { permissive_link(table) })
    }

    #[inline]
    fn leaf(&self, level: Level, page: u64, attributes: u64) -> Option<u64> {
        match level.number() {
            1 => self.small.page(page, attributes, false),
            2 => self.large.page(page, attributes, true),
            _ => None,
        }
    }

    #[inline]
    fn attributes(&self, level: Level, raw: u64) -> u64 {
        self.shape(level, raw).0.attributes(raw, level > Level::LEAF)
    }

    fn widen(&self, level: Level, raw: u64, attributes: u64) -> u64 {
        if level.number() == PDPT { raw } else { widened(raw, attributes) }
    }

    /// A PDPTE can withhold nothing.
    fn narrow(&self, level: Level, raw: u64, most: impl Permissions) -> Option<u64> {
        if level.number() == PDPT {
            (most.writable() && most.user() && most.executable()).then_some(raw)
        } else {
            narrowed(raw, most, self.features.nx)
        }
    }

    fn with_root(&self, register: u64, root: u64) -> Option<u64> {
        let field = self.root(bits(0, 31));
        (root & !field == 0).then_some(register & !field | root)
    }

    /// CR3 has 32 bits, so that the root is below 4 GiB; other tables are anywhere below MAXPHYADDR.
    fn highest_table_address(&self, level: Level) -> u64 {
        if level.number() == PDPT {
            self.root(bits(0, 31)) | bits(0, 4)
        } else {
            self.small.address() | bits(0, 11)
        }
    }
}
