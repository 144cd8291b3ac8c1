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
