//! That cases are small, and that everything they are for does occur.

use std::collections::BTreeMap;

use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::layout::{MOST_EVENTS, MOST_TABLES};
use super::*;
use crate::naive::{Event, Repeated, counts, flat, graph};

/// How often each thing occurs in many cases of a mode.
fn census(kind: Kind, many: usize) -> BTreeMap<&'static str, usize> {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::new();
    let strategy = cases(kind);
    for _ in 0..many {
        let case = strategy.new_tree(&mut runner).expect("cases need no rejection").current();
        let mut see = |what, occurs: bool| *seen.entry(what).or_insert(0) += usize::from(occurs);
        let Case { mode, memory, roots, range } = &case;
        let flat: Vec<_> = roots.iter().flat_map(|&root| flat(mode, memory, root, (0, u64::MAX))).collect();
        let tables = flat.iter().filter(|event| event.is_table()).count() as u64;
        assert!(tables <= MOST_TABLES && flat.len() as u64 - tables <= MOST_EVENTS, "{case:?}");

        see("dense", memory.dense().is_some());
        see("sparse", memory.dense().is_none());
        see("empty range", mode.places(range.0, range.1).is_none());
        see("whole range", *range == (0, u64::MAX));
        see("large leaf", flat.iter().any(|event| matches!(event, Event::Leaf { level: 2.., .. })));
        see("malformed", flat.iter().any(|event| matches!(event, Event::Malformed { .. })));
        see(
            "unreadable",
            flat.iter().any(|event| matches!(event, Event::Unreadable { link, .. } if link.entry.is_some())),
        );
        see(
            "unreadable root",
            flat.iter().any(|event| matches!(event, Event::Unreadable { link, .. } if link.entry.is_none())),
        );
        see("absent", flat.iter().any(Event::is_absent));
        let events = graph(mode, memory, roots, *range, Repeated::Alias);
        let mut first_met = (false, false);
        for event in &events {
            match *event {
                Event::Table { first_met: Some(first), level, .. } => {
                    let earlier = |event: &&Event| matches!(event, Event::Table { id, .. } if *id == first);
                    let other_level =
                        |event: &Event| matches!(event, Event::Table { level: other, .. } if *other != level);
                    if events.iter().find(earlier).is_some_and(other_level) {
                        first_met.0 = true;
                    } else {
                        first_met.1 = true;
                    }
                }
                Event::Alias { space, owner, level, rights, table, .. } => {
                    see("alias event across", space != owner);
                    see("alias event within", space == owner);
                    see("alias event of a root", level == mode.levels());
                    see("alias event of a page table", level == 1);
                    let owner = |event: &&Event| matches!(event, Event::Table { id, .. } if *id == table);
                    let differ = |event: &Event| matches!(event, Event::Table { rights: owner, .. } if *owner != rights);
                    see("alias event with other rights", events.iter().find(owner).is_some_and(differ));
                }
                _ => {}
            }
        }
        see("table at two levels", first_met.0);
        see("table cut two ways", first_met.1);
        let counts = counts(mode, memory, roots, *range);
        see("spaces all reach something", counts.iter().all(|counts| counts.mapped > 0));
        let joined = crate::naive::join(mode, &events, false);
        let crosses = |event: &Event| match *event {
            Event::Leaf { level: 2, pa, pages, .. } => {
                pa < 1 << 32 && pa + u64::from(pages) * mode.entry_span(2) > 1 << 32
            }
            _ => false,
        };
        see("run of large pages across 4 GiB", joined.iter().any(crosses));
        see("run", joined.len() < events.len());
        see("longer run without A and D", crate::naive::join(mode, &events, true).len() < joined.len());
    }
    seen
}

fn everything_occurs(kind: Kind) {
    let seen = census(kind, 250);
    for (what, times) in &seen {
        assert!(*times >= 5, "{kind:?}: {what} occurs {times} times: {seen:#?}");
    }
}

#[test]
fn everything_occurs_on_two_levels() {
    everything_occurs(Kind::TwoLevel);
}

#[test]
fn everything_occurs_on_pae() {
    everything_occurs(Kind::Pae);
}

#[test]
fn everything_occurs_on_four_levels() {
    everything_occurs(Kind::FourLevel);
}

#[test]
fn everything_occurs_on_five_levels() {
    everything_occurs(Kind::FiveLevel);
}
