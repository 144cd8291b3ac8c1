//! The geometry of each paging mode, and what CR3 holds in it.

/// A paging mode with the facts of the machine that change how entries are read.
///
/// `phys_bits` is MAXPHYADDR (32 to 52); `ignored` are address bits that are not address (an SEV C-bit, a TDX shared
/// bit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 32-bit paging: two levels, 4-byte entries.
    TwoLevel {
        /// MAXPHYADDR.
        phys_bits: u32,
        /// CR4.PSE.
        pse: bool,
        /// PSE-36: 4 MiB pages above 4 GiB.
        pse36: bool,
        /// Address bits that are not address.
        ignored: u64,
    },
    /// PAE paging: three levels, the root a table of four.
    Pae {
        /// MAXPHYADDR.
        phys_bits: u32,
        /// EFER.NXE.
        nx: bool,
        /// Whether bits 8:5 and 2:1 of a PDPTE are checked.
        strict_pdpte: bool,
        /// Address bits that are not address.
        ignored: u64,
    },
    /// 4-level paging.
    FourLevel(Long),
    /// 5-level paging.
    FiveLevel(Long),
    /// The toy of [`crate::toy`]: three levels, two entries per table.
    Toy,
}

/// The facts that matter to 4-level and 5-level paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    /// MAXPHYADDR.
    pub phys_bits: u32,
    /// EFER.NXE.
    pub nx: bool,
    /// Whether 1 GiB pages exist.
    pub gib_pages: bool,
    /// Whether bit 8 of the upper two levels is reserved, as AMD has it.
    pub amd: bool,
    /// Address bits that are not address.
    pub ignored: u64,
}

impl Mode {
    /// How many levels there are; the root's level.
    pub fn levels(&self) -> u8 {
        match self {
            Self::TwoLevel { .. } => 2,
            Self::Pae { .. } | Self::Toy => 3,
            Self::FourLevel(_) => 4,
            Self::FiveLevel(_) => 5,
        }
    }

    /// How many entries a table at `level` has.
    pub fn entries(&self, level: u8) -> u64 {
        match self {
            Self::TwoLevel { .. } => 1024,
            Self::Pae { .. } if level == 3 => 4,
            Self::Toy => 2,
            _ => 512,
        }
    }

    /// The width of an entry in bytes.
    pub fn entry_bytes(&self) -> u64 {
        if matches!(self, Self::TwoLevel { .. }) { 4 } else { 8 }
    }

    /// The size of a table at `level` in bytes.
    pub fn table_bytes(&self, level: u8) -> u64 {
        self.entries(level) * self.entry_bytes()
    }

    /// How much virtual memory one entry at `level` maps, in bytes.
    pub fn entry_span(&self, level: u8) -> u64 {
        if level == 1 { 4096 } else { self.table_span(level - 1) }
    }

    /// How much virtual memory one table at `level` maps, in bytes.
    pub fn table_span(&self, level: u8) -> u64 {
        self.entry_span(level) * self.entries(level)
    }

    /// The size of the virtual address space in bytes.
    pub fn space(&self) -> u64 {
        self.table_span(self.levels())
    }

    /// Whether the upper half of the space is at the top of the 64-bit addresses.
    pub fn has_hole(&self) -> bool {
        matches!(self, Self::FourLevel(_) | Self::FiveLevel(_) | Self::Toy)
    }

    /// The address as software writes it, of a place counted from the start of the space.
    pub fn canonical(&self, place: u64) -> u64 {
        assert!(place < self.space());
        if self.has_hole() && place >= self.space() / 2 { place.wrapping_sub(self.space()) } else { place }
    }

    /// The inverse of [`canonical`](Self::canonical): none where the space has no such address.
    pub fn place(&self, address: u64) -> Option<u64> {
        if !self.has_hole() {
            return (address < self.space()).then_some(address);
        }
        let half = self.space() / 2;
        if address < half {
            Some(address)
        } else if address >= 0_u64.wrapping_sub(half) {
            Some(address.wrapping_add(self.space()))
        } else {
            None
        }
    }

