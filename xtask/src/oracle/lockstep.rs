//! One space of a guest and of its rebuilt image, page beside page, as QEMU lists them.
//!
//! `info tlb` says where a page begins, not how large it is: `P` is 2 MiB or 1 GiB in the 64-bit modes. Only a page that begins at a
//! multiple of 1 GiB, with nothing mapped in it by the next line, can be either; the MMU is asked about those.

use std::iter::Peekable;
use std::str::Lines;

use anyhow::{Result, ensure};

use super::frames::{FRAME, Frames};
use super::pages::{Mode, Page};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What may change besides addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Pages may be split and joined.
    pub(super) sizes: bool,
    /// Pages may have become read-only: equal frames were merged.
    pub(super) writable: bool,
}

/// What `info tlb` prints, as pages with their sizes.
pub(super) struct Listing<'a, T> {
    mode: Mode,
    lines: Peekable<Lines<'a>>,
    translate: T,
}

impl<'a, T: FnMut(u64) -> Result<Option<u64>>> Listing<'a, T> {
    /// Of the space in which `translate` says where a virtual address is.
    pub(super) fn new(mode: Mode, printed: &'a str, translate: T) -> Self {
        Self { mode, lines: printed.lines().peekable(), translate }
    }

    /// The next page and its size in bytes.
    fn next(&mut self) -> Result<Option<(Page<'a>, u64)>> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        let page = Page::parse(line)?.reliable(self.mode);
        let bytes = match self.mode {
            _ if !page.is_large() => FRAME,
            Mode::TwoLevel => 4 * MIB,
            Mode::Pae => 2 * MIB,
            Mode::FourLevel | Mode::FiveLevel => self.large(page)?,
        };
        Ok(Some((page, bytes)))
    }

    fn large(&mut self, page: Page<'_>) -> Result<u64> {
        let next = self.lines.peek().map(|line| Page::parse(line)).transpose()?;
        let room = next.is_none_or(|next| next.va - page.va >= GIB);
        let aligned = (page.va | page.pa).is_multiple_of(GIB);
        let giant = aligned && room && (self.translate)(page.va + 2 * MIB)?.is_some();
        Ok(if giant { GIB } else { 2 * MIB })
    }
}

/// Checks that two listings map the same addresses with the same flags, and notes where frames went. Returns how many
/// pages the old one has.
pub(super) fn compare<T, U>(
    changes: Changes,
    mut old: Listing<'_, T>,
    mut new: Listing<'_, U>,
    frames: &mut Frames,
) -> Result<usize>
where
    T: FnMut(u64) -> Result<Option<u64>>,
    U: FnMut(u64) -> Result<Option<u64>>,
{
    let (mut before, mut after) = (old.next()?, new.next()?);
    let mut count = 0;
    while let (Some(was), Some(is)) = (before, after) {
        let ((old_page, old_bytes), (new_page, new_bytes)) = (was, is);
        let same = old_page.va == new_page.va
            && (changes.sizes || old_bytes == new_bytes)
            && changes.allow(old_page, new_page);
        ensure!(same, differ(before, after));
        let bytes = old_bytes.min(new_bytes);
        frames.moved(old_page.pa, new_page.pa, bytes)?;
        count += usize::from(old_bytes == bytes);
        before = rest(was, bytes).map_or_else(|| old.next(), |rest| Ok(Some(rest)))?;
        after = rest(is, bytes).map_or_else(|| new.next(), |rest| Ok(Some(rest)))?;
    }
    ensure!(before.is_none() && after.is_none(), differ(before, after));
    Ok(count)
}

impl Changes {
    /// Whether the letters say the same, but for the size.
    fn allow(self, old: Page<'_>, new: Page<'_>) -> bool {
        let letters = old.letters.bytes().zip(new.letters.bytes());
        letters.enumerate().all(|(at, (old, new))| match at {
            Page::LARGE => true,
            Page::WRITABLE if self.writable => old == new || new == b'-',
            _ => old == new,
        })
    }
}

