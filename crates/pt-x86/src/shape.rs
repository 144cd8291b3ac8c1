//! An entry as two fields: what must be zero and what is address.

use pt_core::Entry;

use crate::EntryFlags;

/// What a present entry of one level and kind is made of. Each format picks the shape by level and PS bit; the rest is
/// the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bits that must be zero.
    pub reserved: u64,
    /// Bits that hold the address.
    pub address: u64,
    /// Whether it maps a page rather than linking a table.
    pub leaf: bool,
}

impl Shape {
    /// What a `raw` of this shape means.
    #[inline(always)]
    pub const fn decode(self, raw: u64) -> Entry {
        if raw & EntryFlags::PRESENT.bits() == 0 {
            Entry::Absent
        } else if raw & self.reserved != 0 {
            Entry::Malformed { reserved: raw & self.reserved }
        } else if self.leaf {
            Entry::Leaf(raw & self.address)
        } else {
            Entry::Table(raw & self.address)
        }
    }

    /// `raw` with `held` in its address field; none where it is absent or malformed, or `held` leaves the field.
    #[inline]
    pub const fn relocate(self, raw: u64, held: u64) -> Option<u64> {
        let sound = matches!(self.decode(raw), Entry::Table(_) | Entry::Leaf(_));
        if sound && held & !self.address == 0 { Some(raw & !self.address | held) } else { None }
    }

    /// How often `size` can be added to `raw`, that value included, before it carries out of the address field. A bit
    /// inside the field that is not address (an ignored one) ends it too.
    #[inline(always)]
    pub const fn contiguous(self, raw: u64, size: u64) -> u64 {
        let first_gap = (!self.address & !(size - 1)).trailing_zeros();
        let end = if first_gap < 64 { 1u64 << first_gap } else { 0 };
        let left = end.wrapping_sub(raw & end.wrapping_sub(1) & self.address) / size;
        if left == 0 { 1 } else { left }
    }
}
