//! Every graph of a few tables of the toy format.
//!
//! With `PROPTEST_CASES` at ten thousand or more, more ranges of them: best in a release build. `cargo xtask exhaust` has
//! graphs of four tables.

use pt_testkit::battery::{Shard, check_walk, each_graph, encode_laws, exhaust, page_ranges, scattered};
use pt_testkit::generate::Case;
use pt_testkit::naive::{Frames, Mode};
use pt_testkit::toy::{STEP, Slot, Toy};

const WHOLE: (u64, u64) = (0, u64::MAX);

fn thorough() -> bool {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u32>().ok());
    cases.is_some_and(|cases| cases >= 10_000)
}

#[test]
fn every_graph_of_two_tables_with_every_kind_of_entry() {
    let ranges = if thorough() { page_ranges() } else { vec![WHOLE] };
    assert_eq!(exhaust(2, &Slot::all(2), &[0, 1, 0], &ranges), 10_000 * ranges.len());
}

#[test]
fn every_graph_of_two_tables_in_every_range() {
    let ranges = page_ranges();
    assert_eq!(exhaust(2, &Slot::shapes(2), &[0, 1], &ranges), 256 * ranges.len());
}

/// One in so many graphs where arithmetic is checked and slow.
const SHARE: u64 = if cfg!(debug_assertions) { 61 } else { 1 };

/// From one root and from two that its number chooses, whole or cut.
#[test]
fn every_graph_of_three_tables_with_every_kind_of_entry() {
    let ranges = page_ranges();
    let mut case = Case { mode: Mode::Toy, memory: Frames::new(), roots: Vec::new(), range: WHOLE };
    let shard = Shard { which: 0, of: SHARE };
    let graphs = each_graph(3, &Slot::kinds(3), shard, &mut case, |case, number| {
        let mut choose = scattered(number);
        let cut = ranges[choose(ranges.len())];
        let (one, two) = if choose(2) == 1 { (WHOLE, cut) } else { (cut, WHOLE) };
        (case.roots, case.range) = (vec![0], one);
        check_walk(case);
        (case.roots, case.range) = (vec![0, choose(3) as u64 * STEP], two);
        check_walk(case);
    });
    assert_eq!(graphs, 1_000_000_u64.div_ceil(SHARE));
}

#[test]
fn every_graph_of_three_tables_in_one_range() {
    let ranges = if thorough() { page_ranges() } else { vec![(0x2000, !0x1000)] };
    assert_eq!(exhaust(3, &Slot::shapes(3), &[0, 2], &ranges), 15_625 * ranges.len());
}

#[test]
fn the_laws_of_writing_entries_hold() {
    let bits = [0, 1, 2, 3, 5, 12, 13, 31, 63];
    for combination in 0..1_u64 << bits.len() {
        let set = bits.iter().enumerate().filter(|(index, _)| combination >> index & 1 == 1);
        let raw: u64 = set.map(|(_, bit)| 1_u64 << bit).sum();
        encode_laws(&Mode::Toy, &Toy, raw, raw.rotate_left(5) ^ 0x1234_5000);
    }
}