/// What is left of a page after its first bytes.
fn rest((page, bytes): (Page<'_>, u64), done: u64) -> Option<(Page<'_>, u64)> {
    (bytes > done).then(|| (Page { va: page.va + done, pa: page.pa + done, ..page }, bytes - done))
}

fn differ(old: Option<(Page<'_>, u64)>, new: Option<(Page<'_>, u64)>) -> String {
    let shown = |page: Option<(Page<'_>, u64)>| match page {
        Some((Page { va, pa, letters }, bytes)) => {
            format!("{va:016x}: {pa:016x} {letters} ({bytes:#x} bytes)")
        }
        None => "(the end)".to_owned(),
    };
    format!("was\n  {}\nand is\n  {}", shown(old), shown(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::frames::Moves;

    const SIZES: Changes = Changes { sizes: true, writable: false };
    const NONE: Changes = Changes { sizes: false, writable: false };

    /// With an MMU that has every address below `end` mapped.
    fn compared(changes: Changes, end: u64, old: &str, new: &str) -> Result<usize> {
        let mut frames = Frames::new(Moves::Apart);
        let listing =
            |printed| Listing::new(Mode::FourLevel, printed, |va: u64| Ok((va < end).then_some(va)));
        compare(changes, listing(old), listing(new), &mut frames)
    }

    fn line(va: u64, pa: u64, letters: &str) -> String {
        format!("{va:016x}: {pa:016x} {letters}\n")
    }

    #[test]
    fn spaces_are_equal_but_for_their_frames() {
        let old = [line(0x1000, 0x5000, "----A--UW"), line(0x2000, 0x6000, "X-------W")].concat();
        let new = [line(0x1000, 0x8000, "----A--UW"), line(0x2000, 0x7000, "X-------W")].concat();
        assert_eq!(compared(NONE, 0, &old, &new).expect("equal"), 2);
        for (changed, by) in [("0000000000008000", "0000000000007000"), ("A--U", "A---"), ("2000:", "3000:")]
        {
            assert!(compared(SIZES, 0, &old, &new.replace(changed, by)).is_err(), "{changed}");
        }
        assert!(compared(NONE, 0, &old, &new[..45]).is_err(), "a page less");
        assert!(compared(NONE, 0, &old[..45], &new).is_err(), "a page more");
    }

    #[test]
    fn pages_are_split_only_if_that_is_asked_for() {
        let old = line(0x40_0000, 0x20_0000, "--P----UW");
        let small = |at| line(0x40_0000 + at * FRAME, 0x80_0000 + at * FRAME, "-------UW");
        let new: String = (0..512).map(small).collect();
        assert_eq!(compared(SIZES, 0, &old, &new).expect("split"), 1);
        assert_eq!(compared(SIZES, 0, &new, &old).expect("joined"), 512);
        assert!(compared(NONE, 0, &old, &new).is_err());
        let hole: String = (0..512).filter(|&at| at != 7).map(small).collect();
        assert!(compared(SIZES, 0, &old, &hole).is_err());
    }

    #[test]
    fn rights_are_lost_only_where_frames_are_merged() {
        let (old, new) = (line(0x1000, 0x5000, "-------UW"), line(0x1000, 0x5000, "-------U-"));
        let merged = Changes { writable: true, ..NONE };
        assert!(compared(NONE, 0, &old, &new).is_err());
        assert!(compared(merged, 0, &old, &new).is_ok());
        assert!(compared(merged, 0, &new, &old).is_err(), "rights are never gained");
    }

    #[test]
    fn two_mib_are_told_from_one_gib() {
        let page = |va, pa| line(va, pa, "--P-----W");
        let giant = page(GIB, GIB);
        let split =
            |count| (0..count).map(|at| page(GIB + at * 2 * MIB, GIB + at * 2 * MIB)).collect::<String>();
        assert!(compared(SIZES, 2 * GIB, &giant, &split(512)).is_ok());
        assert!(compared(SIZES, 2 * GIB, &giant, &split(511)).is_err());
        assert!(compared(NONE, GIB + 2 * MIB, &giant, &split(1)).is_ok(), "2 MiB, and nothing after it");
        let next = |bytes| [giant.clone(), page(GIB + bytes, 8 * GIB)].concat();
        assert!(compared(NONE, 2 * GIB, &next(GIB), &next(GIB)).is_ok());
        assert!(compared(SIZES, 2 * GIB, &next(GIB), &split(512)).is_err());
    }
}