    /// The places of the space whose addresses are in `first..=last`: one contiguous piece, because the space has
    /// nothing inside the hole.
    pub fn places(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        if first > last {
            return None;
        }
        // Up from `first` to the next address that exists, down from `last`.
        let up = match self.place(first) {
            Some(place) => place,
            None if self.has_hole() => self.space() / 2,
            None => return None,
        };
        let down = match self.place(last) {
            Some(place) => place,
            None if self.has_hole() => self.space() / 2 - 1,
            None => self.space() - 1,
        };
        (up <= down).then_some((up, down))
    }

    /// The same on a machine that ignores these address bits as well.
    #[must_use]
    pub fn ignoring(mut self, more: u64) -> Self {
        match &mut self {
            Self::TwoLevel { ignored, .. } | Self::Pae { ignored, .. } => *ignored |= more,
            Self::FourLevel(long) | Self::FiveLevel(long) => long.ignored |= more,
            Self::Toy => {}
        }
        self
    }

    /// The root table's address in a root register: PCID or PWT/PCD, LAM and no-flush bits are not part of it.
    pub fn root(&self, cr3: u64) -> u64 {
        match *self {
            Self::TwoLevel { ignored, .. } => take(cr3, 12, 31) & !ignored,
            Self::Pae { ignored, .. } => take(cr3, 5, 31) & !ignored,
            Self::FourLevel(long) | Self::FiveLevel(long) => {
                take(cr3, 12, long.phys_bits - 1) & !long.ignored
            }
            Self::Toy => take(cr3, 5, 31),
        }
    }
}

/// The bits `low..=high` of `value`, in place.
pub(super) fn take(value: u64, low: u32, high: u32) -> u64 {
    (low..=high).map(|bit| value & (1 << bit)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Long = Long { phys_bits: 46, nx: true, gib_pages: true, amd: false, ignored: 1 << 45 };

    #[test]
    fn spans_are_those_of_the_manual() {
        let two = Mode::TwoLevel { phys_bits: 40, pse: true, pse36: true, ignored: 0 };
        let pae = Mode::Pae { phys_bits: 40, nx: true, strict_pdpte: true, ignored: 0 };
        assert_eq!((two.entry_span(2), two.space()), (4 << 20, 1 << 32));
        assert_eq!((pae.entry_span(2), pae.entry_span(3), pae.space()), (2 << 20, 1 << 30, 1 << 32));
        let four = Mode::FourLevel(LONG);
        assert_eq!((four.entry_span(3), four.entry_span(4), four.space()), (1 << 30, 1 << 39, 1 << 48));
        assert_eq!(Mode::FiveLevel(LONG).space(), 1 << 57);
        assert_eq!(pae.table_bytes(3), 32);
        assert_eq!(Mode::Toy.space(), 8 * 4096);
    }

    #[test]
    fn the_hole_is_skipped_from_both_sides() {
        let four = Mode::FourLevel(LONG);
        let upper = 0xffff_8000_0000_0000;
        assert_eq!(four.canonical(1 << 47), upper);
        assert_eq!(four.place(upper), Some(1 << 47));
        assert_eq!(four.place(upper - 1), None);
        assert_eq!(four.places(0, u64::MAX), Some((0, (1 << 48) - 1)));
        assert_eq!(four.places(1 << 47, upper - 1), None);
        assert_eq!(four.places(5, upper - 1), Some((5, (1 << 47) - 1)));
        assert_eq!(four.places(1 << 50, u64::MAX), Some((1 << 47, (1 << 48) - 1)));
        assert_eq!(four.places(9, 8), None);
        let two = Mode::TwoLevel { phys_bits: 40, pse: true, pse36: true, ignored: 0 };
        assert_eq!(two.places(7, u64::MAX), Some((7, 0xffff_ffff)));
        assert_eq!(two.places(1 << 32, u64::MAX), None);
    }

    #[test]
    fn roots_lose_what_is_not_address() {
        assert_eq!(Mode::FourLevel(LONG).root(0xe000_6000_1234_5fff), 0x1234_5000);
        let pae = Mode::Pae { phys_bits: 40, nx: true, strict_pdpte: true, ignored: 0 };
        assert_eq!(pae.root(0x1_0000_103f), 0x1020);
    }
}
