//! Which tables are reached in several ways: found from a walk, so that an edit knows whom else it changes.

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::{Event, Format, Geometry, LimitReached, TableId};

/// How one visit of a table is reached.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As the root of a space, at this address.
    Root(u64),
    /// By a link of the table of that visit, at that offset of its span.
    Below(TableId, u64),
}

/// A place at which a table is mapped: the root's table address, and the first virtual address (canonical).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The table address of the space's root.
    pub root: u64,
    /// The first virtual address of the table's span.
    pub va: u64,
    /// The last offset of that span.
    pub span_last: u64,
}

/// How every table of some spaces is reached.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    /// Visits by the table's physical address.
    visits: HashMap<u64, Vec<TableId>>,
    /// Per visit: the ways to it, and the last offset of its span.
    ways: Vec<(Vec<Way>, u64)>,
}

impl Sharing {
    /// How many places are listed before the answer is "everywhere".
    pub const MOST_REACHES: usize = 256;

    /// From a walk of all spaces that may share tables with the one to be edited, over their whole range.
    ///
    /// # Errors
    ///
    /// [`LimitReached`] if that is how the walk ended.
    pub fn of_walk<F: Format>(
        walk: impl IntoIterator<Item = Result<Event<F::Rights>, LimitReached>>,
    ) -> Result<Self, LimitReached> {
        let mut sharing = Self::default();
        // The visit that is open at each depth, with its first virtual address.
        let mut open: Vec<(TableId, u64)> = vec![];
        for event in walk {
            let (table, level, va, address) = match event? {
                Event::Table(table) => (table.id, table.level, table.va, table.address),
                Event::Alias(alias) => (alias.table, alias.level, alias.our_va, alias.address),
                Event::Leaf(_) | Event::Absent(_) | Event::Fault(_) => continue,
            };
            open.truncate(level.depth::<F>());
            // Above a root nothing is open.
            let way = match open.last() {
                Some(&(above, start)) => Way::Below(above, va.wrapping_sub(start)),
                None => Way::Root(address),
            };
            if table.index() == sharing.ways.len() {
                sharing.ways.push((Vec::new(), F::table_span_last(level)));
                sharing.visits.entry(address).or_default().push(table);
                open.push((table, va));
            }
            if let Some((ways, _)) = sharing.ways.get_mut(table.index()) {
                ways.push(way);
            }
        }
        Ok(sharing)
    }

    /// Every place at which the table at `address` is mapped; none where there are too many to list.
    pub fn reaches<F: Format>(&self, address: u64) -> Option<Vec<Reach>> {
        let mut reaches = Vec::new();
        for &visit in self.visits.get(&address).into_iter().flatten() {
            let span_last = self.ways.get(visit.index())?.1;
            self.climb::<F>((visit, F::LEVELS), 0, span_last, &mut reaches)?;
        }
        Some(reaches)
    }

    /// Follows the ways up to the roots. Each step goes one level up, so that it is as deep as there are levels.
    fn climb<F: Format>(
        &self,
        (visit, levels): (TableId, u8),
        offset: u64,
        span_last: u64,
        reaches: &mut Vec<Reach>,
    ) -> Option<()> {
        for way in &self.ways.get(visit.index())?.0 {
            match *way {
                Way::Root(root) => {
                    let reach = Reach { root, va: F::canonical(offset & F::VA_MASK), span_last };
                    // A root that was given twice is one place.
                    if !reaches.contains(&reach) {
                        reaches.push(reach);
                    }
                }
                Way::Below(above, further) => {
                    let above = (above, levels.checked_sub(1)?);
                    self.climb::<F>(above, offset.wrapping_add(further), span_last, reaches)?;
                }
            }
            if reaches.len() > Self::MOST_REACHES {
                return None;
            }
        }
        Some(())
    }
}
