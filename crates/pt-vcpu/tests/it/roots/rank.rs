//! Memory that comes without registers: true roots are ranked first.

use std::collections::BTreeMap;
use std::time::Instant;

use pt_core::{Memory, Unreadable};
use pt_vcpu::{Machine, Paging, RankLimits, RankedRoot, Registers, rank_roots};
use pt_x86::Mode;

use super::guests::Guest;
use super::made::Made;

/// All modes, each with every feature.
fn modes() -> [Paging; 4] {
    let machine = Machine { strict_pdpte: false, ..Machine::default() };
    let registers = Registers { cr4: 0x10, efer: 0x800, ..Registers::default() };
    [Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel]
        .map(|mode| Paging::of_mode(mode, &registers, &machine))
}

/// A guest's tables where they are, and zeros up to the last of them.
struct Sparse {
    pages: BTreeMap<u64, Vec<u8>>,
    last: u64,
}

impl Sparse {
    fn of(guest: &Guest) -> Self {
        let mut pages = BTreeMap::new();
        for range in guest.ranges() {
            for at in range.step_by(4096) {
                pages.insert(at, guest.image.lend(at, 4096).expect("held").to_vec());
            }
        }
        let last = *pages.keys().next_back().expect("pages") + 4095;
        Self { pages, last }
    }
}

impl Memory for Sparse {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        into.copy_from_slice(self.lend(address, into.len()).ok_or(Unreadable::Outside)?);
        Ok(())
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        const ZEROS: &[u8] = &[0; 4096];
        let page = self.pages.get(&(address & !0xfff)).map_or(ZEROS, Vec::as_slice);
        let start = (address & 0xfff) as usize;
        page.get(start..start + len).filter(|_| address <= self.last)
    }
}

#[test]
fn true_roots_are_the_best_candidates() {
    for guest in Guest::all() {
        let memory = Sparse::of(&guest);
        let ranked =
            rank_roots(&modes(), &memory, &[0..=memory.last], [0..=memory.last], &RankLimits::default());
        let RankedRoot { links, sensible, .. } = ranked[0];
        let text = format!("links {links} tables; entries: {sensible} sensible, ");
        assert!(ranked[0].to_string().starts_with(&text), "{}", ranked[0]);
        let (mode, count) = (guest.paging.mode(), guest.listed.len());
        let is_true = |ranked: &&RankedRoot| {
            ranked.mode == mode && guest.listed.iter().any(|&(root, _)| root == ranked.root)
        };
        if guest.name == "xen-dom0" {
            // Its table that repeats one page over and over looks better than any; most roots come next.
            assert!(ranked[..10].iter().filter(is_true).count() >= 4, "{:x?}", &ranked[..10]);
            assert!(ranked[..60].iter().filter(is_true).count() == count);
        } else {
            assert_eq!(ranked[..count].iter().filter(is_true).count(), count, "{}", guest.name);
        }
    }
}

#[test]
fn nothing_in_noise() {
    let mut made = Made::pages(64);
    let mut state = 7_u64;
    for slot in 0..64 * 512 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        made.put8(0, slot, state ^ state >> 29);
    }
    assert_eq!(rank_roots(&modes(), &made.0, &made.all(), made.all(), &RankLimits::default()), []);
    assert_eq!(
        rank_roots(&modes(), &[0; 0x4000][..], &[0..=0x3fff], [0..=0x3fff], &RankLimits::default()),
        []
    );
    assert_eq!(rank_roots(&[Paging::Unpaged], &made.0, &made.all(), made.all(), &RankLimits::default()), []);
}

#[test]
fn tables_that_all_link_each_other_cost_little() {
    // Half of every table links the next one, the other half the one after: 2^36 paths, over 256 pages.
    let mut made = Made::pages(256);
    for page in 0..256_u64 {
        for slot in 0..511 {
            made.put8(page << 12, slot, ((page + 1 + slot % 2) % 256) << 12 | 0x67);
        }
    }
    let start = Instant::now();
    let limits = RankLimits { candidates: 10, ..RankLimits::default() };
    let ranked = rank_roots(&modes(), &made.0, &made.all(), made.all(), &limits);
    assert_eq!(ranked.len(), 10);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    // With no table below candidates looked at, what they are themselves remains.
    let limits = RankLimits { candidates: 1, tables: 0 };
    assert_eq!(rank_roots(&modes()[2..], &made.0, &made.all(), made.all(), &limits)[0].sensible, 511);
}

