//! Memory that is made to cost work or space, and memory that is not there.

use std::cell::Cell;

use pt_amd64::FourLevel;
use pt_core::{Memory, Unreadable};
use pt_i686::Pae;
use pt_vcpu::{Reason, RootsLimit, RootsLimits, find_roots};

use super::made::Made;

#[test]
fn a_memory_full_of_roots_ends_at_the_limit() {
    let mut made = Made::pages(256);
    for page in 0..256 {
        made.put8(page << 12, 511, 0x3003).put8(page << 12, 256, page << 12 | 3);
    }
    assert_eq!(made.find(&FourLevel::default(), &[0x1000]).len(), 256);
    let limits = RootsLimits { roots: 100, ..RootsLimits::default() };
    let error = find_roots(&FourLevel::default(), &made.0, made.all(), &[0x1000], &limits).unwrap_err();
    assert_eq!(error.cause, RootsLimit::TooManyRoots { limit: 100, at: 100 << 12 });
    // What was found until then is not lost.
    let found: Vec<u64> = error.found.iter().map(|found| found.root >> 12).collect();
    assert!(found.iter().copied().eq(0..100), "{found:?}");
    assert!(
        error.to_string().contains("more than 100 roots") && error.to_string().contains("0x64000"),
        "{error}"
    );
}

#[test]
fn a_memory_full_of_pairs_ends_at_the_limit_too() {
    let mut made = Made::pages(64);
    for kernel in (0..64).step_by(2) {
        made.put8(kernel << 12, 511, 0x3003).put8(kernel << 12, 300, 0x5003).put8(
            (kernel + 1) << 12,
            511,
            0x3003,
        );
    }
    assert_eq!(made.find(&FourLevel::default(), &[0]).len(), 64);
    let limits = RootsLimits { roots: 40, ..RootsLimits::default() };
    let error = find_roots(&FourLevel::default(), &made.0, made.all(), &[0], &limits).unwrap_err();
    assert_eq!(error.cause, RootsLimit::TooManyRoots { limit: 40, at: 17 << 12 });
    assert_eq!(error.found.len(), 40);
    assert!(error.found.windows(2).all(|pair| pair[0].root != pair[1].root));
}

#[test]
fn every_32_bytes_a_pae_root() {
    let mut made = Made::pages(16);
    for slot in 0..16 * 128 {
        made.put8(slot * 32, 3, 0x3001);
    }
    assert_eq!(made.find(&Pae::default(), &[0x20]).len(), 16 * 128);
}

#[test]
fn a_root_that_is_like_several_given_ones_counts_once() {
    // The directories of both roots have the same content.
    let mut made = Made::pages(3);
    made.put8(0x20, 3, 0x1001).put8(0x40, 3, 0x2001).put8(0x1000, 0, 0xe3).put8(0x2000, 0, 0xe3);
    let limits = RootsLimits { roots: 2, ..RootsLimits::default() };
    let found = find_roots(&Pae::default(), &made.0, made.all(), &[0x20, 0x40], &limits).expect("two");
    assert!(
        found
            .iter()
            .map(|found| (found.root, found.reason))
            .eq([(0x20, Reason::Given), (0x40, Reason::Given)])
    );
}

#[test]
fn directories_that_differ_in_their_last_entry() {
    // Roots at 0 and in page 1; each directory begins, ends and is in its middle like the given one's.
    let mut made = Made::pages(66);
    for page in 2..66 {
        made.put8((page - 2) * 32, 3, page << 12 | 1);
        for index in [0, 100, 200] {
            made.put8(page << 12, index, index << 12 | 0x63);
        }
        made.put8(page << 12, 150, page << 8);
    }
    assert_eq!(made.find(&Pae::default(), &[0]).len(), 1);
    let limits = RootsLimits { directories: 9, ..RootsLimits::default() };
    let error = find_roots(&Pae::default(), &made.0, made.all(), &[0], &limits).unwrap_err();
    assert_eq!(error.cause, RootsLimit::TooManyDirectories { limit: 9, at: 10 * 32 });
}

#[test]
fn directories_that_differ_at_an_end_or_in_the_middle_are_not_compared_whole() {
    // Of the first directory's entries, each of the others has all but one.
    let mut made = Made::pages(5);
    for page in 1..5 {
        made.put8(page * 32, 3, page << 12 | 1);
        for index in [0, 100, 200] {
            made.put8(page << 12, index, index << 12 | 0x63);
        }
    }
    made.put8(0x2000, 0, 0).put8(0x3000, 100, 0).put8(0x4000, 200, 0);
    let limits = RootsLimits { directories: 0, ..RootsLimits::default() };
    let found = find_roots(&Pae::default(), &made.0, made.all(), &[0x20], &limits).expect("none compared");
    assert_eq!(found.len(), 1);
}

/// A memory that answers differently at each read, does not lend, and has holes.
struct Restless(Cell<u64>);

impl Memory for Restless {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        if address & 0x4000 != 0 {
            return Err(Unreadable::Outside);
        }
        for bytes in into.chunks_mut(8) {
            self.0.set(self.0.get().wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
            let raw = (self.0.get() >> 33) & 0x3000 | 1;
            bytes.copy_from_slice(&raw.to_le_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}

#[test]
fn memory_that_changes_while_it_is_searched() {
    for seed in 0..64 {
        let memory = Restless(Cell::new(seed));
        let limits = RootsLimits::default();
        let found =
            find_roots(&Pae::default(), &memory, [0..=0xffff], &[0x1000, 0x3020], &limits).expect("few");
        assert!(
            found.iter().any(|found| found.root == 0x1000) && found.iter().any(|found| found.root == 0x3020)
        );
        let found = find_roots(&FourLevel::default(), &memory, [0..=0xffff], &[0x1000, 0x2000], &limits)
            .expect("few");
        assert!(
            found.iter().any(|found| found.root == 0x1000) && found.iter().any(|found| found.root == 0x2000)
        );
    }
}

#[test]
fn ranges_at_the_end_of_all_addresses_and_twice() {
    let mut made = Made::pages(4);
    made.put8(0x1000, 511, 0x3003).put8(0x2000, 511, 0x3003);
    let ranges = [0x1000..=0x2fff, 0..=0x3fff, u64::MAX - 0x3fff..=u64::MAX, 0x2000..=0x2000];
    let found =
        find_roots(&FourLevel::default(), &made.0, ranges, &[0x1000, 0x1000], &RootsLimits::default());
    let roots: Vec<u64> = found.expect("few").iter().map(|found| found.root).collect();
    assert_eq!(roots, [0x1000, 0x2000]);
}
