//! Ranges of physical memory beside one another.

use std::cmp::Reverse;

/// Frames that went somewhere together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Went {
    /// The first old address.
    pub first: u64,
    /// The last old address.
    pub last: u64,
    /// The first new address; none where they were dropped.
    pub to: Option<u64>,
}

/// Of ranges (first address, where it goes, bytes): those parts of which something goes elsewhere, too. Two ranges are
/// disjoint or one lies in the other, as pages do.
pub(super) fn disagreements(ranges: impl Iterator<Item = (u64, u64, u64)>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_by_key(|&(from, to, len)| (from, Reverse(len), to));
    let mut disagreements = Vec::new();
    // The largest range around those that come next.
    let mut around: Option<(u64, u64, u64)> = None;
    for (from, to, len) in ranges {
        match around.filter(|&(first, _, bytes)| from - first < bytes) {
            Some((first, there, _)) if there.wrapping_add(from - first) != to => {
                disagreements.push((from, from + (len - 1)));
            }
            Some(_) => {}
            None => around = Some((from, to, len)),
        }
    }
    disagreements
}

/// The ranges (first and last address) ascending, those that touch as one.
pub fn union(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut union: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match union.last_mut() {
            Some(open) if first <= open.1 + 1 => open.1 = open.1.max(last),
            _ => union.push((first, last)),
        }
    }
    union
}

/// Whether any of so many bytes is in one of the ranges that [`union`] made, and whether all are.
pub fn overlap(ranges: &[(u64, u64)], first: u64, len: u64) -> (bool, bool) {
    let last = first + (len - 1);
    let any = ranges.iter().any(|range| range.0 <= last && first <= range.1);
    let all = ranges.iter().any(|range| range.0 <= first && last <= range.1);
    (any, all)
}
