//! Which pages would make sense as a root, where none is known.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::ops::RangeInclusive;

use pt_core::{Entry, Format, Geometry, Memory};
use pt_x86::Mode;

use super::kernel::settled;
use super::pages::{Reader, entry, is_zero, pages};
use super::pdpt::RESERVED as PDPTE_RESERVED;
use super::sense::{Held, Own, Sense, Senses};
use crate::{Paging, with_format};

/// A table that would make sense as a root, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RankedRoot {
    /// The paging mode in which it would.
    pub mode: Mode,
    /// The physical address of the table.
    pub root: u64,
    /// How many tables it links itself.
    pub links: usize,
    /// How many entries make sense, over all paths from it.
    pub sensible: u64,
    /// How many map pages of other attributes than the page before. Data that is read as tables has little else.
    pub mixed: u64,
    /// How many map single pages out of memory. Real tables have some.
    pub stray: u64,
    /// How many make none: reserved bits are set, or they link tables out of memory.
    pub nonsense: u64,
}

impl fmt::Display for RankedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { links, sensible, mixed, stray, nonsense, .. } = self;
        write!(
            f,
            "links {links} tables; entries: {sensible} sensible, {mixed} mixed, {stray} stray, {nonsense} nonsense"
        )
    }
}

/// How far a ranking may go. Literals end in `..RankLimits::default()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankLimits {
    /// How many candidates to keep.
    pub candidates: usize,
    /// How many tables below candidates to look at, in each mode. What comes after them is taken as empty.
    pub tables: usize,
}

/// A thousand candidates, and a million tables.
impl Default for RankLimits {
    fn default() -> Self {
        Self { candidates: 1 << 10, tables: 1 << 20 }
    }
}

/// Ranks the tables in the pages of `searched` by how many entries make sense if they are taken as roots in one of `modes`;
/// the best first. `exists` is the memory that there is: links and pages out of it make no sense. Of that, `searched` can
/// leave out what is known to be zero.
///
/// This is guesswork, for memory that comes without registers. It rests on that a root of the right kind reaches more sensible
/// entries than the tables below it, and that a wrong reading meets nonsense. What is right is found by
/// [`find_roots`](crate::find_roots) from one of the best.
///
/// Each page is read once, and once per mode and level as a table below candidates.
///
/// ```
/// use pt_vcpu::{Mode, Paging, RankLimits, rank_roots};
///
/// // A PML4 at 0x3000, tables at 0x4000, 0x5000 and 0x6000 below it, and three pages.
/// let mut memory = vec![0; 0x7000];
/// let mut store = |at: usize, raw: u64| memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
/// store(0x3000, 0x4067);
/// store(0x4008, 0x5067);
/// store(0x5010, 0x6067);
/// (0..3).for_each(|page| store(0x6000 + page * 8, 1 << 63 | (page as u64) << 12 | 0x163));
///
/// let modes = [Paging::FourLevel(Default::default()), Paging::FiveLevel(Default::default())];
/// let ranked = rank_roots(&modes, &memory, &[0..=0x6fff], [0..=0x6fff], &RankLimits::default());
/// assert_eq!((ranked[0].root, ranked[0].mode, ranked[0].sensible), (0x3000, Mode::FourLevel, 6));
/// ```
pub fn rank_roots<M: Memory + ?Sized>(
    modes: &[Paging],
    memory: &M,
    exists: &[RangeInclusive<u64>],
    searched: impl IntoIterator<Item = RangeInclusive<u64>>,
    limits: &RankLimits,
) -> Vec<RankedRoot> {
    let held = Held::new(exists);
    let mut best = Best { keep: limits.candidates, ranked: BTreeMap::new() };
    let readings = modes.iter().filter_map(|paging| {
        with_format!(
            *paging,
            |format| Some(Box::new(Reading { mode: paging.mode(), senses: Senses::new(format, memory, &held, limits.tables) }) as Box<dyn Read>),
            unpaged => None,
        )
    });
    let mut readings: Vec<Box<dyn Read + '_>> = readings.collect();
    let mut reader = Reader::new(memory);
    for at in searched.into_iter().flat_map(|range| pages(&range)) {
        if let Some(page) = reader.page(at).filter(|page| !is_zero(page)) {
            for reading in &mut readings {
                reading.page(at, page, &mut best);
            }
        }
    }
    best.ranked.into_values().collect()
}

/// The best so far: by score, then by mode, then by address.
struct Best {
    keep: usize,
    ranked: BTreeMap<(Reverse<i128>, &'static str, u64), RankedRoot>,
}

impl Best {
    fn offer(&mut self, score: i128, ranked: RankedRoot) {
        self.ranked.insert((Reverse(score), ranked.mode.name(), ranked.root), ranked);
        if self.ranked.len() > self.keep {
            self.ranked.pop_last();
        }
    }
}

/// Memory as one mode reads it.
struct Reading<'a, F, M: ?Sized> {
    mode: Mode,
    senses: Senses<'a, F, M>,
}

/// A [`Reading`] in any mode.
trait Read {
    /// Looks at a page that may be a root, or have some in it.
    fn page(&mut self, at: u64, page: &[u8], best: &mut Best);
}

impl<F: Format, M: Memory + ?Sized> Read for Reading<'_, F, M> {
    fn page(&mut self, at: u64, page: &[u8], best: &mut Best) {
        let Self { mode, senses } = self;
        let bytes = F::table_bytes(F::ROOT);
        for (root, table) in (at..).step_by(bytes).zip(page.chunks_exact(bytes)) {
            // CR3 may be unable to hold it.
            if senses.format.root(root) != root || !may_be_root(&senses.format, table) {
                continue;
            }
            let own = Own::of(&senses.format, senses.held, F::ROOT, table);
            // No space uses all of 48 or 57 bits; tables of neighbouring pages look as if.
            let full = F::SIGN_EXTENDED && own.links.len() == F::entries(F::ROOT);
            if full || own.sense.nonsense > 0 {
                continue;
            }
            let (links, sense) = (own.links.len(), senses.whole(F::ROOT, &own));
            if sense.score() > 0 {
                let Sense { sensible, mixed, stray, nonsense } = sense;
                let ranked = RankedRoot { mode: *mode, root, links, sensible, mixed, stray, nonsense };
                best.offer(sense.score(), ranked);
            }
        }
    }
}

/// Whether all entries that are used are sound: what most data is rejected by at its first one. In a PAE root no
/// reserved bit may be set.
fn may_be_root<F: Format>(format: &F, table: &[u8]) -> bool {
    let entries = F::entries(F::ROOT);
    let mut used = (0..entries).map(|slot| entry::<F>(table, slot)).filter(|&raw| raw != 0);
    used.all(|raw| match format.decode(F::ROOT, raw) {
        Entry::Table(_) => entries > 4 || settled::<F>(raw) & PDPTE_RESERVED == 0,
        Entry::Leaf(_) => true,
        Entry::Absent | Entry::Malformed { .. } => false,
    })
}
