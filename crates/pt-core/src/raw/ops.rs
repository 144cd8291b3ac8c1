//! [`TableOps`]: what an embedder does so that its tables can be written.

use crate::raw::{SpaceId, TableReadOps};

/// What cannot be: where tables do not move, nobody is told where one went.
pub type Void = core::convert::Infallible;

/// Tables may move: the first write to one can give it another address.
#[derive(Clone, Copy, Debug)]
pub enum MayMoveTable {}

/// Tables are written where they stand.
#[derive(Clone, Copy, Debug)]
pub enum MayNotMoveTable {}

/// [`MayMoveTable`] or [`MayNotMoveTable`], for tables that are addressed by `A`.
pub trait TableMovability<A>: sealed::Sealed {
    /// Where a table went: its new address, or [`Void`].
    type TableMoveInfo: Copy;

    /// Whether there can be one.
    const MOVES: bool;

    /// The new address.
    fn address(moved: Self::TableMoveInfo) -> A;
}

impl<A: Copy> TableMovability<A> for MayMoveTable {
    type TableMoveInfo = A;
    const MOVES: bool = true;

    fn address(moved: A) -> A {
        moved
    }
}

impl<A> TableMovability<A> for MayNotMoveTable {
    type TableMoveInfo = Void;
    const MOVES: bool = false;

    fn address(moved: Void) -> A {
        match moved {}
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::MayMoveTable {}
    impl Sealed for super::MayNotMoveTable {}
}

/// Where a table of `Op` went when it was written: its address, or [`Void`].
pub type TableMoveInfo<Op> =
    <<Op as TableOps>::TableMovability as TableMovability<<Op as TableReadOps>::TableAddr>>::TableMoveInfo;

/// Writes tables, entry by entry.
///
/// # Tables that move
///
/// Where the root's space shares memory that cannot be written (a snapshot), the first write to a table can copy it to
/// memory that can. [`write_entry`](Self::write_entry) then answers with the new address, and every link to the old one
/// is rewritten, each with its own bits: those of the space under [`root_table`](TableReadOps::root_table) and those of
/// the spaces that [`other_root`](Self::other_root) names. So a table that is shared stays shared. Tables above, written
/// for that, may move in turn; a root that moves is told to [`update_root`](Self::update_root).
///
/// What no root named leads to is not found: **an embedder whose tables may move names every root whose space can
/// share tables with the one that is edited.** A page that maps a table's frame is a page, not a link, and stays.
///
/// Links are searched for in all tables but page tables, from every root that is named, once for each table that moves.
/// Without feature `alloc` nothing remembers which tables were searched, and those that are shared are searched again on
/// every path to them.
pub trait TableOps: TableReadOps {
    /// [`MayMoveTable`] or [`MayNotMoveTable`].
    type TableMovability: TableMovability<Self::TableAddr>;

    /// A table of zeros that nothing uses; none where there is no more memory.
    ///
    /// # Safety
    ///
    /// No other function of this value runs meanwhile.
    unsafe fn alloc_table(&self) -> Option<Self::TableAddr>;

    /// Takes back a table that [`alloc_table`](Self::alloc_table) gave and that never came into use: others that were
    /// needed with it were not to be had. What it then holds is open. Unless this is implemented, it is lost.
    ///
    /// # Safety
    ///
    /// Nothing links the table, and it is not used again.
    unsafe fn free_table(&self, table: Self::TableAddr) {
        let _ = table;
    }

    /// Writes the entry at `addr`: its low 32 bits where the format's entries are 4 bytes wide.
    ///
    /// If the table had to move for that, the answer is its new address: all of it is there, the entry as it was to
    /// become included. A table moves once: written again at its new address, it stays.
    ///
    /// # Safety
    ///
    /// `addr` lies inside a table that the implementor can write, and nothing else reads or writes it during the call.
    /// What is written becomes part of a translation, with all that this means for whoever runs under it.
    unsafe fn write_entry(&self, addr: Self::TableAddr, entry: u64) -> Option<TableMoveInfo<Self>>;

    /// The root table that was at `old` is at `new`: [`root_table`](TableReadOps::root_table) and
    /// [`other_root`](Self::other_root), whichever named it, name the new one from here on.
    ///
    /// # Safety
    ///
    /// As [`write_entry`](Self::write_entry): this changes what addresses mean.
    unsafe fn update_root(&self, old: Self::TableAddr, new: TableMoveInfo<Self>);

    /// The roots of other spaces that may share tables with the one under [`root_table`](TableReadOps::root_table), by
    /// number; none from the number on that there are. Asked only after a table moved. Default: there are none.
    fn other_root(&self, index: usize) -> Option<Self::TableAddr> {
        let _ = index;
        None
    }
}

/// The roots that spaces were rebuilt under, by the [`SpaceId`] of the space that was walked.
pub trait BuiltRoots<A> {
    /// The new root of `space`. Where a space was given several times, of the first.
    fn root_of(&self, space: SpaceId) -> Option<A>;
}

impl<A: Copy> BuiltRoots<A> for [(SpaceId, A)] {
    fn root_of(&self, space: SpaceId) -> Option<A> {
        self.iter().find(|(id, _)| *id == space).map(|&(_, root)| root)
    }
}

impl<A: Copy, const N: usize> BuiltRoots<A> for [(SpaceId, A); N] {
    fn root_of(&self, space: SpaceId) -> Option<A> {
        self.as_slice().root_of(space)
    }
}

#[cfg(feature = "alloc")]
impl<A: Copy> BuiltRoots<A> for alloc::vec::Vec<(SpaceId, A)> {
    fn root_of(&self, space: SpaceId) -> Option<A> {
        self.as_slice().root_of(space)
    }
}

#[cfg(feature = "alloc")]
impl<A: Copy> BuiltRoots<A> for alloc::collections::BTreeMap<SpaceId, A> {
    fn root_of(&self, space: SpaceId) -> Option<A> {
        self.get(&space).copied()
    }
}
