//! Deduplication: frames with equal bytes become one.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use core::ops::RangeInclusive;

use hashbrown::{DefaultHashBuilder, HashMap};
use pt_core::Memory;

use super::{Compact, NoRoom, Place, Placement};
use crate::{Arena, Extent};

/// How many frames of one hash are compared with a new one. Chance makes no second, and a guest that makes many gains
/// nothing but frames that stay apart.
const CANDIDATES: usize = 4;

/// Compacts, and merges frames with equal bytes: those full of zeros become one, as any others do. Pages that map merged
/// frames become read-only, and large ones are split where a part of theirs is merged.
///
/// Tables that live in frames are never merged.
#[derive(Debug)]
pub struct Dedup<'a, M: ?Sized> {
    compact: Compact<'a>,
    memory: &'a M,
    piece: u64,
}

impl<'a, M: Memory + ?Sized> Dedup<'a, M> {
    /// Moves what lies in `held`, whose bytes are in `memory`, to what is free in `arena`, and merges frames of `piece`
    /// bytes: the smallest page's, a power of two. (What is less than 32 bytes or more than 1 GiB is taken as that.)
    pub fn new(
        arena: &'a mut Arena,
        held: impl IntoIterator<Item = RangeInclusive<u64>>,
        memory: &'a M,
        piece: u64,
    ) -> Self {
        let piece = piece.clamp(32, 1 << 30).next_power_of_two();
        Self { compact: Compact::new(arena, held), memory, piece }
    }

    /// Per piece of `parts`, in their order: the first equal one before it.
    fn equals(&self, parts: &[Extent], hasher: &impl BuildHasher) -> HashMap<u64, u64> {
        let mut known: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut equals = HashMap::new();
        let (mut bytes, mut other) = (vec![0; self.piece as usize], vec![0; self.piece as usize]);
        for part in parts.iter().filter(|part| !part.tables) {
            for at in (part.first..=part.last).step_by(self.piece as usize) {
                if self.memory.read(at, &mut bytes).is_err() {
                    continue;
                }
                let mut hash = hasher.build_hasher();
                hash.write(&bytes);
                let candidates = known.entry(hash.finish()).or_default();
                let equal = candidates.iter().copied().find(|&candidate| {
                    self.memory.read(candidate, &mut other).is_ok_and(|()| other == bytes)
                });
                match equal {
                    Some(first) => {
                        equals.insert(at, first);
                    }
                    None if candidates.len() < CANDIDATES => candidates.push(at),
                    None => {}
                }
            }
        }
        equals
    }
}

impl<M: Memory + ?Sized> Placement for Dedup<'_, M> {
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        let parts = self.compact.parts(extents);
        let equals = self.equals(&parts, &DefaultHashBuilder::default());
        let mut moved = Moved::default();
        for part in &parts {
            // A page's block stays whole unless a piece of it is merged.
            let mut at = part.first;
            while at <= part.last {
                let last = part.last.min(at | (part.page - 1));
                let block = Extent { first: at, last, ..*part };
                let merged = |piece| equals.contains_key(&piece);
                if (at..=last).step_by(self.piece as usize).any(merged) {
                    for first in (at..=last).step_by(self.piece as usize) {
                        let piece = Extent { first, last: first + (self.piece - 1), ..block };
                        match equals.get(&first).and_then(|equal| moved.to(*equal)) {
                            Some(to) => put(piece.first..=piece.last, Place::Share(to)),
                            None => self.compact.put(&piece, self.piece, &mut |range, place| {
                                moved.note(range, place, put);
                            })?,
                        }
                    }
                } else {
                    let grain = if block.bytes() == part.page { part.page } else { self.piece };
                    self.compact.put(&block, grain, &mut |range, place| moved.note(range, place, put))?;
                }
                let Some(next) = last.checked_add(1) else { break };
                at = next;
            }
        }
        Ok(())
    }

    fn pieces(&self) -> Option<u64> {
        Some(self.piece)
    }
}

/// What was moved so far, by old address.
#[derive(Default)]
struct Moved(alloc::collections::BTreeMap<u64, (u64, u64)>);

impl Moved {
    fn note(
        &mut self,
        range: RangeInclusive<u64>,
        place: Place,
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) {
        if let Place::Move(to) = place {
            self.0.insert(*range.start(), (*range.end(), to));
        }
        put(range, place);
    }

    fn to(&self, old: u64) -> Option<u64> {
        let (&first, &(last, to)) = self.0.range(..=old).next_back()?;
        (old <= last).then(|| to + (old - first))
    }
}

#[cfg(test)]
mod tests {
    use core::hash::BuildHasherDefault;

    use super::*;

    /// Tells nothing apart.
    #[derive(Default)]
    struct Blind;

    impl Hasher for Blind {
        fn write(&mut self, _: &[u8]) {}
        fn finish(&self) -> u64 {
            0
        }
    }

    #[test]
    fn of_one_hash_four_frames_are_merged_with_and_no_fifth() {
        let memory: Vec<u8> = [1, 2, 3, 4, 5, 1, 4, 5].iter().flat_map(|&byte| [byte; 32]).collect();
        let part = Extent { first: 0, last: 255, grain: 32, page: 32, highest: u64::MAX, tables: false };
        let mut arena = Arena::default();
        let dedup = Dedup::new(&mut arena, [0..=255], &memory, 32);
        let equals = dedup.equals(&[part], &BuildHasherDefault::<Blind>::default());
        assert_eq!(equals, HashMap::from_iter([(5 * 32, 0), (6 * 32, 3 * 32)]));
    }
}
