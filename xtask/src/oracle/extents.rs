//! A function from addresses to addresses, as few ranges: neighbours that move alike are one.

use std::collections::BTreeMap;

/// Ranges by their first address: where they end, and where they are moved to.
#[derive(Debug, Default)]
pub(super) struct Extents {
    ranges: BTreeMap<u64, (u64, u64)>,
}

/// A range that is moved, or part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) bytes: u64,
}

impl Extents {
    /// Adds a range. If part of it was moved elsewhere before, that part is returned and nothing is added.
    pub(super) fn add(&mut self, Moved { from, to, bytes }: Moved) -> Result<(), Moved> {
        let distance = to.wrapping_sub(from);
        let (mut first, mut end) = (from, from + bytes);
        // Ranges do not overlap, so they end in the order in which they begin. One that only touches counts if it is
        // moved alike.
        let near = self.ranges.range(..=end).rev().take_while(|&(_, &(range_end, _))| range_end >= from);
        let mut alike = Vec::new();
        for (&start, &(range_end, target)) in near {
            if target.wrapping_sub(start) == distance {
                (first, end) = (first.min(start), end.max(range_end));
                alike.push(start);
            } else if start < from + bytes && range_end > from {
                let at = start.max(from);
                let bytes = range_end.min(from + bytes) - at;
                return Err(Moved { from: at, to: target + (at - start), bytes });
            }
        }
        for start in alike {
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, (end, first.wrapping_add(distance)));
        Ok(())
    }

    /// Whether all of it is moved in this way already.
    pub(super) fn has(&self, Moved { from, to, bytes }: Moved) -> bool {
        let range = self.ranges.range(..=from).next_back();
        range.is_some_and(|(start, &(end, target))| from + bytes <= end && target + (from - start) == to)
    }

    /// What is moved of the range from `first` to before `end`, in ascending order.
    pub(super) fn within(&self, first: u64, end: u64) -> impl Iterator<Item = Moved> {
        let before = self.ranges.range(..first).next_back();
        before.into_iter().chain(self.ranges.range(first..end)).filter_map(
            move |(&start, &(range_end, target))| {
                let (from, end) = (start.max(first), range_end.min(end));
                (from < end).then(|| Moved { from, to: target + (from - start), bytes: end - from })
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(from: u64, to: u64, bytes: u64) -> Moved {
        Moved { from, to, bytes }
    }

    #[test]
    fn it_is_a_plain_map_in_fewer_words() {
        // Every order of adding overlapping and touching ranges, against a map of single addresses.
        let all = [
            moved(2, 12, 2),
            moved(4, 14, 1),
            moved(3, 13, 3),
            moved(6, 6, 2),
            moved(4, 5, 2),
            moved(0, 10, 9),
        ];
        for order in 0..6_u32.pow(6) {
            let (mut extents, mut plain) = (Extents::default(), BTreeMap::new());
            for step in 0..6 {
                let range = all[(order / 6_u32.pow(step) % 6) as usize];
                let places: Vec<_> = (0..range.bytes).map(|at| (range.from + at, range.to + at)).collect();
                let fits = places.iter().all(|(from, to)| plain.get(from).is_none_or(|known| known == to));
                let had = places.iter().all(|(from, to)| plain.get(from) == Some(to));
                assert_eq!(extents.has(range), had, "{order}");
                assert_eq!(extents.add(range).is_ok(), fits, "{order}");
                if fits {
                    plain.extend(places);
                }
            }
            for (first, end) in [(0, 20), (3, 5), (5, 5), (7, 20)] {
                let parts = extents.within(first, end);
                let parts =
                    parts.flat_map(|part| (0..part.bytes).map(move |at| (part.from + at, part.to + at)));
                assert!(parts.eq(plain.range(first..end).map(|(&from, &to)| (from, to))), "{order}");
            }
        }
    }

    #[test]
    fn neighbours_become_one_and_conflicts_are_named() {
        let mut extents = Extents::default();
        for range in
            [moved(0x1000, 0x5000, 0x1000), moved(0x3000, 0x7000, 0x1000), moved(0x2000, 0x6000, 0x1000)]
        {
            extents.add(range).expect("no conflict");
        }
        assert_eq!(extents.within(0, u64::MAX).collect::<Vec<_>>(), [moved(0x1000, 0x5000, 0x3000)]);
        assert_eq!(extents.add(moved(0x3800, 0x3800, 0x1000)), Err(moved(0x3800, 0x7800, 0x800)));
        assert_eq!(extents.add(moved(0x4000, 0x4000, 0x1000)), Ok(()));
        assert_eq!(extents.within(0, u64::MAX).count(), 2);
    }
}
