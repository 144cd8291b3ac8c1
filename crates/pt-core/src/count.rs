//! Exact counts of what each space maps, from one walk and without expanding an alias.
//!
//! Each table's totals are complete before anything aliases it (the stack holds one table per depth), so an alias adds
//! what its table holds, and the cost is one addition per event.

use alloc::vec::Vec;

use crate::{Event, Format, Geometry, MAX_LEVELS, Space};

/// What can be reached below a table, or in a space, over all paths. Each has an address range of its own, so that 64
/// bits are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reached {
    /// Leaf entries by level, level 1 first.
    pub leaves: [u64; MAX_LEVELS],
    /// Faults.
    pub faults: u64,
    /// Absent entries, if the walk reported them.
    pub absent: u64,
}

impl Reached {
    /// Leaf entries of all levels.
    pub fn all_leaves(&self) -> u64 {
        self.leaves.iter().copied().fold(0, u64::saturating_add)
    }

    /// The bytes that the leaves map; large pages that the range cuts count whole.
    pub fn bytes<F: Format>(&self) -> u64 {
        self.leaves.iter().zip(F::SHIFTS).map(|(leaves, shift)| leaves << shift).fold(0, u64::saturating_add)
    }

    fn add(&mut self, other: &Self) {
        for (sum, leaves) in self.leaves.iter_mut().zip(other.leaves) {
            *sum = sum.saturating_add(leaves);
        }
        self.faults = self.faults.saturating_add(other.faults);
        self.absent = self.absent.saturating_add(other.absent);
    }
}

/// What was met of one space, and what it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SpaceCounts {
    /// Table visits that this space introduced.
    pub tables_owned: u64,
    /// Tables of earlier spaces that this one links, each counted once however many links there are. What hangs below
    /// them is shared too, but not counted here.
    pub tables_shared: u64,
    /// Links to tables of earlier spaces.
    pub another_space: u64,
    /// Links to tables that this space itself introduced before.
    pub same_space: u64,
    /// Of both kinds, the links to tables with no leaf below.
    pub empty: u64,
    /// Leaf entries met: those of its own tables.
    pub leaves_met: u64,
    /// Faults met.
    pub faults_met: u64,
    /// Everything that it maps, aliases included.
    pub reached: Reached,
}

/// The counts of all spaces together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Total {
    /// Spaces.
    pub spaces: u64,
    /// Table visits: distinct tables, once per depth (and window of a cut range).
    pub tables: u64,
    /// Leaf entries met.
    pub leaves_met: u64,
    /// Links to tables of earlier spaces.
    pub another_space: u64,
    /// Links to tables that the same space introduced before.
    pub same_space: u64,
    /// Of both kinds, the links to tables with no leaf below.
    pub empty: u64,
    /// Faults met.
    pub faults_met: u64,
    /// The leaf entries that all paths of all spaces have: what a walker without memory would report.
    pub expanded_leaves: u128,
}

impl<'a> FromIterator<&'a SpaceCounts> for Total {
    fn from_iter<I: IntoIterator<Item = &'a SpaceCounts>>(spaces: I) -> Self {
        spaces.into_iter().fold(Self::default(), |sum, space| Self {
            spaces: sum.spaces + 1,
            tables: sum.tables.saturating_add(space.tables_owned),
            leaves_met: sum.leaves_met.saturating_add(space.leaves_met),
            another_space: sum.another_space.saturating_add(space.another_space),
            same_space: sum.same_space.saturating_add(space.same_space),
            empty: sum.empty.saturating_add(space.empty),
            faults_met: sum.faults_met.saturating_add(space.faults_met),
            expanded_leaves: sum.expanded_leaves + u128::from(space.reached.all_leaves()),
        })
    }
}

/// Counts events: give it each in turn, then ask for the [`spaces`](Counter::spaces).
///
/// ```
/// # use pt_core::{Counter, Format, LimitReached, Memory, Options, Walk};
/// fn mapped<F: Format>(format: F, memory: &[u8], roots: &[u64]) -> Result<u64, LimitReached> {
///     let mut counter = Counter::new();
///     for event in Walk::new(format, memory, roots, Options::default()) {
///         counter.observe::<F>(&event?);
///     }
///     Ok(counter.spaces().iter().map(|space| space.reached.bytes::<F>()).sum())
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Counter {
    /// Per table number: what it reaches. Complete once it is closed.
    tables: Vec<Reached>,
    /// Per table number: one more than the last space that aliased it.
    linked_by: Vec<Space>,
    /// The open tables by depth, as numbers.
    open: Vec<usize>,
    spaces: Vec<SpaceCounts>,
}

impl Counter {
    /// A counter that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one event of a walk, all of whose events are given in order. (What others come to has no meaning.)
    pub fn observe<F: Format>(&mut self, event: &Event<F::Rights>) {
        self.enter(event.space());
        let mut single = Reached::default();
        match event {
            Event::Table(table) => {
                self.close(table.level.depth::<F>());
                self.open.push(self.tables.len());
                self.tables.push(Reached::default());
                self.linked_by.push(0);
                self.current().tables_owned += 1;
                return;
            }
            Event::Leaf(leaf) => {
                self.close(leaf.level.depth::<F>() + 1);
                single.leaves[leaf.level.number() as usize - 1] = u64::from(leaf.pages);
                self.current().leaves_met += u64::from(leaf.pages);
            }
            Event::Alias(alias) => {
                self.close(alias.level.depth::<F>());
                single = self.tables.get(alias.table.index()).copied().unwrap_or_default();
                let now = alias.space.saturating_add(1);
                let linked_by = self.linked_by.get_mut(alias.table.index());
                let first_link = linked_by.is_some_and(|linked_by| core::mem::replace(linked_by, now) != now);
                let counts = self.current();
                counts.empty += u64::from(single.all_leaves() == 0);
                if alias.owner == alias.space {
                    counts.same_space += 1;
                } else {
                    counts.another_space += 1;
                    counts.tables_shared += u64::from(first_link);
                }
            }
            Event::Absent(absent) => {
                self.close(absent.level.depth::<F>() + 1);
                single.absent = 1;
            }
            Event::Fault(fault) => {
                self.close(fault.tables_above::<F>());
                single.faults = 1;
                self.current().faults_met += 1;
            }
        }
        self.add(&single);
    }

    /// The counts of the spaces seen so far, in root order.
    pub fn spaces(mut self) -> Vec<SpaceCounts> {
        self.close(0);
        self.spaces
    }

    fn enter(&mut self, space: Space) {
        // Each space begins with an event of its root, so that they come one by one.
        if self.spaces.len() <= space as usize {
            self.close(0);
            self.spaces.push(SpaceCounts::default());
        }
    }

    fn current(&mut self) -> &mut SpaceCounts {
        let last = self.spaces.len() - 1;
        &mut self.spaces[last]
    }

    /// Closes open tables until only `depth` of them are left: each adds its totals to the one above.
    fn close(&mut self, depth: usize) {
        while self.open.len() > depth {
            let Some(table) = self.open.pop() else { return };
            let reached = self.tables[table];
            self.add(&reached);
        }
    }

    /// Adds to the table that is open, or to the space if none is.
    fn add(&mut self, reached: &Reached) {
        match self.open.last() {
            Some(&table) => self.tables[table].add(reached),
            None => {
                if let Some(space) = self.spaces.last_mut() {
                    space.reached.add(reached);
                }
            }
        }
    }
}
