//! What is derived from walks, on every graph of a few toy tables: comparison of two spaces, and who maps a frame.
//!
//! The toy's space has eight pages, so that the expected answer is one translation per page.

use std::collections::{BTreeMap, BTreeSet};

use pt_core::{
    Cause, Entry, Finding, Format, FrameIndex, Geometry, Judge, Leaves, Level, Mapped, Options, Scope, Side,
    TranslateError, Translation, Walk, compare, lockstep, translate,
};
use pt_testkit::toy::{STEP, Slot, Toy, Writable, graphs};

const PAGE: u64 = 4096;
const SAME: Scope = Scope { range: 0..=u64::MAX, same_memory: true, limit: u64::MAX };

fn pages() -> impl Iterator<Item = u64> {
    (0..8).map(|page| Toy::canonical(page * PAGE))
}

/// What a page leads to, as far as a comparison looks at it.
fn meaning(memory: &[u8], root: u64, va: u64) -> Result<(u64, bool), Option<TranslateError>> {
    match translate(&Toy, memory, root, va) {
        Ok(Translation { pa, rights, .. }) => Ok((pa, pt_core::Permissions::writable(rights))),
        Err(TranslateError::NotPresent { .. }) => Err(None),
        Err(fault) => Err(Some(fault)),
    }
}

/// The pages at which the findings say that two spaces differ.
fn found(before: (&[u8], u64), after: (&[u8], u64), scope: &Scope) -> Vec<u64> {
    let mut differ = BTreeSet::new();
    let side = |(memory, root)| Side { format: &Toy, memory, root };
    let mut last_seen = None;
    compare(
        side(before),
        side(after),
        scope,
        |_, _| true,
        |finding| {
            let (va, last, like) = match finding {
                Finding::Difference(difference) => {
                    assert_ne!(difference.before, difference.after);
                    (difference.va, difference.last, None)
                }
                Finding::Repetition { va, last, like } => (va, last, Some(like)),
            };
            assert!(last_seen.is_none_or(|seen| seen < va), "ascending");
            last_seen = Some(last);
            for page in pages().filter(|page| (va..=last).contains(page)) {
                let differs = like.is_none_or(|like: u64| differ.contains(&like.wrapping_add(page - va)));
                if differs {
                    differ.insert(page);
                }
            }
        },
    )
    .expect("no limit");
    differ.into_iter().collect()
}

#[test]
fn comparisons_find_the_pages_that_differ_and_no_others() {
    let mut unequal = 0;
    let graphs: Vec<_> = graphs(2, &Slot::all(2)).collect();
    for (memory, other) in graphs.iter().zip(graphs.iter().skip(1)) {
        let expected = |other: &[u8], root| {
            let differs = |&va: &u64| meaning(memory, 0, va) != meaning(other, root, va);
            pages().filter(differs).collect::<Vec<_>>()
        };
        let of_two_roots = expected(memory, STEP);
        assert_eq!(found((memory, 0), (memory, STEP), &SAME), of_two_roots, "{memory:x?}");
        assert_eq!(found((memory, 0), (memory, STEP), &Scope::default()), of_two_roots, "{memory:x?}");
        assert_eq!(
            found((memory, 0), (other, 0), &Scope::default()),
            expected(other, 0),
            "{memory:x?} {other:x?}"
        );
        assert!(found((memory, 0), (memory, 0), &SAME).is_empty());
        unequal += usize::from(!of_two_roots.is_empty());
    }
    assert!(unequal > 1_000);
}

#[test]
fn comparisons_of_three_tables() {
    for memory in graphs(3, &Slot::shapes(3)) {
        let differs = |&va: &u64| meaning(&memory, 0, va) != meaning(&memory, 2 * STEP, va);
        let expected: Vec<_> = pages().filter(differs).collect();
        assert_eq!(found((&memory, 0), (&memory, 2 * STEP), &SAME), expected, "{memory:x?}");
        for (first, last) in [(0, 0), (1, 6), (3, 4), (5, 5), (2, 7)] {
            let page = |number| Toy::canonical(number * PAGE);
            let range = page(first)..=page(last) + (PAGE - 1);
            let scope = Scope { range: range.clone(), ..SAME };
            let mut found = found((&memory, 0), (&memory, 2 * STEP), &scope);
            found.retain(|va| range.contains(va));
            let expected: Vec<_> = expected.iter().copied().filter(|va| range.contains(va)).collect();
            assert_eq!(found, expected, "{range:x?} {memory:x?}");
        }
    }
}

