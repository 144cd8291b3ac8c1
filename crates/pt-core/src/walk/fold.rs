//! The walk as one loop: all leaves of a table in turn, without leaving it for each.

use crate::visited::Remember;
#[cfg(feature = "alloc")]
use crate::walk::Stretch;
use crate::walk::Walk;
use crate::{Event, Format, Level, Memory};

impl<F: Format, M: Memory + ?Sized, V: Remember> Walk<'_, F, M, V> {
    /// Takes the leaves that follow one another in one table with the place in registers.
    pub(super) fn fold_events<A>(
        mut self,
        init: A,
        mut give: impl FnMut(A, <Self as Iterator>::Item) -> A,
    ) -> A {
        let mut given = init;
        loop {
            given = match self.open.checked_sub(1).and_then(Level::at_depth::<F>) {
                Some(Level::LEAF) => self.fold_page_table(given, &mut give),
                Some(level) => self.fold_directory(level, given, &mut give),
                None => given,
            };
            let mut other = None;
            self.next_other(&mut other);
            let Some(item) = other else { return given };
            given = give(given, item);
        }
    }

    /// Gives out the leaves that come next in a page table: where nearly all leaves are. That its level is a constant
    /// saves a quarter; what has no holes, and what is no runs, is better off in a function of its own.
    #[inline(always)]
    fn fold_page_table<A>(&mut self, init: A, give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A) -> A {
        match self.leaves.ignored::<F>() {
            None => {
                let given = self.fold_full(init, give);
                self.fold_holes(given, give)
            }
            Some(ignored) => {
                let given = self.fold_full_runs(ignored, init, give);
                self.fold_holes_runs(ignored, given, give)
            }
        }
    }

    #[inline(never)]
    fn fold_full<A>(&mut self, init: A, give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A) -> A {
        self.fold_leaves(Level::LEAF, None, init, give)
    }

    #[inline(never)]
    fn fold_holes<A>(&mut self, init: A, give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A) -> A {
        self.fold_used(Level::LEAF, None, init, give)
    }

    #[inline(never)]
    fn fold_full_runs<A>(
        &mut self,
        ignored: u64,
        init: A,
        give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A,
    ) -> A {
        self.fold_leaves(Level::LEAF, Some(ignored), init, give)
    }

    #[inline(never)]
    fn fold_holes_runs<A>(
        &mut self,
        ignored: u64,
        init: A,
        give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A,
    ) -> A {
        self.fold_used(Level::LEAF, Some(ignored), init, give)
    }

    /// Gives out the leaves that come next in any other table.
    #[inline(never)]
    fn fold_directory<A>(
        &mut self,
        level: Level,
        init: A,
        give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A,
    ) -> A {
        let ignored = self.leaves.ignored::<F>();
        let given = self.fold_leaves(level, ignored, init, give);
        self.fold_used(level, ignored, given, give)
    }

    /// Gives out leaves as [`Frame::fold_leaves`](crate::walk::frame::Frame::fold_leaves) does.
    #[inline(always)]
    fn fold_leaves<A>(
        &mut self,
        level: Level,
        ignored: Option<u64>,
        init: A,
        give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A,
    ) -> A {
        let frame = &mut self.frames[level.depth::<F>()];
        let give = |given, leaf| give(given, Ok(Event::Leaf(leaf)));
        let given;
        (given, self.room) =
            frame.fold_leaves(&self.format, (self.space, level), ignored, self.room, init, give);
        given
    }

    /// Gives out leaves as [`Frame::fold_used`](crate::walk::frame::Frame::fold_used) does.
    #[inline(always)]
    fn fold_used<A>(
        &mut self,
        level: Level,
        ignored: Option<u64>,
        init: A,
        give: &mut impl FnMut(A, <Self as Iterator>::Item) -> A,
    ) -> A {
        let frame = &mut self.frames[level.depth::<F>()];
        let give = |given, leaf| give(given, Ok(Event::Leaf(leaf)));
        let given;
        (given, self.room) =
            frame.fold_used(&self.format, (self.space, level), ignored, self.room, init, give);
        given
    }

    /// As `fold`, for walks whose leaves are given out [each](Leaves::Each): a page table's leaves go to `stretch`, as many
    /// as follow one another at a time, and all else to `other`.
    #[cfg(feature = "alloc")]
    pub(crate) fn fold_stretches<A>(
        mut self,
        init: A,
        mut stretch: impl FnMut(A, Stretch<'_, F>) -> A,
        mut other: impl FnMut(A, <Self as Iterator>::Item) -> A,
    ) -> A {
        let page_table = F::LEVELS as usize - 1;
        let mut given = init;
        loop {
            if self.open == page_table + 1 {
                let frame = &mut self.frames[page_table];
                (given, self.room) =
                    frame.fold_stretches(&self.format, self.space, self.room, given, &mut stretch);
            }
            let mut item = None;
            self.next_other(&mut item);
            let Some(item) = item else { return given };
            given = other(given, item);
        }
    }
}
