//! Small-scope exhaustion: the engine on *every* graph of a few toy tables.

use pt_core::{Leaves, Limits, Memory, Walk};

use super::compare::{assert_same, events, expected, folded, options, segments};
use super::counts::check_counts;
use super::expand::check_expansion;
use super::order::check_order;
use crate::generate::Case;
use crate::naive::{Frames, Mode, Repeated, flat, graph};
use crate::toy::{STEP, Slot, Toy, graph as graph_of};

/// Which of all graphs: those whose number is `which` modulo `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 0 on.
    pub which: u64,
    /// How many parts there are.
    pub of: u64,
}

impl Shard {
    /// All of them.
    pub const ALL: Self = Self { which: 0, of: 1 };

    /// Whether a graph of that number is one of them.
    pub(super) fn has(self, number: u64) -> bool {
        number % self.of == self.which
    }
}

/// Numbers that look as if they were random, from one number: each call gives one below what it is given.
pub fn scattered(number: u64) -> impl FnMut(usize) -> usize {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move |below| {
        state = (state ^ state >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (state >> 33) as usize % below
    }
}

/// Lays out every graph of `tables` toy tables with these slots that is in the shard, in frame 0 of `case`, and calls
/// `with` with it and its number. A panic there is told with the graph. Returns how many graphs there were.
pub fn each_graph(
    tables: u64,
    alphabet: &[Slot],
    shard: Shard,
    case: &mut Case,
    mut with: impl FnMut(&mut Case, u64),
) -> u64 {
    let all = (alphabet.len() as u64).pow(tables as u32 * 2);
    let mut graphs = 0;
    for number in (shard.which..all).step_by(shard.of as usize) {
        told(case, &graph_of(tables, alphabet, number), |case| with(case, number));
        graphs += 1;
    }
    graphs
}

/// Calls `with` with the case once these tables are in its frame 0; a panic there is told with the case.
pub(super) fn told(case: &mut Case, tables: &[u8], with: impl FnOnce(&mut Case)) {
    case.memory.store(0, tables);
    let told = Told(&mut *case);
    with(told.0);
    std::mem::forget(told);
}

/// Prints a case if it is dropped, which a panic does.
struct Told<'a>(&'a mut Case);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!("{:?}", self.0);
    }
}

/// Walks every graph of `tables` tables with these slots, from these roots in each of these ranges: see [`check_walk`].
/// Returns how many walks that were.
pub fn exhaust(tables: u64, alphabet: &[Slot], roots: &[u64], ranges: &[(u64, u64)]) -> usize {
    let roots: Vec<u64> = roots.iter().map(|root| root * STEP).collect();
    let mut case = Case { mode: Mode::Toy, memory: Frames::new(), roots, range: (0, 0) };
    let mut walks = 0;
    each_graph(tables, alphabet, Shard::ALL, &mut case, |case, _| {
        for &range in ranges {
            case.range = range;
            walks += 1;
            check_walk(case);
        }
    });
    walks
}

/// Every range of whole pages of the toy's space, and some that are none.
pub fn page_ranges() -> Vec<(u64, u64)> {
    let page = |page: u64| Mode::Toy.canonical(page * 4096);
    let mut ranges: Vec<_> =
        (0..8).flat_map(|first| (first..8).map(move |last| (page(first), page(last) | 0xfff))).collect();
    ranges.extend([
        (0, u64::MAX),
        (page(3) + 1, page(4) - 1),
        (page(2), page(1)),
        (1 << 40, u64::MAX - 1),
        (7, 7),
    ]);
    ranges
}

/// Events, order, expansion, counts and the walk of one root are what the oracle says.
pub fn check_walk(case: &Case) {
    match case.memory.dense() {
        Some(dense) => check_walk_of(case, dense.as_slice()),
        None => check_walk_of(case, &segments(&case.memory)),
    }
}

fn check_walk_of<M: Memory + ?Sized>(case: &Case, memory: &M) {
    let oracle = graph(&case.mode, &case.memory, &case.roots, case.range, Repeated::Alias);
    let whole = options(case, Leaves::Each, true);
    let engine = events(Walk::new(Toy, memory, &case.roots, whole.clone()));
    assert_same(&engine, &oracle, "each");
    check_order(case, &engine);
    check_expansion(case, &engine);
    check_counts(case, &Toy, memory);
    let runs = options(case, Leaves::Runs, false);
    let engine = folded(Walk::new(Toy, memory, &case.roots, runs.clone()), 0);
    assert_same(&engine, &expected(case, &oracle, &runs), "runs");
    let single = Walk::single(Toy, memory, case.roots[0], whole, Limits::NONE);
    assert_same(&events(single), &flat(&case.mode, &case.memory, case.roots[0], case.range), "single");
}
