//! An entry as two fields: what must be zero and what is address.

use pt_core::{Entry, Permissions};

use crate::{EntryFlags, Rights};

/// What a present entry of one level and kind is made of. Each format picks the shape by level and PS bit; the rest is
/// the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// P and the bits that must be zero: of an entry of this shape P alone, which one comparison tells.
    judged: u64,
    /// Bits that hold the address.
    address: u64,
}

impl Shape {
    /// The shape of entries whose bits in `reserved` must be zero, and whose bits in `address` hold the address.
    pub const fn new(reserved: u64, address: u64) -> Self {
        Self { judged: reserved | EntryFlags::PRESENT.bits(), address }
    }

    /// As it is on a machine to which these bits mean nothing: they are neither reserved nor address.
    #[must_use]
    pub const fn ignoring(self, ignored: u64) -> Self {
        Self::new(self.reserved() & !ignored, self.address & !ignored)
    }

    /// Bits that must be zero.
    #[inline(always)]
    pub const fn reserved(self) -> u64 {
        self.judged & !EntryFlags::PRESENT.bits()
    }

    /// Bits that hold the address.
    #[inline(always)]
    pub const fn address(self) -> u64 {
        self.address
    }

    /// Whether `raw` is present and has no reserved bit set.
    #[inline(always)]
    pub const fn fits(self, raw: u64) -> bool {
        raw & self.judged == EntryFlags::PRESENT.bits()
    }

    /// What a `raw` of this shape means, if present: a page, or a link to a table.
    #[inline(always)]
    pub const fn decode(self, raw: u64, page: bool) -> Entry {
        if self.fits(raw) {
            if page { Entry::Leaf(raw & self.address) } else { Entry::Table(raw & self.address) }
        } else if raw & EntryFlags::PRESENT.bits() == 0 {
            Entry::Absent
        } else {
            Entry::Malformed { reserved: raw & self.reserved() }
        }
    }

    /// `raw` with `held` in its address field; none where it is absent or malformed, or `held` leaves the field.
    #[inline]
    pub const fn relocate(self, raw: u64, held: u64) -> Option<u64> {
        if self.fits(raw) && held & !self.address == 0 { Some(raw & !self.address | held) } else { None }
    }

    /// How often `size` can be added to `raw`, that value included, before it carries out of the address field. A bit
    /// inside the field that is not address (an ignored one) ends it too. At least 1; `size` is a power of two.
    #[inline(always)]
    pub const fn contiguous(self, raw: u64, size: u64) -> u64 {
        let first_gap = (!self.address & !size.wrapping_sub(1)).trailing_zeros();
        let end = if first_gap < 64 { 1u64 << first_gap } else { 0 };
        // A size is a power of two, which only a shift says to the compiler.
        let left = end.wrapping_sub(raw & end.wrapping_sub(1) & self.address) >> (size.trailing_zeros() & 63);
        if left == 0 { 1 } else { left }
    }
}

impl Shape {
    /// The address in `raw`, if it is a link of this shape that caps no page of these attributes. `page` is the bit that
    /// would make it a page, if there is one. R/W and U/S are not reserved in such links. (In PDPTEs of PAE they are, and cap
    /// nothing: those are not of this kind.)
    #[inline(always)]
    pub const fn passes(self, raw: u64, attributes: u64, page: u64) -> Option<u64> {
        let set = EntryFlags::PRESENT.bits() | attributes & Rights::WRITE.union(Rights::USER).bits();
        let clear = self.reserved() | page | !attributes & Rights::EXECUTE.bits();
        if raw & (set | clear) == set { Some(raw & self.address) } else { None }
    }
}

const PS: u64 = EntryFlags::LARGE.bits();
const PAT_LARGE: u64 = EntryFlags::PAT_LARGE.bits();
/// How far PAT moves between a level-1 entry (bit 7) and a large one (bit 12).
const PAT_SHIFT: u32 = PAT_LARGE.trailing_zeros() - PS.trailing_zeros();

/// A link to `held` that restricts no right. The accessed bit is set, so that the CPU need not write it.
pub const fn permissive_link(held: u64) -> u64 {
    held | EntryFlags::PRESENT
        .union(EntryFlags::WRITABLE)
        .union(EntryFlags::USER)
        .union(EntryFlags::ACCESSED)
        .bits()
}

/// `raw` after use: accessed, and dirty if it is a `page` that was `written`.
pub const fn marked(raw: u64, page: bool, written: bool) -> u64 {
    let dirty = if page && written { EntryFlags::DIRTY.bits() } else { 0 };
    raw | EntryFlags::ACCESSED.bits() | dirty
}

