//! What is made of walks: graphs, rebuilds, proofs, comparisons, expansions, indexes.

use pt_amd64::FourLevel;
use pt_core::{
    CompareLimit, Counter, Encode, Event, FrameIndex, Geometry, Leaves, Level, Limits, Options, Recording,
    Scope, Sharing, Side, Walk, compare,
};
use pt_rebuild::{Arena, Faults, Graph, GraphError, Keep, Plan, Proof, RebuildOptions, VerifyError, verify};

use crate::every_format;
use crate::heap::peak;
use crate::made::{Made, ROOT, bomb, level, link, links};

every_format! {
    rebuilding_a_bomb_reads_what_a_walk_reads = rebuilt;
    what_is_derived_expands_nothing_unasked = derived;
    paths_that_lead_to_nothing_are_not_gone = fruitless;
}

fn rebuilt<F: Encode<Rights: std::hash::Hash>>(format: &F) {
    let memory = bomb(format, |index| (index & 7) << 9);
    let levels = u64::from(F::LEVELS);
    let whole = 0..=u64::MAX;
    let (graph, bytes) = peak(|| {
        Graph::read(format.clone(), &memory, &[ROOT], whole.clone(), Limits::NONE).expect("no limit")
    });
    assert_eq!((graph.tables() as u64, memory.reads()), (levels, levels));
    let entries = links::<F>() + 1024;
    assert!(bytes <= 512 * entries, "{} bytes for each entry", bytes / entries);

    let options = RebuildOptions { faults: Faults::Refuse, limit: 100, ..RebuildOptions::default() };
    let mut arena = Arena::new([0x4000_0000..=0x4fff_ffff]);
    let (rebuilt, bytes) = peak(|| {
        let plan = Plan::new(graph, options, Keep).expect("it can be rebuilt");
        plan.reserve(&mut arena).expect("there is room")
    });
    assert_eq!((rebuilt.tables().len() as u64, memory.reads()), (levels, 0));
    assert!(bytes <= 512 * entries, "{} bytes for each entry", bytes / entries);

    let view = rebuilt.view(&memory);
    let verified =
        verify(format, &memory, &view, rebuilt.roots(), &Proof::default()).expect("it is the same");
    assert_eq!((verified.tables.old, verified.tables.new), (levels, levels));
    // Tables, on both sides under at most eight different rights; and the bytes of pages, which no table holds.
    let of_pages = 4 * 1024;
    assert!(memory.reads() <= levels * 8 + of_pages);
    let limited = verify(format, &memory, &view, rebuilt.roots(), &Proof { limit: 1, ..Proof::default() });
    assert!(matches!(limited, Err(VerifyError::Limit(CompareLimit { limit: 1, .. }))), "{limited:?}");

    let limits = Limits { tables: 1, ..Limits::NONE };
    memory.reads();
    let limited = Graph::read(format.clone(), &memory, &[ROOT], whole, limits);
    assert!(matches!(limited, Err(GraphError::Limit(reached)) if reached.limit == 1));
    assert!(memory.reads() <= 2);
}

fn derived<F: Encode>(format: &F) {
    let memory = bomb(format, |_| 0);
    let events = links::<F>() + 1 + 1024;
    let walk = || {
        Walk::new(format.clone(), &memory, &[ROOT], Options { leaves: Leaves::Each, ..Options::default() })
    };
    let (recording, bytes) = peak(|| Recording::new(format.clone(), walk()).expect("no limit"));
    assert!(bytes <= 512 * events, "{bytes}");
    // All paths are there, and each costs as much as is taken of it.
    memory.reads();
    let (taken, bytes) =
        peak(|| recording.expand(0).take(10_000).filter(|event| matches!(event, Event::Leaf(_))).count());
    assert_eq!((taken, memory.reads(), bytes), (10_000, 0, 0));

    let (index, bytes) = peak(|| FrameIndex::new::<F>(walk()).expect("no limit"));
    assert!(bytes <= 512 * events, "{bytes}");
    let paths = index.find::<F>(0x10_0000..=0x10_0fff).map(|found| found.paths).sum::<u128>();
    let all: u128 = (2..=F::LEVELS).filter_map(Level::new).map(|level| F::entries(level) as u128).product();
    assert_eq!(paths, all);

    let (sharing, bytes) = peak(|| Sharing::of_walk::<F>(walk()).expect("no limit"));
    assert!(bytes <= 512 * events, "{bytes}");
    // Where there are too many places to list, nothing is listed.
    let page_table = u64::from(F::LEVELS) << 12;
    let reaches = sharing.reaches::<F>(page_table);
    assert!(reaches.is_none() || all <= Sharing::MOST_REACHES as u128);

    let (counted, bytes) = peak(|| {
        walk().flatten().fold(Counter::new(), |mut counter, event| {
            counter.observe::<F>(&event);
            counter
        })
    });
    assert_eq!(counted.spaces()[0].reached.leaves[0] as u128, all * F::entries(Level::LEAF) as u128);
    assert!(bytes < 8192, "{bytes}");
}

