//! Exact counts, by going everywhere and counting. Only for small graphs.

use std::collections::BTreeSet;

use super::flat::below;
use super::{Event, Mode, Physical, Repeated, flat, graph};

/// What one space amounts to in a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leaves over all paths, by level: level 1 first.
    pub leaves: [u128; 5],
    /// The bytes that these leaves map.
    pub mapped: u128,
    /// Absent entries that are not zero, over all paths.
    pub absent: u128,
    /// Faults over all paths.
    pub faults: u128,
    /// Tables over all paths.
    pub paths: u128,
    /// Tables introduced by this space.
    pub owned: u128,
    /// Different tables of earlier spaces that this space links itself.
    pub shared: u128,
    /// Links to tables of earlier spaces.
    pub aliases_to_others: u128,
    /// Links to tables of this space.
    pub aliases_within: u128,
    /// Links of both kinds to tables without a leaf below.
    pub aliases_of_nothing: u128,
    /// Faults met in this space's own tables.
    pub own_faults: u128,
    /// Leaf entries met as this space's own.
    pub own_leaves: u128,
}

/// The counts of every space.
pub fn counts(mode: &Mode, memory: &impl Physical, roots: &[u64], range: (u64, u64)) -> Vec<Counts> {
    let mut all: Vec<Counts> = Vec::new();
    for &root in roots {
        let mut counts = Counts::default();
        for event in flat(mode, memory, root, range) {
            match event {
                Event::Leaf { level, .. } => {
                    counts.leaves[usize::from(level) - 1] += 1;
                    counts.mapped += u128::from(mode.entry_span(level));
                }
                Event::Absent { .. } => counts.absent += 1,
                Event::Malformed { .. } | Event::Unreadable { .. } => counts.faults += 1,
                Event::Table { .. } => counts.paths += 1,
                Event::Alias { .. } => unreachable!("a flat walk has none"),
            }
        }
        all.push(counts);
    }
    let mut shared = BTreeSet::new();
    for event in graph(mode, memory, roots, range, Repeated::Alias) {
        if let Event::Alias { space, level, address, our_va, .. } = event {
            let below = below(mode, memory, level, address, our_va, range);
            let nothing = !below.iter().any(|event| matches!(event, Event::Leaf { .. }));
            all[space as usize].aliases_of_nothing += u128::from(nothing);
        }
        match event {
            Event::Malformed { space, .. } | Event::Unreadable { space, .. } => {
                all[space as usize].own_faults += 1;
            }
            Event::Table { space, .. } => all[space as usize].owned += 1,
            Event::Leaf { space, .. } => all[space as usize].own_leaves += 1,
            Event::Alias { space, owner, .. } if owner == space => all[space as usize].aliases_within += 1,
            Event::Alias { space, table, .. } => {
                all[space as usize].aliases_to_others += 1;
                shared.insert((space, table));
            }
            Event::Absent { .. } => {}
        }
    }
    for (space, _) in shared {
        all[space as usize].shared += 1;
    }
    all
}
