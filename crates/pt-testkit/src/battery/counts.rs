//! Counts made without expanding an alias equal those of brute force.

use pt_core::{Counter, Format, Leaves, Memory, SpaceCounts, Total, Walk};

use super::check;
use super::compare::{options, segments};
use crate::generate::{Case, Kind};
use crate::naive::{Counts, Mode, counts as brute_force};

/// The counts of every space and their totals, from leaves one by one and from runs.
pub fn counts<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    check(kind, 96, |case| check_counts(case, &format(&case.mode), &segments(&case.memory)));
}

pub(super) fn check_counts<F: Format, M: Memory + ?Sized>(case: &Case, format: &F, memory: &M) {
    let Case { mode, memory: frames, roots, range } = case;
    let mut oracle = brute_force(mode, frames, roots, *range);
    // How many tables all paths have is not counted by the engine. A range of nothing has no spaces for it.
    for counts in &mut oracle {
        counts.paths = 0;
    }
    oracle.truncate(if mode.places(range.0, range.1).is_some() { roots.len() } else { 0 });
    for leaves in [Leaves::Each, Leaves::RunsIgnoringAccessedDirty] {
        let mut counter = Counter::new();
        for event in Walk::new(format.clone(), memory, roots, options(case, leaves, true)) {
            counter.observe::<F>(&event.expect("there is no limit"));
        }
        let spaces = counter.spaces();
        assert_eq!(spaces.iter().map(|space| lift::<F>(space)).collect::<Vec<_>>(), oracle);
        check_total(spaces.iter().collect(), &oracle);
    }
}

fn lift<F: Format>(space: &SpaceCounts) -> Counts {
    Counts {
        leaves: space.reached.leaves.map(u128::from),
        mapped: u128::from(space.reached.bytes::<F>()),
        absent: u128::from(space.reached.absent),
        faults: u128::from(space.reached.faults),
        paths: 0,
        owned: u128::from(space.tables_owned),
        shared: u128::from(space.tables_shared),
        aliases_to_others: u128::from(space.another_space),
        aliases_within: u128::from(space.same_space),
        aliases_of_nothing: u128::from(space.empty),
        own_faults: u128::from(space.faults_met),
        own_leaves: u128::from(space.leaves_met),
    }
}

fn check_total(total: Total, oracle: &[Counts]) {
    let sum = |of: fn(&Counts) -> u128| oracle.iter().map(of).sum::<u128>();
    assert_eq!(total.spaces, oracle.len() as u64);
    assert_eq!(u128::from(total.tables), sum(|counts| counts.owned));
    assert_eq!(u128::from(total.leaves_met), sum(|counts| counts.own_leaves));
    assert_eq!(u128::from(total.another_space), sum(|counts| counts.aliases_to_others));
    assert_eq!(u128::from(total.same_space), sum(|counts| counts.aliases_within));
    assert_eq!(u128::from(total.empty), sum(|counts| counts.aliases_of_nothing));
    assert_eq!(u128::from(total.faults_met), sum(|counts| counts.own_faults));
    assert_eq!(total.expanded_leaves, sum(|counts| counts.leaves.iter().sum()));
}
