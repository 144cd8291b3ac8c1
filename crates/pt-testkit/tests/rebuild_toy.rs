//! Every graph of a few tables of the toy format, rebuilt.
//!
//! Not every graph is rebuilt in every way: which way, from which roots and in which range is a matter of its number, so
//! that all of them come to all graphs of one shape. `cargo xtask exhaust` tries more.

use pt_core::Limits;
use pt_rebuild::{Graph, Keep, Pages, Plan, RebuildOptions};
use pt_testkit::battery::{
    Flip, Placing, Shard, Way, check_commit, check_failures, check_maximal, check_way, each_graph, flip,
    page_ranges, scattered, table_bits,
};
use pt_testkit::generate::Case;
use pt_testkit::naive::{Frames, Mode};
use pt_testkit::toy::{STEP, Slot, Toy, data};

const PLACINGS: [Placing; 4] = [Placing::Keep, Placing::Shift(0x2_0000), Placing::Move, Placing::Compact];

/// One in so many graphs where arithmetic is checked and slow.
const SHARE: u64 = if cfg!(debug_assertions) { 61 } else { 1 };

/// Rebuilds each graph of the shard in one of the ways, from one or two roots, in a range, and flips a bit of it. Returns how
/// many graphs there were, how many of them were rebuilt, and how many of the bits changed nothing that matters.
fn scatter(tables: u64, alphabet: &[Slot], memory: Frames, shard: Shard, ways: &[Way]) -> [u64; 3] {
    let ranges = page_ranges();
    let (mut rebuilds, mut harmless) = (0, 0);
    let mut case = Case { mode: Mode::Toy, memory, roots: Vec::new(), range: (0, 0) };
    let graphs = each_graph(tables, alphabet, shard, &mut case, |case, number| {
        let mut choose = scattered(number);
        let way = ways[choose(ways.len())];
        case.roots = vec![0];
        case.roots.extend((choose(2) == 1).then(|| choose(tables as usize) as u64 * STEP));
        case.range = if choose(2) == 1 { (0, u64::MAX) } else { ranges[choose(ranges.len())] };
        if let Some(rebuilt) = check_way(case, &Toy, &way) {
            rebuilds += 1;
            if choose(8) == 0 {
                check_commit(case, &Toy, &way, &rebuilt);
                check_failures(case, &Toy, &way);
            }
            if way.pages != Pages::Keep {
                check_maximal(case, &way, &rebuilt);
            }
            let bit = choose(1 << 20) as u64;
            let bit = match choose(3) {
                0 => Flip::Root(bit),
                1 => Flip::Frame(bit),
                _ => Flip::Table(bit),
            };
            harmless += u64::from(flip(case, &Toy, &way, &rebuilt, bit));
        }
    });
    [graphs, rebuilds, harmless]
}

#[test]
fn every_graph_of_two_tables() {
    let ways = Way::plain(&PLACINGS);
    for memory in [Frames::new(), data()] {
        let [graphs, rebuilds, harmless] = scatter(2, &Slot::all(2), memory, Shard::ALL, &ways);
        assert_eq!(graphs, 10_000);
        assert!(rebuilds > 3000 && harmless > 100, "{rebuilds}, {harmless}");
    }
}

#[test]
fn every_graph_of_two_tables_whose_pages_change() {
    let pages =
        [Pages::Keep, Pages::Split, Pages::Promote { shared: false }, Pages::Promote { shared: true }];
    let ways = Way::with(&pages, &[Placing::Keep, Placing::Move, Placing::Compact, Placing::Dedup]);
    let [graphs, rebuilds, harmless] = scatter(2, &Slot::all(2), data(), Shard::ALL, &ways);
    assert_eq!(graphs, 10_000);
    assert!(rebuilds > 3000 && harmless > 100, "{rebuilds}, {harmless}");
}

#[test]
fn every_graph_of_three_tables() {
    let ways = Way::plain(&PLACINGS);
    let shard = Shard { which: 0, of: SHARE };
    let [graphs, rebuilds, harmless] = scatter(3, &Slot::kinds(3), Frames::new(), shard, &ways);
    assert_eq!(graphs, 1_000_000_u64.div_ceil(SHARE));
    assert!(rebuilds > graphs / 3 && harmless > graphs / 100, "{rebuilds}, {harmless}");
}

#[test]
fn every_bit_of_some_graphs() {
    let ways = Way::plain(&PLACINGS);
    let mut flipped = 0;
    let mut case = Case { mode: Mode::Toy, memory: data(), roots: vec![0, STEP], range: (0, u64::MAX) };
    each_graph(2, &Slot::all(2), Shard { which: 5, of: 101 }, &mut case, |case, number| {
        let way = ways[scattered(number)(ways.len())];
        if let Some(rebuilt) = check_way(case, &Toy, &way) {
            for bit in 0..table_bits(&rebuilt) {
                flip(case, &Toy, &way, &rebuilt, Flip::Table(bit));
                flipped += 1;
            }
        }
    });
    assert!(flipped > 5_000, "{flipped}");
}

#[test]
fn a_bit_that_a_large_page_has_no_place_for_keeps_its_table() {
    // Bit 3 is nothing to a small page, and marks a large one.
    for (bit, tables) in [(0, 2), (1 << 3, 3), (1 << 4, 2)] {
        let mut memory = vec![0; 3 * STEP as usize];
        for (at, raw) in [(0, 0x23), (0x20, 0x43), (0x40, 0x4003 | bit), (0x48, 0x5003 | bit)] {
            memory[at..at + 8].copy_from_slice(&u64::to_le_bytes(raw));
        }
        let graph = Graph::read(Toy, &memory, &[0], 0..=u64::MAX, Limits::NONE).expect("a graph");
        let pages = Pages::Promote { shared: false };
        let plan = Plan::new(graph, RebuildOptions { pages, ..RebuildOptions::default() }, Keep);
        assert_eq!(plan.expect("a plan").new_tables(), tables, "{bit:#x}");
    }
}
