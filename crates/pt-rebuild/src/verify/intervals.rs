//! A map from addresses to addresses, by stretches.

use alloc::collections::BTreeMap;

/// Disjoint stretches, each with the address that its first byte goes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Intervals(BTreeMap<u64, (u64, u64)>);

impl Intervals {
    /// Adds a stretch. Where one is already, both must agree.
    ///
    /// # Errors
    ///
    /// The first address at which they do not, and where it went before; nothing was added from there on.
    pub(super) fn add(&mut self, first: u64, last: u64, to: u64) -> Result<(), (u64, u64)> {
        let mut at = first;
        loop {
            if let Some((start, end, known)) = self.at(at) {
                let known = known.wrapping_add(at - start);
                if known != to.wrapping_add(at - first) {
                    return Err((at, known));
                }
                at = end;
            } else {
                let next = self.0.range(at..=last).next().map(|(&next, _)| next - 1);
                let end = next.unwrap_or(last);
                self.insert(at, end, to.wrapping_add(at - first));
                at = end;
            }
            if at >= last {
                return Ok(());
            }
            at += 1;
        }
    }

    /// Inserts what is not there yet, as one with the stretch that it goes on from.
    fn insert(&mut self, first: u64, last: u64, to: u64) {
        let before = first.checked_sub(1).and_then(|address| self.at(address));
        match before {
            Some((start, _, known)) if known.wrapping_add(first - start) == to => {
                self.0.insert(start, (last, known));
            }
            _ => {
                self.0.insert(first, (last, to));
            }
        }
    }

    /// The stretch that has an address: first, last, and where the first goes.
    pub(super) fn at(&self, address: u64) -> Option<(u64, u64, u64)> {
        let (&first, &(last, to)) = self.0.range(..=address).next_back()?;
        (last >= address).then_some((first, last, to))
    }

    /// What of the stretches lies in a range, ascending: first, last, and where the first goes.
    pub(super) fn parts(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64, u64)> {
        let from = self.0.range(..=first).next_back().map_or(first, |(&start, _)| start);
        self.0.range(from..=last).filter_map(move |(&start, &(end, to))| {
            let (at, end) = (start.max(first), end.min(last));
            (at <= end).then(|| (at, end, to.wrapping_add(at - start)))
        })
    }

    /// The first address of a range that is in no stretch.
    pub(super) fn first_gap(&self, first: u64, last: u64) -> Option<u64> {
        let mut at = first;
        for (start, end, _) in self.parts(first, last) {
            if start > at {
                break;
            }
            at = end.checked_add(1).filter(|&next| next <= last)?;
        }
        Some(at)
    }

    /// All stretches, ascending: first, last, and where the first goes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.0.iter().map(|(&first, &(last, to))| (first, last, to))
    }

    /// How many addresses there are.
    pub(super) fn bytes(&self) -> u64 {
        self.iter().fold(0, |sum: u64, (first, last, _)| sum.saturating_add(last - first).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn intervals(stretches: &[(u64, u64, u64)]) -> Intervals {
        let mut intervals = Intervals::default();
        for &(first, last, to) in stretches {
            intervals.add(first, last, to).expect("they agree");
        }
        intervals
    }

    #[test]
    fn what_goes_on_where_another_ends_is_one_with_it() {
        let all = |stretches: &[_]| intervals(stretches).iter().collect::<Vec<_>>();
        let first = (0x1000, 0x1fff, 0x5000);
        assert_eq!(all(&[first, (0x2000, 0x2fff, 0x6000)]), [(0x1000, 0x2fff, 0x5000)]);
        // Not where it goes elsewhere, or there is a gap.
        for other in [(0x2000, 0x2fff, 0x7000), (0x2000, 0x2fff, 0x8000), (0x3000, 0x3fff, 0x6000)] {
            assert_eq!(all(&[first, other]), [first, other]);
        }
    }

    #[test]
    fn a_gap_is_found_at_its_first_address() {
        let known = intervals(&[(10, 19, 0), (20, 29, 100), (40, 49, 0), (u64::MAX - 9, u64::MAX, 0)]);
        let cases = [
            (0, 5, Some(0)),
            (5, 12, Some(5)),
            (10, 19, None),
            (12, 29, None),
            (10, 30, Some(30)),
            (15, 49, Some(30)),
            (30, 60, Some(30)),
            (45, 60, Some(50)),
            (u64::MAX - 9, u64::MAX, None),
            (u64::MAX - 10, u64::MAX, Some(u64::MAX - 10)),
        ];
        for (first, last, gap) in cases {
            assert_eq!(known.first_gap(first, last), gap, "{first}..={last}");
        }
    }
}
