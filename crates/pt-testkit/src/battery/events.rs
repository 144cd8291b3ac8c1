//! Events equal the oracle's: every kind of leaves, with and without absent entries, by `next` and by `fold`, from
//! every kind of memory.

use pt_core::{Format, Leaves, Memory, RepeatedRoots, Walk};

use super::check;
use super::compare::{OnMemory, assert_same, events as lifted, expected, folded, on_each_memory, options};
use crate::generate::{Case, Kind};
use crate::naive::{Event, Mode, Repeated, flat, graph};

const LEAVES: [Leaves; 3] = [Leaves::Each, Leaves::Runs, Leaves::RunsIgnoringAccessedDirty];

/// Walks of all roots and of each alone are what the oracle says.
pub fn events<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    check(kind, 96, |case| {
        let Case { mode, memory, roots, range } = case;
        let oracle = graph(mode, memory, roots, *range, Repeated::Alias);
        let flat: Vec<_> = roots.iter().map(|&root| flat(mode, memory, root, *range)).collect();
        on_each_memory(case, &Compare { case, format: format(mode), oracle, flat });
    });
}

struct Compare<'a, F> {
    case: &'a Case,
    format: F,
    oracle: Vec<Event>,
    flat: Vec<Vec<Event>>,
}

impl<F: Format> OnMemory for Compare<'_, F> {
    fn run<M: Memory + ?Sized>(&self, memory: &M) {
        let Self { case, format, oracle, flat } = self;
        for leaves in LEAVES {
            for absent in [false, true] {
                let options = options(case, leaves, absent);
                let walk = || Walk::new(format.clone(), memory, &case.roots, options.clone());
                let oracle = expected(case, oracle, &options);
                assert_same(&lifted(walk()), &oracle, ("next", &options));
                assert_same(&folded(walk(), 0), &oracle, ("fold", &options));
                assert_same(&folded(walk(), oracle.len() / 2), &oracle, ("next, then fold", &options));
                for (&root, flat) in case.roots.iter().zip(flat) {
                    let walk = Walk::single(format.clone(), memory, root, options.clone(), options.limits);
                    assert_same(&lifted(walk), &expected(case, flat, &options), ("single", root, &options));
                }
            }
        }
        let mut options = options(case, Leaves::Each, true);
        options.repeated_roots = RepeatedRoots::Read;
        let walk = Walk::new(format.clone(), memory, &case.roots, options);
        let oracle = graph(&case.mode, &case.memory, &case.roots, case.range, Repeated::Read);
        assert_same(&lifted(walk), &oracle, "repeated roots read");
    }
}
