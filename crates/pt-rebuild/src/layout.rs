//! From what a placement puts to a map, and whether anything would be in the way of anything.

use alloc::vec::Vec;

use pt_core::TableRequest;

use crate::frames::{FrameMap, Stretch};
use crate::{Extent, Place, Placement, PlanError};

/// Addresses of the new memory that something is to use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Vec<(u64, u64)>);

impl Claims {
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        self.0.push((first, last));
    }

    pub(crate) fn add_table(&mut self, address: u64, request: &TableRequest) {
        self.add(address, address.saturating_add(request.bytes - 1));
    }

    /// Whether no two overlap.
    pub(crate) fn check(&mut self) -> Result<(), PlanError> {
        self.0.sort_unstable();
        match self.0.windows(2).find(|pair| pair[1].0 <= pair[0].1) {
            Some(pair) => Err(PlanError::Collision { first: pair[1].0, last: pair[1].1.min(pair[0].1) }),
            None => Ok(()),
        }
    }

    /// Whether one of the claims, sorted by a check, has a part of this range.
    fn overlap(&self, first: u64, last: u64) -> bool {
        let after = self.0.partition_point(|claim| claim.0 <= last);
        after.checked_sub(1).is_some_and(|index| self.0[index].1 >= first)
    }

    /// Whether one of the claims, sorted by a check, has this range whole.
    fn contains(&self, first: u64, last: u64) -> bool {
        let after = self.0.partition_point(|claim| claim.0 <= first);
        after.checked_sub(1).is_some_and(|index| self.0[index].1 >= last)
    }
}

/// The map that a placement makes of extents, and what it uses of the new memory.
pub(crate) fn frame_map(
    extents: &[Extent],
    placement: &mut impl Placement,
) -> Result<(FrameMap, Claims), PlanError> {
    let mut put = Vec::new();
    placement.place(extents, &mut |range, place| put.push((*range.start(), *range.end(), place)))?;
    put.sort_unstable_by_key(|&(first, ..)| first);
    let mut extents: Vec<&Extent> = extents.iter().collect();
    extents.sort_unstable_by_key(|extent| extent.first);

    let mut layout = Layout::default();
    let mut put = put.into_iter().peekable();
    for extent in extents {
        // What is put within this extent, and what lies between.
        let mut at = Some(extent.first);
        while let Some((first, last, place)) = put.next_if(|&(first, ..)| first <= extent.last) {
            let misplaced = PlanError::Misplaced { first, last };
            let from = at.filter(|&at| at <= first).ok_or(misplaced)?;
            if from < first {
                layout.add(extent, Stretch { first: from, last: first - 1, to: Some(from), shared: false });
            }
            layout.add(extent, stretch(extent, first, last, place).ok_or(misplaced)?);
            at = last.checked_add(1);
        }
        if let Some(first) = at.filter(|&at| at <= extent.last) {
            layout.add(extent, Stretch { first, last: extent.last, to: Some(first), shared: false });
        }
    }
    match put.next() {
        Some((first, last, _)) => Err(PlanError::Misplaced { first, last }),
        None => layout.finish(),
    }
}

/// What was put so far.
#[derive(Default)]
struct Layout {
    stretches: Vec<Stretch>,
    /// What frames are brought to.
    claims: Claims,
    /// Of these, where tables live.
    tables: Claims,
}

impl Layout {
    fn add(&mut self, extent: &Extent, stretch: Stretch) {
        if let (Some(first), Some(last)) = (stretch.to, stretch.to_last()) {
            if !stretch.shared {
                self.claims.add(first, last);
            }
            if extent.tables {
                self.tables.add(first, last);
            }
        }
        self.stretches.push(stretch);
    }

    fn finish(mut self) -> Result<(FrameMap, Claims), PlanError> {
        self.claims.check()?;
        // Shared frames are where some frame is brought to. A table that others took for data, or for another table, would
        // not be the one that it was.
        let tables = self.tables.check();
        let shared = self.stretches.iter().filter(|stretch| stretch.shared);
        for &Stretch { first, last, to, .. } in shared.clone() {
            let misplaced = PlanError::Misplaced { first, last };
            let (to, to_last) = to.map(|to| (to, to + (last - first))).ok_or(misplaced)?;
            if tables.is_err() || !self.claims.contains(to, to_last) || self.tables.overlap(to, to_last) {
                return Err(misplaced);
            }
        }
        let shared = joined(shared.filter_map(|stretch| stretch.to.zip(stretch.to_last())).collect());
        Ok((FrameMap::new(mark_shared(self.stretches, &shared)), self.claims))
    }
}

/// The stretch of one put, if it can be.
fn stretch(extent: &Extent, first: u64, last: u64, place: Place) -> Option<Stretch> {
    let mask = extent.grain - 1;
    let whole = (first == extent.first || first & mask == 0) && (last == extent.last || last & mask == mask);
    (first <= last && last <= extent.last && whole).then_some(())?;
    let to = match place {
        Place::Keep => Some(first),
        Place::Move(to) | Place::Share(to) => Some(to),
        Place::Drop => None,
    };
    if let Some(to) = to {
        (to & mask == first & mask && to.checked_add(last - first)? <= extent.highest).then_some(())?;
    }
    Some(Stretch { first, last, to, shared: matches!(place, Place::Share(_)) })
}

/// Ranges, ascending and disjoint.
fn joined(mut joined: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    joined.sort_unstable();
    joined.dedup_by(|next, range| {
        let one = next.0 <= range.1;
        if one {
            range.1 = range.1.max(next.1);
        }
        one
    });
    joined
}

/// Marks the frames whose new place others share, too.
fn mark_shared(stretches: Vec<Stretch>, shared: &[(u64, u64)]) -> Vec<Stretch> {
    let mut marked = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        let (Some(to), Some(to_last), false) = (stretch.to, stretch.to_last(), stretch.shared) else {
            marked.push(stretch);
            continue;
        };
        let mut add = |from: u64, last: u64, shared: bool| {
            let first = stretch.first + (from - to);
            marked.push(Stretch { first, last: first + (last - from), to: Some(from), shared });
        };
        // The first new address that is not in the list yet.
        let mut at = Some(to);
        let after = shared.partition_point(|&(_, last)| last < to);
        for &(first, last) in shared[after..].iter().take_while(|(first, _)| *first <= to_last) {
            let (first, last) = (first.max(to), last.min(to_last));
            if let Some(at) = at.filter(|&at| at < first) {
                add(at, first - 1, false);
            }
            add(first, last, true);
            at = last.checked_add(1);
        }
        if let Some(at) = at.filter(|&at| at <= to_last) {
            add(at, to_last, false);
        }
    }
    marked
}
