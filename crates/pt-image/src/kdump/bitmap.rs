//! Which pages a dump knows of, and which it holds: one bit each, with the number of held pages before any of them.

use std::ops::Range;

/// Bits of a block whose sum is kept: what [`Bits::rank`] counts by itself is shorter.
const BLOCK_WORDS: usize = 64;

/// One bit per page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: u64,
    /// How many bits are set before each block.
    sums: Vec<u64>,
}

impl Bits {
    /// The first `len` bits of `bytes`, lowest bit first. Bits that `bytes` lacks are clear.
    pub(crate) fn new(bytes: &[u8], len: u64) -> Self {
        let bytes = &bytes[..bytes.len().min(len.div_ceil(8) as usize)];
        let mut words: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
            .collect();
        if let Some(last) = words.get_mut((len / 64) as usize) {
            *last &= (1 << (len % 64)) - 1;
        }
        Self::from_words(words, len)
    }

    /// The same bits, but for those outside the ranges, which are clear. The ranges ascend.
    pub(crate) fn only(&self, ranges: impl Iterator<Item = Range<u64>>) -> Self {
        let mut words = self.words.clone();
        let mut end = 0;
        for range in ranges.chain(std::iter::once(self.len..self.len)) {
            clear(&mut words, end..range.start);
            end = range.end;
        }
        Self::from_words(words, self.len)
    }

    fn from_words(words: Vec<u64>, len: u64) -> Self {
        let mut sum = 0;
        let sums = words.chunks(BLOCK_WORDS).map(|block| {
            let before = sum;
            sum += ones(block);
            before
        });
        Self { sums: sums.collect(), words, len }
    }

    pub(crate) fn get(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.words.get(word));
        word.is_some_and(|word| word >> (index % 64) & 1 != 0)
    }

    /// How many bits are set below `index`.
    pub(crate) fn rank(&self, index: u64) -> u64 {
        let word = ((index / 64) as usize).min(self.words.len());
        let block = word / BLOCK_WORDS;
        let Some(&before) = self.sums.get(block) else {
            return self
                .sums
                .last()
                .map_or(0, |&sum| sum + ones(&self.words[(self.sums.len() - 1) * BLOCK_WORDS..]));
        };
        let within = self.words.get(word).map_or(0, |word| word & ((1 << (index % 64)) - 1));
        before + ones(&self.words[block * BLOCK_WORDS..word]) + u64::from(within.count_ones())
    }

    /// The first index from `from` on whose bit is `value`; the length if there is none.
    pub(crate) fn next(&self, from: u64, value: bool) -> u64 {
        let wanted = |word: u64| if value { word } else { !word };
        let mut index = (from / 64) as usize;
        let mut mask = u64::MAX << (from % 64);
        while let Some(&word) = self.words.get(index) {
            let found = wanted(word) & mask;
            if found != 0 {
                return (index as u64 * 64 + u64::from(found.trailing_zeros())).min(self.len);
            }
            (index, mask) = (index + 1, u64::MAX);
        }
        if value { self.len } else { from.max(self.words.len() as u64 * 64).min(self.len) }
    }
}

fn clear(words: &mut [u64], range: Range<u64>) {
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min((at / 64 + 1) * 64);
        if let Some(word) = words.get_mut((at / 64) as usize) {
            *word &= !(u64::MAX >> (64 - (end - at)) << (at % 64));
        }
        at = end;
    }
}

fn ones(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// A run of pages that the guest has: the first `held` of them are in the dump, the others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) held: u64,
}

/// The run at or after page `from`. Both bitmaps have the same length; a page that is held exists.
pub(crate) fn run(exists: &Bits, held: &Bits, from: u64) -> Option<Run> {
    let start = exists.next(from, true).min(held.next(from, true));
    if start >= exists.len {
        return None;
    }
    let held_end = held.next(start, false);
    let mut end = held_end;
    // What follows without being held, up to a page that is held or none.
    if exists.get(held_end) {
        end = exists.next(held_end, false).min(held.next(held_end, true));
    }
    Some(Run { start, len: end - start, held: held_end - start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn agrees_with_a_list_of_bits(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..1200),
            short in 0_u64..40,
            probes in prop::collection::vec(0_u64..10_000, 16),
        ) {
            let len = (bytes.len() as u64 * 8 + 20).saturating_sub(short);
            let model: Vec<bool> = (0..len)
                .map(|at| bytes.get((at / 8) as usize).is_some_and(|byte| byte >> (at % 8) & 1 != 0))
                .collect();
            let bits = Bits::new(&bytes, len);
            for at in probes {
                prop_assert_eq!(bits.get(at), model.get(at as usize).copied().unwrap_or(false));
                let before = model.iter().take(at as usize).filter(|&&bit| bit).count();
                prop_assert_eq!(bits.rank(at), before as u64);
                for value in [true, false] {
                    let expected = (at..len).find(|&at| model[at as usize] == value).unwrap_or(len);
                    prop_assert_eq!(bits.next(at, value), expected);
                }
            }
        }
    }
}
