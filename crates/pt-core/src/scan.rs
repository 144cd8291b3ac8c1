//! Straight loops over the bytes of one table: the next entry that is not zero, and the length of a run.
//!
//! Entries are read little-endian from byte arrays of their width, which compiles to plain loads; the loops over
//! blocks have no branches inside and vectorise at the baseline of every target.

use crate::{Entry, Format, Geometry, Level};

/// How many entries a block has.
const BLOCK: usize = 16;

/// The bytes of a table, as entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a>(pub(crate) &'a [u8]);

/// An entry's width, so that the loops exist once and compile for each.
trait Word: Copy {
    fn widen(self) -> u64;
    fn narrow(raw: u64) -> Self;
    fn is_zero(self) -> bool;
    /// The bits in which the two differ, of those in `kept`, gathered into `into`.
    fn gather(self, wanted: Self, kept: Self, into: Self) -> Self;
    fn add(self, step: Self) -> Self;
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            #[inline(always)]
            fn widen(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn narrow(raw: u64) -> Self {
                raw as $word
            }
            #[inline(always)]
            fn is_zero(self) -> bool {
                self == 0
            }
            #[inline(always)]
            fn gather(self, wanted: Self, kept: Self, into: Self) -> Self {
                into | ((self ^ wanted) & kept)
            }
            #[inline(always)]
            fn add(self, step: Self) -> Self {
                self.wrapping_add(step)
            }
        }
    };
}
word!(u32);
word!(u64);

/// Calls `$body` with `$words` bound to a function from an index range's array to words.
macro_rules! with_width {
    ($format:ident, $bytes:expr, |$words:ident, $load:ident| $body:expr) => {
        if $format::ENTRY_BYTES == 4 {
            let $words = $bytes.as_chunks::<4>().0;
            let $load = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
            $body
        } else {
            let $words = $bytes.as_chunks::<8>().0;
            let $load = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
            $body
        }
    };
}

impl Entries<'_> {
    /// The raw entry at `index`, widened; 0 past the end.
    #[inline(always)]
    pub(crate) fn raw<F: Format>(self, index: usize) -> u64 {
        with_width!(F, self.0, |words, load| words.get(index).map_or(0, |bytes| load(bytes).widen()))
    }

    /// How many entries there are.
    #[inline(always)]
    pub(crate) fn count<F: Format>(self) -> usize {
        self.0.len() / F::ENTRY_BYTES
    }

    /// The first index from `from` on whose entry is not zero; the count where there is none.
    #[inline(always)]
    pub(crate) fn next_used<F: Format>(self, from: usize) -> usize {
        with_width!(F, self.0, |words, load| next_used(words, from, load))
    }

    /// Which of the 64 entries from `first` on are not zero: bit 0 is the first of them.
    #[inline(always)]
    pub(crate) fn used<F: Format>(self, first: usize) -> u64 {
        with_width!(F, self.0, |words, load| {
            let words = words.get(first..).unwrap_or_default();
            used(&words[..words.len().min(64)], load)
        })
    }

    /// As [`next_used`](Self::next_used), with that entry. It is called, not inlined: for loops that come here seldom.
    #[inline(never)]
    pub(crate) fn next_used_called<F: Format>(self, from: usize) -> (usize, u64) {
        let at = self.next_used::<F>(from);
        (at, self.raw::<F>(at))
    }

    /// As [`run`](Self::run), called as well.
    #[inline(never)]
    pub(crate) fn run_called<F: Format>(
        self,
        format: &F,
        level: Level,
        first: usize,
        page: u64,
        ignored: u64,
    ) -> usize {
        self.run(format, level, first, page, ignored)
    }

    /// `len` entries from `first` on; none where there are not so many.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) fn part<F: Format>(self, first: usize, len: usize) -> Self {
        let bytes = F::ENTRY_BYTES;
        Self(self.0.get(first * bytes..(first + len) * bytes).unwrap_or_default())
    }

    /// How many entries from `first` on are leaves, without a gap.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) fn leaves<F: Format>(self, format: &F, level: Level, first: usize) -> usize {
        let is_leaf = |raw| matches!(format.decode(level, raw), Entry::Leaf(_));
        with_width!(F, self.0, |words, load| {
            leading(words.get(first..).unwrap_or_default(), |word| is_leaf(load(word).widen()))
        })
    }

    /// Appends what `make` makes of each raw entry and its index.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) fn extend<F: Format, T>(
        self,
        into: &mut alloc::vec::Vec<T>,
        mut make: impl FnMut(usize, u64) -> T,
    ) {
        // A slice's iterator says its length in a way that `extend` believes: nothing is checked for each item.
        with_width!(F, self.0, |words, load| {
            into.extend(words.iter().enumerate().map(move |(index, word)| make(index, load(word).widen())));
        });
    }

    /// How many entries from `first` on form one run with it: contiguous pages, all other bits equal but `ignored`.
    #[inline(always)]
    pub(crate) fn run<F: Format>(
        self,
        format: &F,
        level: Level,
        first: usize,
        page: u64,
        ignored: u64,
    ) -> usize {
        let (size, count) = (F::entry_span(level), self.count::<F>());
        // Where memory is scattered runs end at once, and this is all that it costs.
        if !is_behind(format, level, page, self.raw::<F>(first + 1)) {
            return 1;
        }
        let (mut length, mut raw) = (0, self.raw::<F>(first));
        loop {
            // Adding the page size to the raw value is right as long as the address field does not carry.
            let most =
                (count - first - length).min(usize::try_from(format.contiguous(level, raw)).unwrap_or(count));
            let equal = with_width!(F, self.0, |words, load| {
                equal_steps(&words[first + length..first + length + most], load, raw, size, !ignored)
            });
            length += equal;
            if equal < most || first + length == count {
                return length;
            }
            // It ended there: whether the run goes on is for the format to say.
            let next = self.raw::<F>(first + length);
            let Some(address) = page.checked_add(length as u64 * size) else { return length };
            let same_page = format.decode(level, next) == Entry::Leaf(address);
            match format.relocate(level, raw, address) {
                Some(wanted) if same_page && (wanted ^ next) & !ignored == 0 => raw = next,
                _ => return length,
            }
        }
    }
}

