//! The ways in which a case can be rebuilt.

use std::ops::RangeInclusive;

use pt_core::Memory;
use pt_rebuild::{
    Arena, Compact, Dedup, Extent, Faults, Keep, NoRoom, Pages, Place, Placement, Proof, RebuildOptions,
    TableFrames,
};

use super::known::{Known, top};
use crate::naive::{Faulty, Frames, Mode, Terms, Went};

/// The most tables that a rebuild may have here: more than any case has, and fewer than make a 1 GiB page in pieces.
const LIMIT: u64 = 500;

/// What is chosen of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Pages that map tables show the new ones.
    pub live: bool,
    /// What happens to entries that cannot be followed.
    pub faults: Faulty,
    /// What happens to the sizes of pages.
    pub pages: Pages,
    /// Where frames go.
    pub placing: Placing,
}

/// Where frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Placing {
    Keep,
    /// All by so many bytes.
    Shift(u64),
    /// All to what is free.
    Move,
    Compact,
    Dedup,
}

impl Way {
    /// Every way that keeps the sizes of pages and merges nothing.
    pub fn plain(placings: &[Placing]) -> Vec<Self> {
        Self::with(&[Pages::Keep], placings)
    }

    /// Every way with these choices.
    pub fn with(pages: &[Pages], placings: &[Placing]) -> Vec<Self> {
        let mut ways = Vec::new();
        for live in [false, true] {
            for faults in [Faulty::Refused, Faulty::Cleared, Faulty::Kept] {
                for &pages in pages {
                    ways.extend(placings.iter().map(|&placing| Self { live, faults, pages, placing }));
                }
            }
        }
        ways
    }

    /// Whether it keeps the sizes of pages, so that the oracle knows without it whether it can be gone.
    pub fn is_plain(&self) -> bool {
        self.pages == Pages::Keep && self.placing != Placing::Dedup
    }

    pub(super) fn options(&self) -> RebuildOptions {
        RebuildOptions {
            table_frames: if self.live { TableFrames::Live } else { TableFrames::Data },
            pages: self.pages,
            faults: match self.faults {
                Faulty::Refused => Faults::Refuse,
                Faulty::Cleared => Faults::Clear,
                Faulty::Kept => Faults::Keep,
            },
            limit: LIMIT,
        }
    }

    pub(super) fn terms(&self) -> Terms<'static> {
        Terms {
            live: self.live,
            cleared: self.faults == Faulty::Cleared,
            sizes: !self.is_plain(),
            merged: self.placing == Placing::Dedup,
            went: None,
        }
    }

    /// What is to be proved of such a rebuild of which nothing else is known.
    pub(super) fn proof(&self, range: (u64, u64)) -> Proof<'static> {
        let (options, terms) = (self.options(), self.terms());
        Proof {
            range: range.0..=range.1,
            table_frames: options.table_frames,
            faults: options.faults,
            sizes: terms.sizes,
            merged: terms.merged,
            ..Proof::default()
        }
    }

    /// Memory that is free for tables and for what moves: what stays is not, nor what must go on being unreadable.
    pub(super) fn arena(&self, mode: &Mode, old: &Known<'_>) -> Arena {
        let mut arena = Arena::new([0..=top(mode)]);
        let shift = match self.placing {
            Placing::Keep => Some(0),
            Placing::Shift(by) => Some(by),
            _ => None,
        };
        let used =
            shift.into_iter().flat_map(|by| old.pages.iter().map(move |page| page.0 + by..=page.1 + by));
        // Written memory is made of whole frames, and tables of the toy are smaller.
        let frame = Frames::SIZE - 1;
        let unreadable = old.unreadable.iter().map(|&(first, last)| first & !frame..=last | frame);
        used.chain(unreadable).for_each(|range| arena.reserve(&range));
        arena
    }

    /// Calls `with` with the placement. What that puts is written down in `puts`.
    pub(super) fn place<T>(
        &self,
        old: &Known<'_>,
        memory: &impl Memory,
        arena: &mut Arena,
        puts: &mut Vec<Went>,
        with: impl FnOnce(Recorded<'_>) -> T,
    ) -> T {
        let held = || old.held.iter().map(|&(first, last)| first..=last);
        match self.placing {
            Placing::Keep => with(Recorded { placement: &mut Keep, puts }),
            Placing::Shift(by) => {
                let mut shift = |extent: &Extent| Place::Move(extent.first + by);
                with(Recorded { placement: &mut shift, puts })
            }
            Placing::Move => with(Recorded { placement: &mut Move(arena), puts }),
            Placing::Compact => with(Recorded { placement: &mut Compact::new(arena, held()), puts }),
            Placing::Dedup => {
                let mut dedup = Dedup::new(arena, held(), memory, 4096);
                with(Recorded { placement: &mut dedup, puts })
            }
        }
    }
}

/// Moves every extent whole, whether there is memory or not.
struct Move<'a>(&'a mut Arena);

impl Placement for Move<'_> {
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        for extent in extents {
            let (bytes, alignment, highest) = (extent.bytes(), extent.grain, extent.highest);
            let to = self.0.take(bytes, alignment, highest).ok_or(NoRoom { bytes, alignment, highest })?;
            put(extent.first..=extent.last, Place::Move(to));
        }
        Ok(())
    }
}

/// A placement, and what it puts.
pub(super) struct Recorded<'a> {
    placement: &'a mut dyn Placement,
    puts: &'a mut Vec<Went>,
}

impl Placement for Recorded<'_> {
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        self.placement.place(extents, &mut |range, place| {
            let to = match place {
                Place::Keep => Some(*range.start()),
                Place::Move(to) | Place::Share(to) => Some(to),
                Place::Drop => None,
            };
            self.puts.push(Went { first: *range.start(), last: *range.end(), to });
            put(range, place);
        })
    }

    fn pieces(&self) -> Option<u64> {
        self.placement.pieces()
    }
}
