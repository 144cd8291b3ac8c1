//! Where frames went: the full map from old to new.

use alloc::vec::Vec;

/// Frames that follow one another before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first old physical address.
    pub first: u64,
    /// The last old physical address.
    pub last: u64,
    /// The first new physical address; none for frames that were dropped.
    pub to: Option<u64>,
    /// Whether they share their new frames with others, so that no page that maps them can be writable.
    pub shared: bool,
}

impl Stretch {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// The last new physical address.
    pub fn to_last(&self) -> Option<u64> {
        self.to.map(|to| to.saturating_add(self.last.saturating_sub(self.first)))
    }

    /// Whether `next` goes on where this ends.
    fn goes_on(&self, next: &Self) -> bool {
        let follows = match (self.to_last(), next.to) {
            (Some(last), Some(to)) => last.checked_add(1) == Some(to),
            (None, None) => true,
            _ => false,
        };
        follows && self.last.checked_add(1) == Some(next.first) && self.shared == next.shared
    }
}

/// A stretch that cannot be in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stretch {first:#x}..={last:#x} ends before it starts or past the last address, or begins in another one"
)]
pub struct BadStretch {
    /// Its first old address.
    pub first: u64,
    /// Its last old address.
    pub last: u64,
}

/// What became of a range of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// They follow one another from there on.
    Whole { to: u64, shared: bool },
    /// All of them were dropped.
    Dropped,
    /// They did not stay together.
    Torn,
}

/// The map from old frames to new ones: everything that a page of the old spaces maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameMap {
    /// Ascending and disjoint by old address.
    stretches: Vec<Stretch>,
}

impl FrameMap {
    /// Takes stretches that are disjoint.
    pub(crate) fn new(mut stretches: Vec<Stretch>) -> Self {
        stretches.sort_by_key(|stretch| stretch.first);
        stretches.dedup_by(|next, stretch| {
            let one = stretch.goes_on(next);
            if one {
                stretch.last = next.last;
            }
            one
        });
        Self { stretches }
    }

    /// A map of these stretches, in any order: for a proof of what was rebuilt elsewhere.
    ///
    /// ```
    /// use pt_rebuild::{FrameMap, Stretch};
    ///
    /// let stretch = Stretch { first: 0x5000, last: 0x6fff, to: Some(0), shared: false };
    /// assert_eq!(FrameMap::of([stretch])?.get(0x6004), Some(0x1004));
    /// assert!(FrameMap::of([stretch, stretch]).is_err());
    /// # Ok::<(), pt_rebuild::BadStretch>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BadStretch`]: one ends before it starts or past the last address, or two overlap.
    pub fn of(stretches: impl IntoIterator<Item = Stretch>) -> Result<Self, BadStretch> {
        let mut stretches: Vec<Stretch> = stretches.into_iter().collect();
        stretches.sort_by_key(|stretch| stretch.first);
        let mut next = Some(0);
        for &Stretch { first, last, to, .. } in &stretches {
            let len = last.checked_sub(first).filter(|_| next.is_some_and(|next| next <= first));
            let fits = len.is_some_and(|len| to.is_none_or(|to| to.checked_add(len).is_some()));
            if !fits {
                return Err(BadStretch { first, last });
            }
            next = last.checked_add(1);
        }
        Ok(Self::new(stretches))
    }

    /// All stretches, ascending by old address.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Where the byte at an old address is; none where no page mapped it, or it was dropped.
    pub fn get(&self, old: u64) -> Option<u64> {
        let stretch = self.at(old)?;
        Some(stretch.to? + (old - stretch.first))
    }

    /// Whether a page mapped the byte at an old address, and it was dropped.
    pub fn drops(&self, old: u64) -> bool {
        self.at(old).is_some_and(|stretch| stretch.to.is_none())
    }

    /// The last old address of the stretch that has `old`.
    pub(crate) fn end_of(&self, old: u64) -> Option<u64> {
        self.at(old).map(|stretch| stretch.last)
    }

    fn at(&self, old: u64) -> Option<&Stretch> {
        let after = self.stretches.partition_point(|stretch| stretch.first <= old);
        self.stretches.get(after.checked_sub(1)?).filter(|stretch| stretch.last >= old)
    }

    /// What became of the page `first..=last`: it is torn, too, where it moves by less than its size. `hint` is the place of the last answer, where the next is likely to be.
    pub(crate) fn span(&self, first: u64, last: u64, hint: &mut usize) -> Span {
        let hit = |stretch: &Stretch| stretch.first <= first && first <= stretch.last;
        let index = if self.stretches.get(*hint).is_some_and(hit) {
            *hint
        } else {
            let after = self.stretches.partition_point(|stretch| stretch.first <= first);
            after.saturating_sub(1)
        };
        *hint = index;
        match self.stretches.get(index) {
            Some(stretch) if hit(stretch) && last <= stretch.last => match stretch.to {
                Some(to) => {
                    let (to, within) = (to + (first - stretch.first), last - first);
                    // A page is aligned to its size, before and after.
                    let whole = to & within == 0;
                    if whole { Span::Whole { to, shared: stretch.shared } } else { Span::Torn }
                }
                None => Span::Dropped,
            },
            _ => Span::Torn,
        }
    }
}