/// Whether `raw` is the page that comes behind `page`, whatever its attributes.
#[inline(always)]
pub(crate) fn is_behind<F: Format>(format: &F, level: Level, page: u64, raw: u64) -> bool {
    format.decode(level, raw) == Entry::Leaf(page.wrapping_add(F::entry_span(level)))
}

#[inline(always)]
fn next_used<B, W: Word>(words: &[B], from: usize, load: impl Fn(&B) -> W) -> usize {
    let mut at = from;
    // Where tables are full it is the very first.
    if words.get(at).is_some_and(|word| !load(word).is_zero()) {
        return at;
    }
    while let Some(block) = words.get(at..at + BLOCK) {
        if !block
            .iter()
            .fold(W::narrow(0), |all, word| load(word).gather(W::narrow(0), W::narrow(!0), all))
            .is_zero()
        {
            break;
        }
        at += BLOCK;
    }
    while at < words.len() && load(&words[at]).is_zero() {
        at += 1;
    }
    at
}

/// How many of `words`, from the first on, are as asked for.
#[cfg(feature = "alloc")]
#[inline(always)]
fn leading<B>(words: &[B], is: impl Fn(&B) -> bool) -> usize {
    let mut at = 0;
    // Without a branch for each, a block is looked at as a whole.
    while let Some(block) = words.get(at..at + BLOCK)
        && block.iter().fold(true, |all, word| all & is(word))
    {
        at += BLOCK;
    }
    while words.get(at).is_some_and(&is) {
        at += 1;
    }
    at
}

#[inline(always)]
fn used<B, W: Word>(words: &[B], load: impl Fn(&B) -> W) -> u64 {
    let mut used = 0;
    let (blocks, rest) = words.as_chunks::<8>();
    for (index, block) in blocks.iter().enumerate() {
        let bit = |at: usize| u64::from(!load(&block[at]).is_zero()) << at;
        let bits = (bit(0) | bit(1)) | (bit(2) | bit(3)) | ((bit(4) | bit(5)) | (bit(6) | bit(7)));
        used |= bits << (index * 8);
    }
    for (index, word) in rest.iter().enumerate() {
        used |= u64::from(!load(word).is_zero()) << (blocks.len() * 8 + index);
    }
    used
}

/// How many of `words` equal `raw`, `raw + step`, `raw + 2 × step` and so on, looking at the bits in `kept` only.
///
/// Four are compared one by one first: where memory is scattered, runs end at once, and a block would be wasted.
#[inline(always)]
fn equal_steps<B, W: Word>(words: &[B], load: impl Fn(&B) -> W, raw: u64, step: u64, kept: u64) -> usize {
    let (step, kept) = (W::narrow(step), W::narrow(kept));
    let mut wanted = W::narrow(raw);
    let mut at = 0;
    let single = |at: usize, wanted: W| load(&words[at]).gather(wanted, kept, W::narrow(0)).is_zero();
    while at < words.len().min(4) {
        if !single(at, wanted) {
            return at;
        }
        at += 1;
        wanted = wanted.add(step);
    }
    while let Some(block) = words.get(at..at + BLOCK) {
        let mut differences = W::narrow(0);
        let mut expected = wanted;
        for word in block {
            differences = load(word).gather(expected, kept, differences);
            expected = expected.add(step);
        }
        if !differences.is_zero() {
            break;
        }
        wanted = expected;
        at += BLOCK;
    }
    while at < words.len() && single(at, wanted) {
        at += 1;
        wanted = wanted.add(step);
    }
    at
}
