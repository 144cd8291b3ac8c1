//! Extents: what of physical memory can only move together.
//!
//! A page is aligned to its size, so that two pages of any sizes are disjoint or one lies in the other: what overlapping
//! pages tie together is the largest of them. A kernel's direct map ties nearly all memory into its large pages, and
//! every small page inside moves with them.
//!
//! ```text
//! pages       4K 4K   4K          2M ─────────────      4K
//! overlaid                        4K   4K
//! extents    [  2 grains ]       [  1 grain: 2M    ]   [1]
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::graph::Frames;

/// Physical memory that pages map, of pieces that can be placed one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first physical address.
    pub first: u64,
    /// The last physical address.
    pub last: u64,
    /// The size of a piece in bytes, a power of two: what moves, moves by a multiple of it, in pieces of it.
    pub grain: u64,
    /// The size in bytes of the pages that map it: the grain, unless pages can be split. Pages stay whole where memory
    /// moves in blocks of this size by multiples of it.
    pub page: u64,
    /// The highest address that the last byte can have.
    pub highest: u64,
    /// Whether it holds tables that are rebuilt in place, as live memory of the guest.
    pub tables: bool,
}

impl Extent {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// A table that is rebuilt where a page maps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveTable {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The highest address that its last byte can have.
    pub(crate) highest: u64,
}

/// The extents that `frames` make, in the order of first use. With `grain`, pages can be cut into pieces of that size.
pub(crate) fn extents(frames: &[Frames], grain: Option<u64>, live: &[LiveTable]) -> Vec<Extent> {
    let mut cover = Cover::default();
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.sort_by_key(|&index| (Reverse(frames[index].size), index));
    for index in order {
        cover.add(&frames[index], index, grain);
    }
    for table in live {
        cover.cut(table);
    }
    let mut extents = cover.extents;
    extents.sort_by_key(|&(extent, first_use)| (first_use, extent.first));
    extents.into_iter().map(|(extent, _)| extent).collect()
}

/// Disjoint extents, as far as frames were added, with the number of their first use.
#[derive(Default)]
struct Cover {
    extents: Vec<(Extent, usize)>,
    /// By first address.
    index: BTreeMap<u64, usize>,
}

impl Cover {
    /// Adds frames no larger than those before.
    fn add(&mut self, frames: &Frames, first_use: usize, grain: Option<u64>) {
        let (mut at, last) = (frames.first, frames.last());
        loop {
            if let Some(index) = self.at(at) {
                let (extent, used) = &mut self.extents[index];
                *used = first_use.min(*used);
                at = extent.last;
            } else {
                let next = self.index.range(at..=last).next().map(|(&first, _)| first - 1);
                let extent = Extent {
                    first: at,
                    last: next.unwrap_or(last),
                    grain: grain.unwrap_or(frames.size).min(frames.size),
                    page: frames.size,
                    highest: u64::MAX,
                    tables: false,
                };
                at = extent.last;
                self.push(extent, first_use);
            }
            if at >= last {
                return;
            }
            at += 1;
        }
    }

    /// Makes the pieces that hold a table an extent of their own.
    fn cut(&mut self, table: &LiveTable) {
        let Some(index) = self.at(table.first) else { return };
        let (extent, first_use) = self.extents[index];
        let first = extent.first.max(table.first & !(extent.grain - 1));
        let last = extent.last.min(table.last | (extent.grain - 1));
        let highest = table.highest.saturating_add(last - table.last).min(extent.highest);
        self.extents[index].0 = Extent { first, last, tables: true, highest, ..extent };
        self.index.remove(&extent.first);
        self.index.insert(first, index);
        if first > extent.first {
            self.push(Extent { last: first - 1, ..extent }, first_use);
        }
        if last < extent.last {
            self.push(Extent { first: last + 1, ..extent }, first_use);
        }
    }

    fn push(&mut self, extent: Extent, first_use: usize) {
        self.index.insert(extent.first, self.extents.len());
        self.extents.push((extent, first_use));
    }

    fn at(&self, address: u64) -> Option<usize> {
        let (_, &index) = self.index.range(..=address).next_back()?;
        (self.extents[index].0.last >= address).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K4: u64 = 0x1000;
    const M2: u64 = 0x20_0000;

    fn frames(first: u64, size: u64, pages: u32) -> Frames {
        Frames { first, size, pages }
    }

    fn shape(extents: &[Extent]) -> Vec<(u64, u64, u64)> {
        extents.iter().map(|extent| (extent.first, extent.last, extent.grain)).collect()
    }

    #[test]
    fn a_large_page_ties_the_small_ones_inside_it() {
        let all = [frames(0x1f_f000, K4, 3), frames(0x20_0000, M2, 1), frames(0x3f_f000, K4, 2)];
        let expected = [(0x1f_f000, 0x1f_ffff, K4), (0x20_0000, 0x3f_ffff, M2), (0x40_0000, 0x40_0fff, K4)];
        assert_eq!(shape(&extents(&all, None, &[])), expected);
    }

    #[test]
    fn frames_that_are_mapped_twice_are_in_one_extent_of_the_first_use() {
        let all = [frames(0x9000, K4, 1), frames(0x1000, K4, 4), frames(0x3000, K4, 4)];
        let expected = [(0x9000, 0x9fff, K4), (0x1000, 0x4fff, K4), (0x5000, 0x6fff, K4)];
        assert_eq!(shape(&extents(&all, None, &[])), expected);
        // A small page used before the large one around it makes that the first.
        let all = [frames(0x20_3000, K4, 1), frames(0x9000, K4, 1), frames(0x20_0000, M2, 1)];
        assert_eq!(shape(&extents(&all, None, &[])), [(0x20_0000, 0x3f_ffff, M2), (0x9000, 0x9fff, K4)]);
    }

    #[test]
    fn tables_that_live_in_frames_are_cut_out_in_whole_pieces() {
        let table = LiveTable { first: 0x3020, last: 0x303f, highest: 0xffff_ffff };
        let cut = extents(&[frames(0x1000, K4, 4)], None, &[table]);
        assert_eq!(shape(&cut), [(0x1000, 0x2fff, K4), (0x3000, 0x3fff, K4), (0x4000, 0x4fff, K4)]);
        assert_eq!(cut[1].highest, 0xffff_ffff + 0xfc0);
        assert!(cut[1].tables && !cut[0].tables && !cut[2].tables);
        let whole = extents(&[frames(0, M2, 1)], None, &[table]);
        assert_eq!(shape(&whole), [(0, M2 - 1, M2)]);
        assert_eq!(extents(&[frames(0, M2, 1)], Some(K4), &[table]).len(), 3);
    }
}
