//! Every graph of a few toy tables, those that no walk can tell apart taken together.
//!
//! Four tables have 12^8 graphs, too many to rebuild each. But what is not reached is not read, and what the tables are
//! called is a matter of where they lie. So graphs are written down as a walk would discover them: slot by slot, each
//! link to a table that is known or to the next one that is not. One such list stands for a class of graphs:
//!
//! ```text
//! members = alphabet ^ slots of tables that are not reached × ways to name the tables that are (the roots apart)
//! ```
//!
//! The members of all classes add up to all graphs, which is checked. Of each class one member is laid out: with names, and
//! with slots of tables that are not reached, that depend on the number of the class.

use super::exhaust::{Shard, scattered, told};
use crate::generate::Case;
use crate::toy::{STEP, Slot, lay_out};

/// How many classes there were, and how many graphs they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Classes that were called with.
    pub classes: u64,
    /// Graphs in all classes, of whatever shard.
    pub graphs: u64,
}

/// Lays out a graph of every class that is in the shard in frame 0 of `case`, with so many different roots in
/// `case.roots`, and calls `with` with it and its number. `alphabet` has links to all tables or to none.
pub fn each_class(
    tables: u64,
    alphabet: &[Slot],
    roots: u64,
    shard: Shard,
    case: &mut Case,
    with: impl FnMut(&mut Case, u64),
) -> Counted {
    let all = Classes { tables, alphabet, roots, shard, case, with, slots: Vec::new() };
    all.count()
}

struct Classes<'a, W> {
    tables: u64,
    alphabet: &'a [Slot],
    roots: u64,
    shard: Shard,
    case: &'a mut Case,
    with: W,
    slots: Vec<Slot>,
}

impl<W: FnMut(&mut Case, u64)> Classes<'_, W> {
    fn count(mut self) -> Counted {
        let mut counted = Counted::default();
        let mut number = 0;
        self.go_on(self.roots, &mut number, &mut counted);
        counted
    }

    /// Every way to go on from the slots that are filled, where so many tables are known.
    fn go_on(&mut self, known: u64, number: &mut u64, counted: &mut Counted) {
        if self.slots.len() as u64 == known * 2 {
            let names: u64 = (self.roots..known).map(|named| self.tables - named).product();
            counted.graphs += names * (self.alphabet.len() as u64).pow((self.tables - known) as u32 * 2);
            if self.shard.has(*number) {
                counted.classes += 1;
                self.call(*number);
            }
            *number += 1;
            return;
        }
        for &slot in self.alphabet {
            let known = match slot {
                Slot::Link { table, .. } if table > known => continue,
                Slot::Link { table, .. } => known.max(table + 1),
                _ => known,
            };
            self.slots.push(slot);
            self.go_on(known, number, counted);
            self.slots.pop();
        }
    }

    /// With one member of the class.
    fn call(&mut self, number: u64) {
        let mut choose = scattered(number);
        let mut names: Vec<u64> = (0..self.tables).collect();
        for last in (1..names.len()).rev() {
            names.swap(last, choose(last + 1));
        }
        let reached = self.slots.iter().copied();
        let others = std::iter::repeat_with(|| self.alphabet[choose(self.alphabet.len())]);
        let slots: Vec<Slot> = reached.chain(others).take(self.tables as usize * 2).collect();
        self.case.roots = names[..self.roots as usize].iter().map(|name| name * STEP).collect();
        let with = &mut self.with;
        told(self.case, &lay_out(&slots, &names), |case| with(case, number));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::naive::{Frames, Mode, Physical};

    #[test]
    fn classes_stand_for_all_graphs_and_differ() {
        let mut case =
            Case { mode: Mode::Toy, memory: Frames::new(), roots: Vec::new(), range: (0, u64::MAX) };
        for (tables, roots, classes) in [(2, 1, 1_828), (2, 2, 4_096), (3, 1, 142_628)] {
            let alphabet = Slot::kinds(tables);
            let mut seen = BTreeSet::new();
            let counted = each_class(tables, &alphabet, roots, Shard::ALL, &mut case, |case, _| {
                seen.insert((case.roots.clone(), case.memory.bytes(0, tables * STEP).unwrap()));
            });
            assert_eq!(counted.graphs, (alphabet.len() as u64).pow(tables as u32 * 2));
            assert_eq!((seen.len() as u64, counted.classes), (counted.classes, classes), "{tables} {roots}");
        }
    }
}
