//! What is asked of `map`: a [`Mapping`] that was looked at.

use crate::raw::{MapError, Mapping, MappingKind, RawFormat};
use crate::{Geometry, Level};

/// A range of whole pages, and what it is to be mapped to.
#[derive(Clone, Copy)]
pub(super) struct Request {
    /// The range, without sign extension.
    pub(super) first: u64,
    pub(super) last: u64,
    /// What is to be added to a virtual address to have the physical one.
    offset: u64,
    /// The pages' attributes; none where what is mapped is taken away.
    pub(super) attributes: Option<u64>,
    /// The highest level that pages may have.
    largest: Level,
}

impl Request {
    /// Of a mapping that is not empty.
    #[inline(always)]
    pub(super) fn new<F: RawFormat>(format: &F, mapping: &Mapping) -> Result<Self, MapError> {
        let &Mapping { phys_base, virt_base, len, .. } = mapping;
        let range = MapError::Range { virt_base, len };
        if (virt_base | len) & ((1 << F::PAGE_SHIFT) - 1) != 0 || !F::is_canonical(virt_base) {
            return Err(range);
        }
        // Both ends are in one piece of the space: of two halves, in the same.
        let piece = if F::SIGN_EXTENDED { F::VA_MASK >> 1 } else { F::VA_MASK };
        let last = virt_base.checked_add(len - 1).filter(|last| (virt_base ^ last) & !piece == 0);
        let (first, last) = (virt_base & F::VA_MASK, last.ok_or(range)? & F::VA_MASK);
        let attributes = match mapping.kind {
            MappingKind::Unmapped => None,
            _ => Some(mapping.attributes(format).ok_or(MapError::Unencodable {
                va: virt_base,
                pa: phys_base,
                attributes: mapping.entry,
            })?),
        };
        // What is taken away can have any size.
        let largest = if attributes.is_some() { mapping.level } else { Level::HIGHEST };
        Ok(Self { first, last, offset: phys_base.wrapping_sub(first), attributes, largest })
    }

    /// What becomes of an entry at `level`, if one entry can do what is asked from `va` on: a page, or zero where pages are
    /// taken away.
    #[inline(always)]
    pub(super) fn page<F: RawFormat>(&self, format: &F, level: Level, va: u64) -> Option<u64> {
        let within = F::entry_span(level) - 1;
        // A range of whole pages covers every entry of a page table that it touches.
        if level > Level::LEAF && (level > self.largest || va & within != 0 || va + within > self.last) {
            return None;
        }
        match self.attributes {
            Some(attributes) => format.leaf(level, va.wrapping_add(self.offset), attributes),
            None => Some(0),
        }
    }

    /// Looks whether all 4 KiB pages from `first` to `last` can be encoded. An address that goes up by pages from one
    /// value to another has each bit set, at one time or another, below the highest that changes. (If it goes past the
    /// last address, it has all of them.)
    #[inline(always)]
    pub(super) fn all_fit<F: RawFormat>(&self, format: &F, first: u64, last: u64) -> Result<(), MapError> {
        let Some(attributes) = self.attributes else { return Ok(()) };
        let (from, to) = (first.wrapping_add(self.offset), last.wrapping_add(self.offset));
        let pages = (from ^ to) >> F::PAGE_SHIFT;
        let below = if pages == 0 { 0 } else { u64::MAX >> pages.leading_zeros() << F::PAGE_SHIFT };
        let fit = format.leaf(Level::LEAF, from | below, attributes).is_some();
        if fit { Ok(()) } else { Err(self.unencodable::<F>(first)) }
    }

    #[cold]
    pub(super) fn unencodable<F: Geometry>(self, va: u64) -> MapError {
        let (pa, attributes) = (va.wrapping_add(self.offset), self.attributes.unwrap_or_default());
        MapError::Unencodable { va: F::canonical(va), pa, attributes }
    }
}
