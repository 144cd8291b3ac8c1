//! Compaction: frames close ranks, in the order in which the spaces use them.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::{NoRoom, Place, Placement};
use crate::{Arena, Extent};

/// Moves all memory that the guest holds to the lowest free addresses, in the order of first use, one copy of each frame.
/// What it does not hold (devices, frames that an image lacks) stays where it is.
#[derive(Debug)]
pub struct Compact<'a> {
    arena: &'a mut Arena,
    held: Vec<RangeInclusive<u64>>,
}

impl<'a> Compact<'a> {
    /// Moves what lies in `held`, to what is free in `arena`.
    pub fn new(arena: &'a mut Arena, held: impl IntoIterator<Item = RangeInclusive<u64>>) -> Self {
        let mut held: Vec<_> = held.into_iter().filter(|range| !range.is_empty()).collect();
        held.sort_by_key(|range| *range.start());
        held.dedup_by(|next, range| {
            let one = range.end().checked_add(1).is_none_or(|end| end >= *next.start());
            if one {
                *range = *range.start()..=*range.end().max(next.end());
            }
            one
        });
        Self { arena, held }
    }

    /// Takes out of the arena what stays where it is. Returns the parts that move, in the order of first use.
    pub(super) fn parts(&mut self, extents: &[Extent]) -> Vec<Extent> {
        let mut parts = Vec::new();
        for extent in extents {
            let mut kept_from = Some(extent.first);
            let after = self.held.partition_point(|range| *range.end() < extent.first);
            for held in self.held[after..].iter().take_while(|held| *held.start() <= extent.last) {
                let Some((first, last)) = whole_grains(extent, held) else { continue };
                if let Some(from) = kept_from.filter(|&from| from < first) {
                    self.arena.reserve(&(from..=first - 1));
                }
                parts.push(Extent { first, last, ..*extent });
                kept_from = last.checked_add(1);
            }
            if let Some(from) = kept_from.filter(|&from| from <= extent.last) {
                self.arena.reserve(&(from..=extent.last));
            }
        }
        parts
    }

    /// Puts a part as one piece if it fits, in pieces of `grain` if it does not.
    pub(super) fn put(
        &mut self,
        part: &Extent,
        grain: u64,
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        let (mut at, mut most) = (part.first, part.bytes());
        loop {
            let bytes = most.min(part.last - at + 1);
            if let Some(to) = self.arena.take(bytes, grain, part.highest) {
                let last = at + (bytes - 1);
                put(at..=last, Place::Move(to));
                if last == part.last {
                    return Ok(());
                }
                at = last + 1;
            } else if bytes > grain {
                most = (bytes / 2).next_multiple_of(grain);
            } else {
                return Err(NoRoom { bytes, alignment: grain, highest: part.highest });
            }
        }
    }
}

/// The whole grains of `extent` that lie in `range`.
fn whole_grains(extent: &Extent, range: &RangeInclusive<u64>) -> Option<(u64, u64)> {
    let grain = extent.grain;
    let first = extent.first.max(range.start().checked_next_multiple_of(grain)?);
    let last = match range.end() {
        &end if end >= extent.last => extent.last,
        end => ((end + 1) & !(grain - 1)).checked_sub(1)?,
    };
    (first <= last).then_some((first, last))
}

impl Placement for Compact<'_> {
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        for part in self.parts(extents) {
            self.put(&part, part.grain, put)?;
        }
        Ok(())
    }
}
