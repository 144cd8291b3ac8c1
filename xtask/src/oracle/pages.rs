//! The lines of `info tlb`, which `pt tlb` prints too, and where QEMU's are known to be wrong.
//!
//! ```text
//! ffff888000200000: 0000000000200000 XGPDA---W
//! ```

use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// A paging mode, as everything here names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    TwoLevel,
    Pae,
    FourLevel,
    FiveLevel,
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "2level" => Self::TwoLevel,
            "pae" => Self::Pae,
            "4level" => Self::FourLevel,
            "5level" => Self::FiveLevel,
            _ => bail!("{name:?} is no paging mode"),
        })
    }
}

impl Mode {
    pub(super) fn is_long(self) -> bool {
        matches!(self, Self::FourLevel | Self::FiveLevel)
    }

    /// The bits of CR3 that address the root.
    pub(super) fn root_mask(self) -> u64 {
        match self {
            Self::TwoLevel => 0xffff_f000,
            Self::Pae => 0xffff_ffe0,
            Self::FourLevel | Self::FiveLevel => 0x000f_ffff_ffff_f000,
        }
    }

    /// The bits of a printed physical address that can be relied on. QEMU prints entries through masks that are wrong at
    /// both ends: PSE-36 is ignored and bit 21 of a 4 MiB page's entry left in; in PAE, bits 62:52 and XD are left in; in
    /// the 64-bit modes bits 51 and 50 are dropped.
    fn reliable(self, large: bool) -> u64 {
        match self {
            Self::TwoLevel if large => 0xffc0_0000,
            Self::TwoLevel => 0xffff_f000,
            Self::Pae => 0x000f_ffff_ffff_f000,
            Self::FourLevel | Self::FiveLevel => 0x0003_ffff_ffff_f000,
        }
    }
}

/// One line: a page that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub(super) va: u64,
    pub(super) pa: u64,
    /// A letter or `-` each: XD, global, PS, dirty, accessed, PCD, PWT, user, writable.
    pub(super) letters: &'a str,
}

impl<'a> Page<'a> {
    pub(super) fn parse(line: &'a str) -> Result<Self> {
        let part = |from, to| line.get(from..to);
        let address = |from| u64::from_str_radix(part(from, from + 16)?, 16).ok();
        let page = || {
            let columns = line.len() == 44 && part(16, 18)? == ": " && part(34, 35)? == " ";
            columns.then_some(Self { va: address(0)?, pa: address(18)?, letters: part(35, 44)? })
        };
        page().with_context(|| format!("not a line of `info tlb`: {line:?}"))
    }

    /// Places of letters.
    pub(super) const LARGE: usize = 2;
    pub(super) const WRITABLE: usize = 8;

    /// Whether it is larger than 4 KiB.
    pub(super) fn is_large(self) -> bool {
        self.letters.as_bytes()[Self::LARGE] == b'P'
    }

    /// Without the bits of the physical address that QEMU gets wrong.
    pub(super) fn reliable(mut self, mode: Mode) -> Self {
        self.pa &= mode.reliable(self.is_large());
        self
    }
}

/// Checks that two listings have the same pages, and returns how many.
pub(super) fn same_pages(mode: Mode, ours: &str, theirs: &str) -> Result<usize> {
    // Nearly all lines are equal as they are, and there are millions.
    let same = |ours: &str, theirs: &str| {
        Ok(ours == theirs || Page::parse(ours)?.reliable(mode) == Page::parse(theirs)?.reliable(mode))
    };
    same_lines(ours, theirs, same)
}

/// Checks that two listings agree line by line, and returns how many lines they have.
pub(super) fn same_lines(
    ours: &str,
    theirs: &str,
    same: impl Fn(&str, &str) -> Result<bool>,
) -> Result<usize> {
    let (mut ours, mut theirs, mut count) = (ours.lines(), theirs.lines(), 0);
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return Ok(count),
            (Some(ours), Some(theirs)) if same(ours, theirs)? => count += 1,
            (ours, theirs) => {
                let [ours, theirs] = [ours, theirs].map(|line| line.unwrap_or("(the end)"));
                bail!("line {}: there is\n  {ours}\nwhere QEMU has\n  {theirs}", count + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ffff888000200000: 0000000000200000 XGPDA---W";

    #[test]
    fn a_line_is_a_page() {
        let page = Page::parse(LINE).expect("a line");
        assert_eq!((page.va, page.pa, page.letters), (0xffff_8880_0020_0000, 0x20_0000, "XGPDA---W"));
        assert!(page.is_large());
        assert!(!Page::parse("0000000000400000: 0000000003307000 X---A--U-").expect("a line").is_large());
        for wrong in ["", "PG disabled", &LINE[1..], &LINE[..43], "0: 0 ---------"] {
            assert!(Page::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_what_qemu_gets_wrong_is_forgiven() {
        let line = |pa: u64, letters| format!("0000000000400000: {pa:016x} {letters}\n");
        let same = |mode, ours, theirs, letters| {
            same_pages(mode, &line(ours, letters), &line(theirs, letters)).is_ok()
        };
        let (small, large) = ("X---A--U-", "--P-A--U-");
        assert!(same(Mode::Pae, 0x1000, 0x8000_0000_0000_1000, small));
        assert!(!same(Mode::Pae, 0x1000, 0x8008_0000_0000_1000, small));
        assert!(same(Mode::FourLevel, 0x000c_0000_0000_1000, 0x1000, small));
        assert!(!same(Mode::FourLevel, 0x0002_0000_0000_1000, 0x1000, small));
        assert!(same(Mode::TwoLevel, 0x0000_00ff_0040_0000, 0x0060_0000, large));
        assert!(!same(Mode::TwoLevel, 0x0060_0000, 0x0040_0000, small));
        for mode in [Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel] {
            assert!(!same(mode, 0x0040_0000, 0x0080_0000, large));
        }
    }

    #[test]
    fn listings_are_as_long_as_one_another() {
        let same = |ours: &str, theirs: &str| same_pages(Mode::FourLevel, ours, theirs);
        let two = format!("{LINE}\n{LINE}\n");
        assert_eq!(same(&two, &two).expect("equal"), 2);
        let error = same(&two, LINE).expect_err("one more").to_string();
        assert!(error.starts_with("line 2: ") && error.ends_with("(the end)"), "{error}");
        assert!(same("", LINE).is_err() && same(LINE, "").is_err());
        assert!(same(LINE, &LINE.replace('W', "-")).is_err());
    }
}
