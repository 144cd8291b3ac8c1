//! The address axis: every stretch where any space has something, and what lies between folded away.

use super::blocks::{Block, coarser};

/// How many stretches a picture can show.
const MOST_STRETCHES: usize = 220;
/// The height of what is folded away.
const GAP: f64 = 7.0;

/// A stretch of addresses, drawn with one scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Whether any space has something here.
    pub(super) used: bool,
    pub(super) top: f64,
    pub(super) height: f64,
}

/// The stretches in ascending order, and the grain that addresses are rounded to.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) stretches: Vec<Stretch>,
    pub(super) grain: u64,
}

impl Axis {
    /// The finest axis that is not too long to be drawn.
    pub(super) fn of(columns: &[Vec<Block>]) -> Self {
        let mut grain = 4096;
        loop {
            let stretches = stretches(columns, grain);
            if stretches.len() <= MOST_STRETCHES || grain >= 1 << 56 {
                return Self { stretches, grain };
            }
            grain <<= 1;
        }
    }

    /// The height of all stretches.
    pub(super) fn height(&self) -> f64 {
        self.stretches.last().map_or(0.0, |last| last.top + last.height)
    }

    /// The indices of the stretches that a block covers, both ends included. Its ends are those of stretches.
    pub(super) fn covered(&self, block: &Block) -> Option<(usize, usize)> {
        let first = self.stretches.partition_point(|stretch| stretch.last < block.first);
        let last = self.stretches.partition_point(|stretch| stretch.first <= block.last).checked_sub(1)?;
        (first <= last).then_some((first, last))
    }
}

fn stretches(columns: &[Vec<Block>], grain: u64) -> Vec<Stretch> {
    let mut blocks: Vec<Block> = columns.iter().flat_map(|column| coarser(column, grain)).collect();
    blocks.sort_unstable_by_key(|block| block.first);
    let mut bounds: Vec<u64> = blocks.iter().flat_map(|block| [block.first, block.last + 1]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let (mut top, mut next, mut covered_to) = (0.0, 0, None);
    let stretch = |bounds: &[u64]| {
        let (first, last) = (bounds[0], bounds[1] - 1);
        while let Some(block) = blocks.get(next).filter(|block| block.first <= first) {
            covered_to = covered_to.max(Some(block.last));
            next += 1;
        }
        let used = covered_to >= Some(last);
        // A page is as high as a letter is thick, and each doubling adds a little.
        let height = if used { 4.0 + 1.1 * f64::from((last - first + 1).ilog2() - 12) } else { GAP };
        let stretch = Stretch { first, last, used, top, height };
        top += height;
        stretch
    };
    bounds.windows(2).map(stretch).collect()
}
