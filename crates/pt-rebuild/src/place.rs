//! Placements: where frames go.

mod compact;
mod dedup;

use core::ops::RangeInclusive;

pub use compact::Compact;
pub use dedup::Dedup;

use crate::Extent;

/// What becomes of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// They stay where they are.
    Keep,
    /// They go to the addresses from there on.
    Move(u64),
    /// Their bytes equal those that other frames bring to the addresses from there on: they are those from now on, and
    /// no page that maps them can be writable.
    Share(u64),
    /// They are left out, and the pages that map them become absent.
    Drop,
}

/// There is no room for an extent, or no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for {bytes:#x} bytes at a multiple of {alignment:#x}, up to {highest:#x}")]
pub struct NoRoom {
    /// How many bytes there was no room for.
    pub bytes: u64,
    /// Their alignment in bytes.
    pub alignment: u64,
    /// The highest address that the last byte could have.
    pub highest: u64,
}

/// Says where frames go.
///
/// A function from an extent to its place is one:
///
/// ```
/// use pt_rebuild::{Extent, Place, Placement};
///
/// fn takes(_: impl Placement) {}
/// takes(|extent: &Extent| Place::Move(extent.first + (64 << 30)));
/// takes(pt_rebuild::Keep);
/// ```
pub trait Placement {
    /// Calls `put` with ranges of old addresses and what becomes of them. Each range lies in one of the extents, which are
    /// disjoint and in the order of first use, and is made of whole grains of it; what is not put stays where it is.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: nothing is rebuilt.
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom>;

    /// The size of pieces that the placement would move apart; none if it keeps pages whole.
    fn pieces(&self) -> Option<u64> {
        None
    }
}

/// Every frame stays where it is; tables are all that is new.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep;

impl Placement for Keep {
    fn place(&mut self, _: &[Extent], _: &mut dyn FnMut(RangeInclusive<u64>, Place)) -> Result<(), NoRoom> {
        Ok(())
    }
}

impl<P: FnMut(&Extent) -> Place> Placement for P {
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        for extent in extents {
            put(extent.first..=extent.last, self(extent));
        }
        Ok(())
    }
}

impl Placement for &mut dyn Placement {
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        (**self).place(extents, put)
    }
    fn pieces(&self) -> Option<u64> {
        (**self).pieces()
    }
}
