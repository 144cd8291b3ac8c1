//! How single things are printed, the same in every command.

use std::fmt;
use std::path::Path;

use pt_core::{Fault, Format, Geometry, Level, Permissions};
use pt_x86::EntryFlags;

use crate::guest::Guest;

/// A path in a message: in quotes, so that it is one line whatever the name, as in the messages of `pt-image`.
pub(crate) struct Quoted<'a>(pub(crate) &'a Path);

#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "a name may contain control characters, which Debug escapes"
)]
impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A number of bytes in the largest unit that divides it.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => f.pad(&format!("{} {name}", self.0 / unit)),
            None => f.pad(&format!("{} B", self.0)),
        }
    }
}

/// How many spaces.
pub(crate) struct Spaces(pub(crate) u64);

impl fmt::Display for Spaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "space" } else { "spaces" })
    }
}

/// The size of the pages that leaves at `level` map.
pub(crate) fn page_size<F: Format>(level: Level) -> Size {
    Size(F::entry_span(level))
}

/// Rights as `rwx user` or `r-- supervisor`.
pub(crate) struct Rights<R>(pub(crate) R);

impl<R: Permissions> fmt::Display for Rights<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |has, letter| if has { letter } else { '-' };
        write!(
            f,
            "{}{}{} {}",
            letter(self.0.readable(), 'r'),
            letter(self.0.writable(), 'w'),
            letter(self.0.executable(), 'x'),
            if self.0.user() { "user" } else { "supervisor" },
        )
    }
}

/// The flags of a raw entry, in the letters and the order of QEMU's `info tlb`.
pub(crate) struct Letters {
    raw: u64,
}

impl Letters {
    /// The letters of a leaf: the PS bit of a level-1 entry is PAT and has none.
    pub(crate) fn of(level: Level, raw: u64) -> Self {
        Self { raw: if level == Level::LEAF { raw & !EntryFlags::LARGE.bits() } else { raw } }
    }

    pub(crate) fn as_bytes(&self) -> [u8; 9] {
        const LETTERS: [(EntryFlags, u8); 9] = [
            (EntryFlags::NO_EXECUTE, b'X'),
            (EntryFlags::GLOBAL, b'G'),
            (EntryFlags::LARGE, b'P'),
            (EntryFlags::DIRTY, b'D'),
            (EntryFlags::ACCESSED, b'A'),
            (EntryFlags::CACHE_DISABLE, b'C'),
            (EntryFlags::WRITE_THROUGH, b'T'),
            (EntryFlags::USER, b'U'),
            (EntryFlags::WRITABLE, b'W'),
        ];
        LETTERS.map(|(flag, letter)| if self.raw & flag.bits() == 0 { b'-' } else { letter })
    }
}

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|&letter| fmt::Write::write_char(f, letter.into()))
    }
}

/// The attributes of a page that are neither rights nor written by the hardware, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(EntryFlags);

impl Attributes {
    /// Of attributes in the layout of a level-1 entry.
    pub(crate) fn of(attributes: u64) -> Self {
        let others = EntryFlags::PRESENT
            | EntryFlags::WRITABLE
            | EntryFlags::USER
            | EntryFlags::NO_EXECUTE
            | EntryFlags::ACCESSED
            | EntryFlags::DIRTY;
        Self(EntryFlags::from_bits_retain(attributes) - others)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: [(EntryFlags, &str); 4] = [
            (EntryFlags::WRITE_THROUGH, "PWT"),
            (EntryFlags::CACHE_DISABLE, "PCD"),
            (EntryFlags::PAT, "PAT"),
            (EntryFlags::GLOBAL, "G"),
        ];
        let mut rest = self.0;
        let mut words = Vec::new();
        for (flag, name) in NAMED.into_iter().filter(|&(flag, _)| self.0.contains(flag)) {
            rest -= flag;
            words.push(name.to_owned());
        }
        let key =
            (rest & EntryFlags::PROTECTION_KEY).bits() >> EntryFlags::PROTECTION_KEY.bits().trailing_zeros();
        rest -= EntryFlags::PROTECTION_KEY;
        words.extend((key != 0).then(|| format!("key {key}")));
        words.extend((!rest.is_empty()).then(|| format!("software {:#x}", rest.bits())));
        f.write_str(if words.is_empty() { "none" } else { "" })?;
        f.write_str(&words.join(" "))
    }
}

/// Faults met by a command whose columns have no place for them: one line on standard error, at the end.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    count: u64,
    first: Option<Fault>,
}

impl Faults {
    pub(crate) fn count(&mut self, fault: &Fault) {
        self.count += 1;
        self.first.get_or_insert(*fault);
    }

    pub(crate) fn tell(&self, guest: &Guest) {
        if let Some(first) = self.first {
            let path = Quoted(guest.image.path());
            eprintln!(
                "pt: {path}: {} entries cannot be followed (see pt walk --events); first: {first}",
                self.count
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact() {
        assert_eq!(Size(0).to_string(), "0 B");
        assert_eq!(Size(4096).to_string(), "4 KiB");
        assert_eq!(Size(3 << 29).to_string(), "1536 MiB");
        assert_eq!(Size(4097).to_string(), "4097 B");
    }

    #[test]
    fn attributes_have_names() {
        let of = |bits| Attributes::of(bits).to_string();
        assert_eq!(of(0x8000_0000_0000_0067), "none");
        assert_eq!(of(0x198), "PWT PCD PAT G");
        assert_eq!(of(5 << 59 | 1 << 58 | 0x200), "key 5 software 0x400000000000200");
    }

    #[test]
    fn letters_stand_in_the_order_of_info_tlb() {
        assert_eq!(Letters::of(Level::LEAF, !0).to_string(), "XG-DACTUW");
        assert_eq!(Letters::of(Level::new(2).unwrap(), !0).to_string(), "XGPDACTUW");
        assert_eq!(Letters::of(Level::LEAF, 1 | 1 << 5).to_string(), "----A----");
    }
}
