//! Where the frames of a rebuilt guest went, as an MMU sees it: old and new address of all memory that is mapped.
//!
//! Two listings of one space say it page by page. A frame has one new place however often it is mapped, in however many
//! spaces, and two frames do not share one, unless equal frames were merged.

use anyhow::{Result, bail, ensure};

use super::extents::{Extents, Moved};

/// Frames are told apart at this size, whatever that of the pages.
pub(super) const FRAME: u64 = 0x1000;

/// What may become of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// None moves.
    Kept,
    /// Each has a place of its own.
    Apart,
    /// Frames may share a place.
    Merged,
}

/// Old frames and new ones.
#[derive(Debug)]
pub(super) struct Frames {
    moves: Moves,
    new_of: Extents,
    /// Not if frames are merged: then it is no function.
    old_of: Extents,
    /// All new places, each at itself.
    mapped: Extents,
}

impl Frames {
    pub(super) fn new(moves: Moves) -> Self {
        let [new_of, old_of, mapped] = std::array::from_fn(|_| Extents::default());
        Self { moves, new_of, old_of, mapped }
    }

    /// Notes that memory at `old` is at `new` now.
    pub(super) fn moved(&mut self, old: u64, new: u64, bytes: u64) -> Result<()> {
        let moved = Moved { from: old, to: new, bytes };
        // Most pages are mapped in every space.
        if self.new_of.has(moved) {
            return Ok(());
        }
        let kept = self.moves != Moves::Kept || old == new;
        ensure!(kept, "memory at {old:#x} is at {new:#x} now, and was to be kept");
        if let Err(Moved { from, to, .. }) = self.new_of.add(moved) {
            bail!("memory at {from:#x} is at {to:#x} and at {:#x} now", new + (from - old));
        }
        if self.moves != Moves::Merged
            && let Err(Moved { from, to, .. }) = self.old_of.add(Moved { from: new, to: old, bytes })
        {
            bail!("memory at {to:#x} and at {:#x} is both at {from:#x} now", old + (from - new));
        }
        // Equal distances never conflict.
        let _ = self.mapped.add(Moved { from: new, to: new, bytes });
        Ok(())
    }

    /// What is mapped of the old memory from `first` to before `end`.
    pub(super) fn within(&self, first: u64, end: u64) -> impl Iterator<Item = Moved> {
        self.new_of.within(first, end)
    }

    /// Checks that all that is mapped, and nothing else, went where a list says.
    pub(super) fn went(&self, said: &[Moved]) -> Result<()> {
        let mut agreed = 0;
        for stretch in said {
            for Moved { from, to, bytes } in self.within(stretch.from, stretch.from + stretch.bytes) {
                let expected = stretch.to + (from - stretch.from);
                ensure!(
                    to == expected,
                    "memory at {from:#x} is at {to:#x}, and the report says {expected:#x}"
                );
                agreed += bytes;
            }
        }
        let mapped: u64 = self.within(0, u64::MAX).map(|moved| moved.bytes).sum();
        let said: u64 = said.iter().map(|stretch| stretch.bytes).sum();
        ensure!(
            agreed == mapped && said == mapped,
            "{mapped:#x} bytes are mapped, {agreed:#x} of them in the report, which has {said:#x}"
        );
        Ok(())
    }

    /// Whether a page maps part of this new memory.
    pub(super) fn maps(&self, first: u64, end: u64) -> bool {
        self.mapped.within(first, end).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(moves: Moves, pages: &[(u64, u64, u64)]) -> Result<Frames> {
        let mut frames = Frames::new(moves);
        for &(old, new, bytes) in pages {
            frames.moved(old, new, bytes)?;
        }
        Ok(frames)
    }

    #[test]
    fn a_frame_has_one_place() {
        let large = (0x20_0000, 0x60_0000, 0x20_0000);
        assert!(frames(Moves::Apart, &[large, (0x20_3000, 0x60_3000, FRAME), large]).is_ok());
        assert!(frames(Moves::Merged, &[large, (0x20_3000, 0x60_4000, FRAME)]).is_err());
        assert!(frames(Moves::Apart, &[(0x1000, 0x5000, FRAME), (0x1000, 0x6000, FRAME)]).is_err());
    }

    #[test]
    fn a_place_has_one_frame_unless_merged() {
        let two = [(0x1000, 0x5000, FRAME), (0x2000, 0x5000, FRAME)];
        assert!(frames(Moves::Apart, &two).is_err());
        let merged = frames(Moves::Merged, &two).expect("merged");
        assert!(merged.maps(0x5fff, 0x6000) && !merged.maps(0x1000, 0x5000));
        assert_eq!(merged.within(0, u64::MAX).count(), 2);
    }

    #[test]
    fn a_report_has_what_is_mapped() {
        let frames =
            frames(Moves::Apart, &[(0x1000, 0x5000, FRAME), (0x2000, 0x6000, FRAME)]).expect("apart");
        let moved = |from, to, bytes| Moved { from, to, bytes };
        assert!(frames.went(&[moved(0x1000, 0x5000, 2 * FRAME)]).is_ok());
        assert!(frames.went(&[moved(0x1000, 0x5000, FRAME), moved(0x2000, 0x6000, FRAME)]).is_ok());
        assert!(frames.went(&[moved(0x1000, 0x5000, FRAME)]).is_err(), "less");
        assert!(frames.went(&[moved(0x1000, 0x5000, 3 * FRAME)]).is_err(), "more");
        assert!(frames.went(&[moved(0x1000, 0x5000, FRAME), moved(0x2000, 0x7000, FRAME)]).is_err());
    }

    #[test]
    fn kept_is_kept() {
        assert!(frames(Moves::Kept, &[(0x1000, 0x1000, FRAME), (0x9000, 0x9000, FRAME)]).is_ok());
        assert!(frames(Moves::Kept, &[(0x1000, 0x2000, FRAME)]).is_err());
    }
}
