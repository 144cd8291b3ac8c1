//! The arena against a model: a set of free pages, looked through from the lowest on.

use std::ops::RangeInclusive;

use pt_core::{TableAllocator, TableRequest};
use pt_rebuild::Arena;

/// The pages that there are: 0 to 31. A 33rd is never free.
const PAGES: u64 = 32;

fn bytes(first: u64, last: u64) -> RangeInclusive<u64> {
    first << 12..=(last << 12) + 0xfff
}

/// The lowest free pages of that number and alignment, if they end at `highest` or before.
fn lowest(free: u64, pages: u64, alignment: u64, highest: u64) -> Option<u64> {
    let mask = (1 << pages) - 1;
    let fits = |first: &u64| first.is_multiple_of(alignment) && free >> first & mask == mask;
    (0..PAGES).find(fits).filter(|first| first + pages - 1 <= highest)
}

#[test]
fn what_is_taken_is_the_lowest_that_fits() {
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 33) % limit
    };
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..200 {
        let (mut arena, mut free) = (Arena::default(), 0_u64);
        for _ in 0..60 {
            let first = below(PAGES);
            let last = first + below(PAGES - first).min(below(PAGES));
            let pages = ((1 << (last - first + 1)) - 1) << first;
            match below(6) {
                0 | 1 => {
                    arena.release(&bytes(first, last));
                    free |= pages;
                }
                2 => {
                    arena.reserve(&bytes(first, last));
                    free &= !pages;
                }
                _ => {
                    let (pages, alignment) = (1 + below(4), 1 << below(4));
                    let highest = if below(3) == 0 { below(PAGES) } else { PAGES };
                    let expected = lowest(free, pages, alignment, highest);
                    let to = arena.take(pages << 12, alignment << 12, (highest << 12) + 0xfff);
                    assert_eq!(to, expected.map(|page| page << 12), "{free:#x}: {pages} at {alignment}");
                    free &= !expected.map_or(0, |page| ((1 << pages) - 1) << page);
                    *(if to.is_some() { &mut taken } else { &mut refused }) += 1;
                }
            }
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}

#[test]
fn ranges_of_nothing_change_nothing() {
    let mut arena = Arena::new([0x1000..=0x1fff]);
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is tried")]
    for empty in [0x1800..=0x17ff, 0x3000..=0x2000] {
        arena.release(&empty);
        arena.reserve(&empty);
    }
    assert_eq!(arena.take(0, 0x1000, u64::MAX), None);
    assert_eq!(arena.take(0x1000, 0, u64::MAX), None);
    assert_eq!(arena.take(0x2000, 0x1000, u64::MAX), None);
    assert_eq!(arena.take(0x1000, 0x1000, u64::MAX), Some(0x1000));
}

#[test]
fn the_last_address_can_be_had() {
    let mut arena = Arena::new([u64::MAX - 0xfff..=u64::MAX]);
    assert_eq!(arena.take(0x1000, 0x2000, u64::MAX), None);
    assert_eq!(arena.take(0x1000, 0x1000, u64::MAX), Some(u64::MAX - 0xfff));
    assert_eq!(arena.take(1, 1, u64::MAX), None);
    arena.release(&(u64::MAX..=u64::MAX));
    assert_eq!(arena.take(1, 1, u64::MAX), Some(u64::MAX));
    assert_eq!(arena.take(1, 1, u64::MAX), None);
}

#[test]
fn a_table_that_is_given_back_can_be_had_again() {
    let mut arena = Arena::new([0x1000..=0x1fff]);
    let request = TableRequest { bytes: 0x1000, alignment: 0x1000, highest: u64::MAX };
    for _ in 0..2 {
        assert_eq!(arena.allocate(&request), Some(0x1000));
        assert_eq!(arena.allocate(&request), None);
        TableAllocator::release(&mut arena, 0x1000, &request);
    }
}
