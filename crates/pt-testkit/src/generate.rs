//! Random page-table graphs: a few frames, linked in every way that hardware would follow.
//!
//! A case is generated as a *plan*, a list of small choices that mean something in every mode, and then laid out in
//! memory. Shrinking works on the plan, so that what is left of a failing case is a handful of entries.
//!
//! Frames are not typed: a frame is a table at whatever levels links lead to it, so that aliases at every level, within
//! and across roots, and self-maps come by themselves. Slots are biased to the ends and the middle of a table, where
//! ranges and the hole cut. A plan whose spaces have too many paths loses its last choices until they are few.

mod entry;
mod layout;
mod mode;
mod range;
mod sized;
#[cfg(test)]
mod tests;

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::naive::{Frames, Mode};

pub(crate) use entry::{compose, hold};
pub(crate) use mode::page_mask;
pub use mode::{Kind, feature_sets, modes};
pub use sized::sized;

/// One graph, and what to walk of it.
#[derive(Clone)]
pub struct Case {
    /// How its entries are read.
    pub mode: Mode,
    /// Its tables.
    pub memory: Frames,
    /// Its roots as CR3 would hold them.
    pub roots: Vec<u64>,
    /// First and last address; the first can be above the last.
    pub range: (u64, u64),
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, memory, roots, range: (first, last) } = self;
        write!(f, "{mode:x?}\n roots {roots:#x?}\n range {first:#x}..={last:#x}{memory:?}")
    }
}

/// Cases of one paging mode with any features.
pub fn cases(kind: Kind) -> impl Strategy<Value = Case> {
    let modes = mode::modes(kind);
    // The first frame is a root more often than others.
    let frame = prop_oneof![3 => any::<u8>(), 1 => Just(0)];
    let entries = vec((frame, entry::slots(), entry::entries()), 1..48);
    (modes, layout::frames(), entries, layout::roots(), range::ranges()).prop_map(
        |(mode, frames, entries, roots, range)| layout::lay_out(mode, &frames, &entries, &roots, &range),
    )
}

/// An index in a table: near its ends or its middle, or anywhere.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Which of the usual places; past them, `anywhere`.
    usual: u8,
    anywhere: u16,
}

impl Slot {
    fn index(self, entries: u64) -> u64 {
        let usual = [0, 1, 2, 3, entries / 2 - 1, entries / 2, entries - 2, entries - 1];
        usual.get(usize::from(self.usual)).map_or(u64::from(self.anywhere), |&index| index) % entries
    }
}