#[test]
fn frames_are_found_on_as_many_paths_as_there_are() {
    let roots = [0, STEP, 0];
    let mut shared = 0;
    for memory in graphs(3, &Slot::shapes(3)) {
        for leaves in [Leaves::Each, Leaves::Runs] {
            let options = Options { leaves, ..Options::default() };
            let walk = Walk::new(Toy, memory.as_slice(), &roots, options);
            let index = FrameIndex::new::<Toy>(walk).expect("no limit");
            let mut expected: BTreeMap<u64, u128> = BTreeMap::new();
            for (root, va) in roots.iter().flat_map(|&root| pages().map(move |va| (root, va))) {
                if let Ok((pa, _)) = meaning(&memory, root, va) {
                    *expected.entry(pa).or_default() += 1;
                }
            }
            for (&pa, &paths) in &expected {
                let uses: Vec<_> = index.find::<Toy>(pa..=pa).collect();
                assert_eq!(uses.iter().map(|at| at.paths).sum::<u128>(), paths, "{pa:#x} in {memory:x?}");
                for at in &uses {
                    let offset = pa - at.leaf.pa;
                    let there = meaning(&memory, roots[at.leaf.space as usize], at.leaf.va + offset);
                    assert_eq!(there.map(|(found, _)| found), Ok(pa), "{memory:x?}");
                    let entry = at.leaf.entry as usize..at.leaf.entry as usize + 8;
                    let raw = u64::from_le_bytes(memory[entry].try_into().expect("eight bytes"));
                    assert_eq!(Toy.decode(at.leaf.level, raw), Entry::Leaf(at.leaf.pa), "{memory:x?}");
                    assert_eq!(at.leaf.pages, 1, "cut to what was asked for");
                }
                let last = pa + (PAGE - 1);
                let of_last = index.find::<Toy>(last..=last).map(|at| at.paths).sum::<u128>();
                assert_eq!(of_last, paths, "{last:#x} in {memory:x?}");
                shared += usize::from(paths > uses.len() as u128);
            }
            assert_eq!(index.find::<Toy>(0..=u64::MAX).count() == 0, expected.is_empty());
            let unmapped = (0..64).map(|page| page * PAGE).filter(|pa| !expected.contains_key(pa));
            unmapped
                .for_each(|pa| assert_eq!(index.find::<Toy>(pa..=pa).count(), 0, "{pa:#x} in {memory:x?}"));
        }
    }
    assert!(shared > 1_000);
}

/// What differs is told with the entry that it comes from.
#[test]
fn a_fault_that_is_met_names_its_entry() {
    struct Causes(Vec<Cause>);
    impl Judge<Toy> for Causes {
        fn ends(&mut self, _: u64, _: u64, before: Mapped<Writable>, after: Mapped<Writable>) -> bool {
            let faults = [before, after].into_iter().filter_map(|mapped| match mapped {
                Mapped::Fault(cause) => Some(cause),
                _ => None,
            });
            self.0.extend(faults);
            true
        }
    }
    // A page with its reserved bit in the second entry of a root, and nothing beside it.
    let (mut before, after) = (vec![0; 0x40], vec![0; 0x40]);
    before[0x28] = 0b101;
    let mut causes = Causes(Vec::new());
    lockstep((&Toy, &before), (&Toy, &after), [(0x20, 0x20)], &Scope::default(), &mut causes)
        .expect("no limit");
    let level = Level::at_depth::<Toy>(0).expect("a root");
    assert_eq!(causes.0, [Cause::Malformed { level, entry: 0x28, raw: 0b101, reserved: 0b100 }]);
}
