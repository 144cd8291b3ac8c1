//! From physical memory back to virtual: who maps a frame.
//!
//! The index is built from one walk and holds one record per leaf event. Aliases are not expanded, only counted: a page
//! below a shared table is one record, with the number of paths that lead to it.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::{Event, Format, Geometry, Leaf, LimitReached, TableId};

/// One leaf event that maps some of the frames that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameUse<R> {
    /// The page or run, as its owner met it, cut to what was asked for in whole pages of its size. Its raw entry is still
    /// that of the first page of the whole run.
    pub leaf: Leaf<R>,
    /// How many paths lead to it from all roots, this one included.
    pub paths: u128,
}

/// Which pages map which frames.
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{FrameIndex, Leaves, Options, Walk};
///
/// // A PDPT at 0x2000 maps 1 GiB; the PML4 at 0x1000 links it at both ends of the space.
/// let mut memory = vec![0; 0x3000];
/// for (at, raw) in [(0x1000, 0x2003_u64), (0x1ff8, 0x2003), (0x2000, 0x4000_0083)] {
///     memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
/// }
/// let options = Options { leaves: Leaves::Runs, ..Options::default() };
/// let walk = Walk::new(FourLevel::default(), &memory, &[0x1000], options);
/// let index = FrameIndex::new::<FourLevel>(walk)?;
///
/// let found: Vec<_> = index.find::<FourLevel>(0x4000_5000..=0x4000_5fff).collect();
/// assert_eq!((found.len(), found[0].leaf.va, found[0].paths), (1, 0, 2));
/// assert_eq!(index.find::<FourLevel>(0x8000_0000..=0x8000_0fff).count(), 0);
/// # Ok::<(), pt_core::LimitReached>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrameIndex<R> {
    /// By first physical address.
    leaves: Vec<(Leaf<R>, TableId)>,
    /// The highest last address of all leaves up to each.
    highest: Vec<u64>,
    /// Per table: the paths to it.
    paths: Vec<u128>,
}

/// The last physical address of a leaf event.
fn last<F: Format>(leaf: &Leaf<F::Rights>) -> u64 {
    leaf.pa.saturating_add(u64::from(leaf.pages).saturating_mul(F::entry_span(leaf.level)).saturating_sub(1))
}

impl<R: Copy> FrameIndex<R> {
    /// Builds the index from a walk. Runs make it small.
    ///
    /// # Errors
    ///
    /// [`LimitReached`] if that is how the walk ended.
    pub fn new<F: Format<Rights = R>>(
        walk: impl IntoIterator<Item = Result<Event<R>, LimitReached>>,
    ) -> Result<Self, LimitReached> {
        let mut leaves = Vec::new();
        // Per table: its level, and the tables that link it (none for a register).
        let mut links: Vec<(u8, Vec<Option<TableId>>)> = Vec::new();
        let mut open: Vec<TableId> = Vec::new();
        for event in walk {
            match event? {
                Event::Table(table) => {
                    open.truncate(table.level.depth::<F>());
                    let id = TableId(links.len() as u32);
                    links.push((table.level.number(), vec![open.last().copied()]));
                    open.push(id);
                }
                Event::Alias(alias) => {
                    open.truncate(alias.level.depth::<F>());
                    if let Some((_, links)) = links.get_mut(alias.table.index()) {
                        links.push(open.last().copied());
                    }
                }
                Event::Leaf(leaf) => {
                    open.truncate(leaf.level.depth::<F>() + 1);
                    leaves.extend(open.last().map(|&table| (leaf, table)));
                }
                Event::Absent(_) | Event::Fault(_) => {}
            }
        }
        leaves.sort_unstable_by_key(|(leaf, _)| (leaf.pa, leaf.space, leaf.va));
        let mut highest = 0;
        let highest = leaves.iter().map(|(leaf, _)| {
            highest = last::<F>(leaf).max(highest);
            highest
        });
        let highest = highest.collect();
        Ok(Self { leaves, highest, paths: paths::<F>(&links) })
    }

    /// Every leaf event that maps a byte of `frames`, by physical address.
    pub fn find<F: Format<Rights = R>>(
        &self,
        frames: RangeInclusive<u64>,
    ) -> impl Iterator<Item = FrameUse<R>> {
        let (first, end) = frames.into_inner();
        let from = self.highest.partition_point(|&highest| highest < first);
        let to = self.leaves.partition_point(|(leaf, _)| leaf.pa <= end);
        let candidates = self.leaves.get(from..to).filter(|_| first <= end).unwrap_or_default();
        candidates.iter().filter(move |(leaf, _)| last::<F>(leaf) >= first).map(move |(leaf, table)| {
            let size = F::entry_span(leaf.level);
            let skipped = first.saturating_sub(leaf.pa) / size;
            let pages = (end.min(last::<F>(leaf)) - leaf.pa) / size - skipped + 1;
            let leaf = Leaf {
                va: leaf.va.wrapping_add(skipped * size),
                pa: leaf.pa + skipped * size,
                pages: pages as u32,
                entry: leaf.entry + skipped * F::ENTRY_BYTES as u64,
                ..*leaf
            };
            FrameUse { leaf, paths: self.paths.get(table.index()).copied().unwrap_or_default() }
        })
    }
}

/// How many paths lead to each table. A link only ever goes one level down, so that going by level is enough.
fn paths<F: Format>(links: &[(u8, Vec<Option<TableId>>)]) -> Vec<u128> {
    let mut paths = vec![0_u128; links.len()];
    for level in (1..=F::LEVELS).rev() {
        for (table, (_, above)) in links.iter().enumerate().filter(|(_, (of, _))| *of == level) {
            let ways = |above: &Option<TableId>| above.map_or(1, |above| paths[above.index()]);
            paths[table] = above.iter().map(ways).sum();
        }
    }
    paths
}
