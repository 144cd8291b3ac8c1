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
    let mut extents: Vec<&Extent> = extents.iter().collect();
    extents.sort_unstable_by_key(|extent| extent.first);
    put.sort_unstable_by_key(|&(first, ..)| first);

    let mut stretches = Vec::with_capacity(extents.len());
    let mut claims = Claims::default();
    let mut shared = Vec::new();
    let mut put = put.into_iter().peekable();
    for extent in extents {
        let mut at = extent.first;
        // What is put within this extent, and what lies between.
        loop {
            let next = put.next_if(|&(first, ..)| first <= extent.last);
            let kept_to = next.map_or(Some(extent.last), |(first, ..)| first.checked_sub(1));
            if let Some(last) = kept_to.filter(|&last| at <= last) {
                stretches.push(Stretch { first: at, last, to: Some(at), shared: false });
                claims.add(at, last);
            }
            let Some((first, last, place)) = next else { break };
            let misplaced = PlanError::Misplaced { first, last };
            let stretch = stretch(extent, at, first, last, place).ok_or(misplaced)?;
            match (place, stretch.to, stretch.to_last()) {
                (Place::Share(_), Some(to), Some(to_last)) => shared.push((to, to_last, misplaced)),
                (_, Some(to), Some(to_last)) => claims.add(to, to_last),
                _ => {}
            }
            stretches.push(stretch);
            match last.checked_add(1).filter(|&next| next <= extent.last) {
                Some(next) => at = next,
                None if put.peek().is_some_and(|&(first, ..)| first <= extent.last) => {
                    // What comes now was put before.
                    return Err(put
                        .next()
                        .map_or(misplaced, |(first, last, _)| PlanError::Misplaced { first, last }));
                }
                None => break,
            }
        }
    }
    if let Some((first, last, _)) = put.next() {
        return Err(PlanError::Misplaced { first, last });
    }
    claims.check()?;
    if let Some(&(.., misplaced)) = shared.iter().find(|(first, last, _)| !claims.contains(*first, *last)) {
        return Err(misplaced);
    }
    let stretches = mark_shared(stretches, &joined(shared));
    Ok((FrameMap::new(stretches), claims))
}

/// The stretch of one put, if it can be.
fn stretch(extent: &Extent, at: u64, first: u64, last: u64, place: Place) -> Option<Stretch> {
    let mask = extent.grain - 1;
    let whole = (first == extent.first || first & mask == 0) && (last == extent.last || last & mask == mask);
    (at <= first && first <= last && last <= extent.last && whole).then_some(())?;
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

/// Ranges of new addresses that are shared, ascending and disjoint.
fn joined(shared: Vec<(u64, u64, PlanError)>) -> Vec<(u64, u64)> {
    let mut joined: Vec<_> = shared.into_iter().map(|(first, last, _)| (first, last)).collect();
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