impl Shape {
    /// A page whose address field is `held`, with attributes in the layout of a 4 KiB entry; none where something of
    /// it does not fit. `large` says that the level's pages are marked by PS, and have PAT in bit 12.
    #[inline(always)]
    pub const fn page(self, held: u64, attributes: u64, large: bool) -> Option<u64> {
        let attributes = attributes & !(bits_of_size(large) | self.address) | EntryFlags::PRESENT.bits();
        let raw = if large { attributes & !PS | (attributes & PS) << PAT_SHIFT | PS } else { attributes };
        let fits = held & !self.address == 0 && raw & self.reserved() == 0;
        if fits { Some(raw | held) } else { None }
    }

    /// The inverse of [`page`](Self::page): the attributes of the leaf `raw`.
    #[inline(always)]
    pub const fn attributes(self, raw: u64, large: bool) -> u64 {
        let rest = raw & !self.address & !EntryFlags::PRESENT.bits();
        if large { rest & !(PS | PAT_LARGE) | (rest & PAT_LARGE) >> PAT_SHIFT } else { rest }
    }
}

/// Bits that attributes do not have at the level where they are put: bit 12 is PAT there.
const fn bits_of_size(large: bool) -> u64 {
    if large { PAT_LARGE } else { 0 }
}

/// `raw` with the restrictions that leave a path below it no more than `most`. `no_execute` says that bit 63 is XD; none
/// where it is not and fetches are to be forbidden.
#[inline(always)]
pub fn narrowed(raw: u64, most: impl Permissions, no_execute: bool) -> Option<u64> {
    let mut taken = EntryFlags::empty();
    taken.set(EntryFlags::WRITABLE, !most.writable());
    taken.set(EntryFlags::USER, !most.user());
    let raw = raw & !taken.bits();
    let taken = if most.executable() { 0 } else { EntryFlags::NO_EXECUTE.bits() };
    (taken == 0 || no_execute).then_some(raw | taken)
}

/// `link` without the restrictions that cap a page of these attributes: R/W and U/S if the page has them, XD if it has
/// not.
#[inline(always)]
pub const fn widened(link: u64, attributes: u64) -> u64 {
    let given = attributes & Rights::WRITE.union(Rights::USER).bits();
    let executable = !attributes & Rights::EXECUTE.bits();
    (link | given) & !executable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits;

    #[test]
    fn a_run_goes_as_far_as_its_address_field() {
        let page = Shape::new(0, bits(12, 51));
        assert_eq!(page.contiguous(0x8000_0000_0000_0067, 0x1000), 1 << 40);
        assert_eq!(page.contiguous(0x3067, 0x1000), (1 << 40) - 3);
        assert_eq!(page.contiguous(bits(12, 51) | 1, 0x1000), 1);
        // Bit 40 is not address.
        let shared = Shape::new(0, bits(12, 51) & !bits(40, 40));
        assert_eq!(shared.contiguous(1 << 45 | 0x2067, 0x1000), (1 << 28) - 2);
        let large = Shape::new(bits(13, 20), bits(21, 51));
        assert_eq!(large.contiguous(0x40_00e7, 0x20_0000), (1 << 31) - 2);
        // There is nothing above the field.
        let whole = Shape::new(0, bits(12, 63));
        assert_eq!(whole.contiguous(0xf000_0000_0000_1000, 0x1000), (1 << 48) - 1);
    }
    const WRITABLE: u64 = EntryFlags::WRITABLE.bits();
    const NO_EXECUTE: u64 = EntryFlags::NO_EXECUTE.bits();

    #[test]
    fn what_must_be_zero_lets_nothing_through() {
        // Without XD.
        let shape = Shape::new(NO_EXECUTE | 1 << 8, bits(12, 51));
        for attributes in [0, NO_EXECUTE, WRITABLE, WRITABLE | NO_EXECUTE] {
            assert_eq!(shape.passes(0x5003, attributes, PS), Some(0x5000), "{attributes:#x}");
            for set in [NO_EXECUTE, 1 << 8, PS] {
                assert_eq!(
                    shape.passes(0x5003 | set, attributes, PS),
                    None,
                    "{attributes:#x} through {set:#x}"
                );
            }
        }
    }

    #[test]
    fn a_link_passes_what_it_does_not_withhold() {
        let shape = Shape::new(0, bits(12, 51));
        assert_eq!(shape.passes(0x5003, WRITABLE | NO_EXECUTE, PS), Some(0x5000));
        assert_eq!(shape.passes(0x5001, WRITABLE | NO_EXECUTE, PS), None);
        assert_eq!(shape.passes(0x5001 | NO_EXECUTE, NO_EXECUTE, PS), Some(0x5000));
        assert_eq!(shape.passes(0x5001 | NO_EXECUTE, 0, PS), None);
        assert_eq!(shape.passes(0x5000, 0, PS), None);
    }

    #[test]
    fn what_is_marked_already_stays_so() {
        for (page, written) in [(false, false), (false, true), (true, false), (true, true)] {
            let once = marked(0x5001, page, written);
            assert_eq!(marked(once, page, written), once);
            assert_eq!(once, if page && written { 0x5061 } else { 0x5021 });
        }
        assert_eq!(permissive_link(permissive_link(0x5000)), permissive_link(0x5000));
    }
}