/// As many paths as in [`bomb`], to a page table without pages.
fn fruitless<F: Encode>(format: &F) {
    let memory = Made::new(format, |table, _| {
        let depth = table.checked_sub(1).filter(|&depth| depth < u64::from(F::LEVELS))?;
        let level = level::<F>(depth);
        Some(if level == Level::LEAF { 0 } else { link(format, level, table + 1) })
    });
    let walk = Walk::new(format.clone(), &memory, &[ROOT], Options::default());
    let recording = Recording::new(format.clone(), walk).expect("no limit");
    assert_eq!((recording.spaces(), recording.tables()), (1, usize::from(F::LEVELS)));
    assert!(recording.expand(0).next().is_none());
}

/// Two spaces whose tables pair up in every way: a hundred tables at each level on one side, 101 on the other, each entry
/// linking another.
#[test]
fn a_comparison_of_pairs_without_end_stops_at_its_limit() {
    let format = FourLevel::default();
    let side = |count: u64, step: u64| {
        Made::new(&format, move |table, index| {
            let below = (table + index * step) % count + 1;
            Some(link(&FourLevel::default(), Level::HIGHEST, below) ^ (index & 1) << 1)
        })
    };
    let (one, other) = (side(100, 1), side(101, 3));
    let scope = Scope { limit: 5000, ..Scope::default() };
    let sides = (
        Side { format: &format, memory: &one, root: 0x1000 },
        Side { format: &format, memory: &other, root: 0x1000 },
    );
    let mut found = 0_u64;
    let (done, bytes) = peak(|| compare(sides.0, sides.1, &scope, |_, _| true, |_| found += 1));
    assert!(matches!(done, Err(CompareLimit { limit: 5000, .. })), "{done:?}");
    assert!(one.reads() + other.reads() <= 5000);
    assert!(found <= 5000 * 512 && bytes <= 512 * 5000, "{bytes}");

    let roots = [pt_rebuild::NewRoot { old: 0x1000, new: 0x1000 }];
    let proof = Proof { limit: 5000, ..Proof::default() };
    assert!(verify(&format, &one, &other, &roots, &proof).is_err());
    assert!(one.reads() + other.reads() <= 5000 + 4 * 1024);
}

/// A bomb beside itself is compared without a look at all paths.
#[test]
fn a_bomb_equals_itself() {
    let format = FourLevel::default();
    let (one, other) = (bomb(&format, |_| 0), bomb(&format, |index| (index & 7) << 9));
    let sides = (
        Side { format: &format, memory: &one, root: ROOT },
        Side { format: &format, memory: &other, root: ROOT },
    );
    compare(sides.0, sides.1, &Scope::default(), |_, _| true, |found| panic!("{found:?}")).expect("no limit");
    assert_eq!((one.reads(), other.reads()), (4, 4));
    // Where both are of the same bytes, not even that.
    let scope = Scope { same_memory: true, ..Scope::default() };
    let side = || Side { format: &format, memory: &one, root: ROOT };
    compare(side(), side(), &scope, |_, _| true, |found| panic!("{found:?}")).expect("no limit");
    assert_eq!(one.reads(), 0);
}
