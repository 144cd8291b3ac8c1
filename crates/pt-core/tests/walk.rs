//! What a walk gives out, and how often.
#![cfg(feature = "alloc")]

use pt_amd64::FourLevel;
use pt_core::{Event, Leaves, LimitReached, Limits, Options, RepeatedRoots, Resource, Walk};

/// Runs of two pages each fill a page table.
#[test]
fn a_run_is_one_event_of_those_that_there_may_be() {
    let mut memory = vec![0; 0x5000];
    let links = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003)];
    let pages = (0..512).map(|page| (0x4000 + page * 8, (page + page / 2) << 12 | 3));
    for (at, raw) in links.into_iter().chain(pages) {
        memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    }
    let tables = 4;
    for runs in [0, 1, 2, 100, 255] {
        let limits = Limits { events: tables + runs, ..Limits::NONE };
        let options = Options { leaves: Leaves::Runs, limits, ..Options::default() };
        let mut events = Vec::new();
        Walk::new(FourLevel::default(), &memory, &[0x1000], options).for_each(|event| events.push(event));
        let found = events.iter().filter_map(|event| match event {
            Ok(Event::Leaf(leaf)) => Some((leaf.va, leaf.pages)),
            _ => None,
        });
        assert!(found.eq((0..runs).map(|run| (run * 0x2000, 2))), "{runs}");
        let reached =
            LimitReached { resource: Resource::Events, limit: tables + runs, space: 0, va: runs * 0x2000 };
        assert_eq!(events.last(), Some(&Err(reached)));
        assert_eq!(events.len() as u64, tables + runs + 1);
    }
}

/// A root that links itself, in that part of it which is walked. If its link were looked for among all that were read again
/// before, this would take the square of the time.
#[test]
fn a_root_that_is_read_again_costs_as_much_each_time() {
    const TIMES: usize = 30_000;
    let mut memory = vec![0; 0x2000];
    memory[0x1000..0x1008].copy_from_slice(&0x1003_u64.to_le_bytes());
    let roots = vec![0x1000; TIMES];
    let options = Options { range: 0..=0xfff, repeated_roots: RepeatedRoots::Read, ..Options::default() };
    let (mut tables, mut aliases, mut pages) = (0, 0, 0);
    for event in Walk::new(FourLevel::default(), &memory, &roots, options) {
        match event.expect("no limit") {
            Event::Table(_) => tables += 1,
            Event::Alias(_) => aliases += 1,
            Event::Leaf(_) => pages += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((tables, aliases, pages), (4 + (TIMES - 1), TIMES - 1, 1));
}