/// In two levels: page directories of 4 MiB pages, in 3 GiB of memory of which only the directories are held.
fn rank_directories(directories: &[(u64, Vec<u32>)]) -> Vec<RankedRoot> {
    let mut made = Made::pages(32);
    for (root, entries) in directories {
        for (index, &raw) in (0..).zip(entries) {
            made.put4(*root, index, raw);
        }
    }
    rank_roots(&modes()[..1], &made.0, &[0..=0xbfff_ffff], made.all(), &RankLimits::default())
}

/// As many pages of 4 MiB, one after the other.
fn large_pages(count: u32) -> Vec<u32> {
    (0..count).map(|page| page << 22 | 0xe3).collect()
}

#[test]
fn what_makes_no_sense_costs_more_than_what_is_mixed_or_stray() {
    let with = |count, entries: &[u32]| [large_pages(count), entries.to_vec()].concat();
    // Mixed: read-only. Stray: out of memory.
    let (mixed, stray) = (0x4000_00e1, 0xf000_00e3);
    let strays: Vec<u32> = (0..40).map(|page| stray - (page << 23)).collect();
    let ranked = rank_directories(&[
        (0x1000, vec![0xe3, 0x40_00e3]),
        (0x2000, with(39, &[stray, 0, stray | 0x80_0000])),
        (0x3000, with(39, &[stray])),
        (0x4000, with(39, &[mixed])),
        (0x5000, with(40, &[])),
        (0x6000, with(41, &[])),
        // None of these: as much mixed or more stray than sensible; a link to what cannot be read.
        (0x7000, vec![0xe3, 0x40_00e1]),
        (0x8000, with(39, &strays)),
        (0x9000, with(40, &[0x5000_0003])),
    ]);
    let counts: Vec<_> =
        ranked.iter().map(|ranked| (ranked.root, ranked.sensible, ranked.mixed, ranked.stray)).collect();
    assert_eq!(
        counts,
        [
            (0x6000, 41, 0, 0),
            (0x5000, 40, 0, 0),
            (0x4000, 39, 1, 0),
            (0x3000, 39, 0, 1),
            (0x2000, 39, 0, 2),
            (0x1000, 2, 0, 0),
        ]
    );
    assert!(ranked.iter().all(|ranked| (ranked.links, ranked.nonsense) == (0, 0)));
    assert_eq!(ranked[3].to_string(), "links 0 tables; entries: 39 sensible, 0 mixed, 1 stray, 0 nonsense");
}

#[test]
fn a_root_that_has_nonsense_itself_is_none() {
    // 1023 pages that make sense outweigh one entry that does not.
    let mut entries = [0xe3, 0x40_00e3].repeat(512);
    assert_eq!(rank_directories(&[(0x1000, entries.clone())])[0].sensible, 1024);
    // Not present, but not 0; a link with the global bit; a link out of memory.
    for nonsense in [2, 0x1163, 0xf000_0063] {
        entries[1023] = nonsense;
        assert_eq!(rank_directories(&[(0x1000, entries.clone())]), [], "{nonsense:#x}");
    }
}

#[test]
fn no_root_of_48_bits_uses_all_of_its_slots() {
    let mut made = Made::pages(4);
    (0..512).for_each(|slot| _ = made.put8(0x1000, slot, 0x2067));
    let rank = |made: &Made| {
        let ranked = rank_roots(&modes()[2..3], &made.0, &made.all(), made.all(), &RankLimits::default());
        ranked.iter().map(|ranked| (ranked.root, ranked.links, ranked.sensible)).collect::<Vec<_>>()
    };
    assert_eq!(rank(&made), []);
    assert_eq!(rank(made.put8(0x1000, 7, 0)), [(0x1000, 511, 511)]);
}

#[test]
fn a_pae_root_has_no_reserved_bit_in_any_entry() {
    let mut made = Made::pages(4);
    made.put8(0x3000, 0, 0xe3).put8(0x3000, 1, 0x20_00e3);
    for (root, second) in (0x1000..).step_by(32).zip([0, 0x3001, 0x3061, 0x3003, 0x3005, 0x3081, 0x3101]) {
        made.put8(root, 0, 0x3001).put8(root, 1, second);
    }
    let ranked = rank_roots(&modes()[1..2], &made.0, &made.all(), made.all(), &RankLimits::default());
    let found: Vec<_> = ranked.iter().map(|ranked| (ranked.root, ranked.links, ranked.sensible)).collect();
    // Accessed and dirty do not count.
    assert_eq!(found, [(0x1020, 2, 6), (0x1040, 2, 6), (0x1000, 1, 3)]);
}
