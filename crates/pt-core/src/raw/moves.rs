//! Tables that move when they are written, and the links that follow.
//!
//! ```text
//!   root A     root B                     root A     root B
//!      \       /                             \       /
//!       PD    PD         PT is written        PD    PD       both links are rewritten, each with its own bits;
//!         \  /           and moves              \  /         a PD that moves for that is followed in turn
//!          PT            ──────────▶   PT        PT'
//! ```
//!
//! Who links a table is not known, and without an allocator cannot be remembered: the tables above are searched, from
//! every root that is named, each time a table moves. That is once per table.

use crate::raw::space::Space;
use crate::raw::{MapError, RawFormat, TableMovability, TableMoveInfo, TableOps};
use crate::visited::{Key, Known, Remember};
use crate::{Entry, Geometry, Level};

/// How many tables can wait for links to follow them. One waits per step up, so that it is as many as there are levels,
/// and more only where tables link each other at several levels.
const MOST_WAITING: usize = 16;

/// The tables that a search met: each is searched once, or, without an allocator, once per path.
#[cfg(feature = "alloc")]
type Met = crate::Visited;
#[cfg(not(feature = "alloc"))]
type Met = crate::Unremembered;

/// A table that moved, and where it went.
type Moved<Op> = (u64, TableMoveInfo<Op>);

impl<F: RawFormat, Op: TableOps> Space<'_, F, Op> {
    /// Where a table is now.
    pub(super) fn table_moved(moved: TableMoveInfo<Op>) -> u64 {
        Op::to_phys(<Op::TableMovability as TableMovability<Op::TableAddr>>::address(moved))
    }

    /// Makes every link to the table that was at `from` lead to where it is.
    #[cold]
    pub(super) fn follow(&mut self, from: u64, moved: TableMoveInfo<Op>) -> Result<(), MapError> {
        self.follow_roots(from, moved)?;
        let mut waiting = [(from, moved); MOST_WAITING];
        let mut count = 1;
        while let Some(&(from, moved)) = waiting[..count].last() {
            match self.relink_everywhere(&waiting[..count])? {
                None => count -= 1,
                // Links to the table that moved for that come first: nothing is to write where it was.
                Some((table, again)) => {
                    self.follow_roots(table, again)?;
                    let to = Self::table_moved(moved);
                    *waiting.get_mut(count).ok_or(MapError::Adrift { from, to })? = (table, again);
                    count += 1;
                }
            }
        }
        Ok(())
    }

    /// Tells of a root that moved, if it is one.
    fn follow_roots(&mut self, from: u64, moved: TableMoveInfo<Op>) -> Result<(), MapError> {
        let to = Self::table_moved(moved);
        if self.roots().any(|root| root == from) {
            // SAFETY: whoever made `self` promised that this can be called; the new table is the old one, written.
            unsafe { self.op.update_root(Op::from_phys(from), moved) };
        }
        if self.other == Some(from) {
            self.other = Some(to);
        }
        // What is there would be written again, and move again, without end.
        if self.roots().any(|root| root == from) { Err(MapError::Adrift { from, to }) } else { Ok(()) }
    }

    /// The tables at all roots that are known, as they are named at the time.
    fn roots(&self) -> impl Iterator<Item = u64> {
        let others = (0..).map_while(|index| self.op.other_root(index)).map(|root| self.table_of_root(root));
        core::iter::once(self.root()).chain(self.other).chain(others)
    }

    /// Rewrites links to the last table that waits, until one of their tables moves for that. None if that did not
    /// happen: then there are no more.
    fn relink_everywhere(&self, waiting: &[Moved<Op>]) -> Result<Option<Moved<Op>>, MapError> {
        let mut met = Met::default();
        for root in self.roots() {
            if let Some(moved) = self.relink(&mut met, root, F::ROOT, waiting)? {
                return Ok(Some(moved));
            }
        }
        Ok(None)
    }

    /// The same from one table down. Page tables link nothing and are not read.
    fn relink(
        &self,
        met: &mut Met,
        table: u64,
        level: Level,
        waiting: &[Moved<Op>],
    ) -> Result<Option<Moved<Op>>, MapError> {
        let key = Key { address: table, level, cut: 0 };
        let (Known::New { first_met }, Some(below)) = (met.look_up(key), level.below()) else {
            return Ok(None);
        };
        met.introduce(key, first_met, 0, 0);
        for index in 0..F::entries(level) {
            let entry = table.wrapping_add((index * F::ENTRY_BYTES) as u64);
            let raw = self.read(entry);
            let Entry::Table(mut linked) = self.format.decode(level, raw) else { continue };
            // Those that wait longer are linked by where they were until it is their turn.
            if let Some(place) = waiting.iter().position(|(from, _)| *from == linked) {
                linked = Self::table_moved(waiting[place].1);
                if place + 1 == waiting.len() {
                    let unlinkable = MapError::Unlinkable { table: linked };
                    let raw = self.format.relocate(level, raw, linked).ok_or(unlinkable)?;
                    if let Some(moved) = self.store(entry, raw) {
                        return Ok(Some((table, moved)));
                    }
                }
            }
            if let Some(moved) = self.relink(met, linked, below, waiting)? {
                return Ok(Some(moved));
            }
        }
        Ok(None)
    }
}
