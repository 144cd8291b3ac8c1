//! What one entry means, bit by bit as the manual's tables list them.
//!
//! Nothing here is a mask made in advance: whether a bit is reserved is asked of every bit, one at a time.

use super::mode::take;
use super::{Long, Mode, Rights};

/// What an entry means at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// P = 0.
    Absent,
    /// A link to the table at this physical address.
    Table(u64),
    /// A page at this physical address.
    Leaf(u64),
    /// P = 1 and these bits, all of them set, are reserved.
    Malformed(u64),
}

/// Reads `raw` as an entry of a table at `level`.
pub fn decode(mode: &Mode, level: u8, raw: u64) -> Meaning {
    if !bit(raw, 0) {
        return Meaning::Absent;
    }
    let mut malformed = 0;
    let set = std::iter::successors(Some(raw), |rest| Some(rest & rest.wrapping_sub(1)))
        .take_while(|rest| *rest != 0);
    for position in set.map(u64::trailing_zeros) {
        if !bit(ignored(mode), position) && is_reserved(mode, level, raw, position) {
            malformed += 1 << position;
        }
    }
    if malformed != 0 {
        Meaning::Malformed(malformed)
    } else if is_leaf(mode, level, raw) {
        Meaning::Leaf(address(mode, level, raw))
    } else {
        Meaning::Table(address(mode, level, raw))
    }
}

/// The rights that are left below `raw`, an entry of a table at `level`.
pub fn restrict(mode: &Mode, above: Rights, level: u8, raw: u64) -> Rights {
    match mode {
        Mode::Pae { .. } if level == 3 => above,
        Mode::Toy => Rights { write: above.write && bit(raw, 1), ..above },
        Mode::TwoLevel { .. } => Rights {
            write: above.write && bit(raw, 1),
            user: above.user && bit(raw, 2),
            execute: above.execute,
        },
        _ => Rights {
            write: above.write && bit(raw, 1),
            user: above.user && bit(raw, 2),
            execute: above.execute && !bit(raw, 63),
        },
    }
}

/// What of `raw`, a leaf of a table at `level`, is not its address: its attributes, ignored address bits among them.
pub fn attributes(mode: &Mode, level: u8, raw: u64) -> u64 {
    let (low, high) = field(mode, level, raw);
    let mut held = take(raw, low, high);
    if matches!(mode, Mode::TwoLevel { .. }) && low == 22 {
        held += take(raw, 13, 20);
    }
    raw - (held & !ignored(mode))
}

/// The [`attributes`] of a leaf where a leaf at level 1 has them: without PS, and with PAT in bit 7.
pub fn small_attributes(mode: &Mode, level: u8, raw: u64) -> u64 {
    let attributes = attributes(mode, level, raw) & !1;
    match mode {
        _ if level == 1 => attributes,
        Mode::Toy => attributes & !(1 << 3),
        _ => attributes & !(1 << 7 | 1 << 12) | (attributes >> 12 & 1) << 7,
    }
}

/// The bits of an entry that are rights.
pub fn right_bits(mode: &Mode) -> u64 {
    match mode {
        Mode::Toy => 1 << 1,
        Mode::TwoLevel { .. } => 1 << 1 | 1 << 2,
        _ => 1 << 1 | 1 << 2 | 1 << 63,
    }
}

/// The accessed and dirty bits of an entry.
pub fn accessed_dirty(mode: &Mode) -> u64 {
    if matches!(mode, Mode::Toy) { 1 << 62 | 1 << 63 } else { 1 << 5 | 1 << 6 }
}

fn bit(value: u64, position: u32) -> bool {
    value >> position & 1 == 1
}

fn ignored(mode: &Mode) -> u64 {
    match *mode {
        Mode::TwoLevel { ignored, .. } | Mode::Pae { ignored, .. } => ignored,
        Mode::FourLevel(long) | Mode::FiveLevel(long) => long.ignored,
        Mode::Toy => 0,
    }
}

/// Whether the entry ends the walk with a page. In a page table it always does; above, where a large page can be.
fn is_leaf(mode: &Mode, level: u8, raw: u64) -> bool {
    level == 1
        || match mode {
            Mode::TwoLevel { pse, .. } => *pse && bit(raw, 7),
            Mode::Pae { .. } => level == 2 && bit(raw, 7),
            Mode::FourLevel(_) | Mode::FiveLevel(_) => level <= 3 && bit(raw, 7),
            Mode::Toy => level == 2 && bit(raw, 3),
        }
}

fn is_reserved(mode: &Mode, level: u8, raw: u64, position: u32) -> bool {
    let large = level > 1 && is_leaf(mode, level, raw);
    match *mode {
        Mode::TwoLevel { phys_bits, pse36, .. } => {
            let lowest = if pse36 { phys_bits.clamp(32, 40) - 19 } else { 13 };
            large && (lowest..=21).contains(&position)
        }
        Mode::Pae { phys_bits, strict_pdpte, .. } if level == 3 => {
            position >= phys_bits || strict_pdpte && matches!(position, 5..=8 | 1..=2)
        }
        Mode::Pae { phys_bits, nx, .. } => match position {
            63 => !nx,
            13..=20 => large,
            _ => position >= phys_bits,
        },
        Mode::FourLevel(long) | Mode::FiveLevel(long) => is_reserved_long(long, level, large, position),
        Mode::Toy => match position {
            2 => true,
            3 => level == 3,
            12 => large,
            _ => false,
        },
    }
}

/// An entry with PS in a PDPT is judged as a 1 GiB page even where the machine has none: then PS is reserved as well.
fn is_reserved_long(long: Long, level: u8, large: bool, position: u32) -> bool {
    match position {
        63 => !long.nx,
        7 => level >= 4 || level == 3 && !long.gib_pages,
        8 => level >= 4 && long.amd,
        13..=20 => large,
        21..=29 => large && level == 3,
        _ => position >= long.phys_bits && position <= 51,
    }
}

fn address(mode: &Mode, level: u8, raw: u64) -> u64 {
    let (low, high) = field(mode, level, raw);
    let address = take(raw & !ignored(mode), low, high);
    match *mode {
        Mode::TwoLevel { phys_bits, pse36: true, .. } if low == 22 => {
            address + (take(raw, 13, 20) << 19) % (1 << phys_bits.clamp(32, 40))
        }
        _ => address,
    }
}

/// The lowest and the highest bit of the address, but for the part of a PSE-36 address that stands elsewhere.
fn field(mode: &Mode, level: u8, raw: u64) -> (u32, u32) {
    let large = level > 1 && is_leaf(mode, level, raw);
    match *mode {
        Mode::TwoLevel { .. } => (if large { 22 } else { 12 }, 31),
        Mode::Pae { phys_bits, .. } => (if large { 21 } else { 12 }, phys_bits - 1),
        Mode::FourLevel(long) | Mode::FiveLevel(long) => match level {
            2 if large => (21, long.phys_bits - 1),
            3 if large => (30, long.phys_bits - 1),
            _ => (12, long.phys_bits - 1),
        },
        Mode::Toy if large => (13, 31),
        Mode::Toy if level == 1 => (12, 31),
        Mode::Toy => (5, 31),
    }
}

#[cfg(test)]
mod tests {
    use super::Meaning::{Absent, Leaf, Malformed, Table};
    use super::*;

    const LONG: Long = Long { phys_bits: 40, nx: true, gib_pages: true, amd: false, ignored: 0 };

    #[test]
    fn long_mode_entries() {
        let four = Mode::FourLevel(LONG);
        assert_eq!(decode(&four, 4, 0xfff_ffff_ffff_fffe), Absent);
        assert_eq!(decode(&four, 4, 0x12_3456_7067), Table(0x12_3456_7000));
        assert_eq!(decode(&four, 4, 0x12_3456_70e7), Malformed(0x80));
        assert_eq!(decode(&four, 3, 0x12_4000_10e7), Leaf(0x12_4000_0000), "bit 12 is PAT");
        assert_eq!(decode(&four, 3, 0x12_6000_00e7), Malformed(0x2000_0000));
        assert_eq!(decode(&four, 2, 0x12_3420_10e7), Leaf(0x12_3420_0000));
        assert_eq!(decode(&four, 2, 0x12_3430_00e7), Malformed(0x10_0000));
        assert_eq!(decode(&four, 1, 0x8000_0012_3456_70e7), Leaf(0x12_3456_7000), "bit 7 is PAT");
        assert_eq!(decode(&four, 1, 0x100_0000_0001), Malformed(1 << 40));
        assert_eq!(decode(&four, 1, 0x7ff0_0000_0000_0001), Leaf(0));
        let without =
            Mode::FiveLevel(Long { nx: false, gib_pages: false, amd: true, ignored: 1 << 47, ..LONG });
        assert_eq!(decode(&without, 1, 1 << 63 | 1), Malformed(1 << 63));
        assert_eq!(decode(&without, 3, 0x81), Malformed(0x80));
        assert_eq!(decode(&without, 5, 0x101), Malformed(0x100));
        assert_eq!(decode(&without, 3, 0x101), Table(0));
        assert_eq!(decode(&without, 4, 1 << 47 | 0x5001), Table(0x5000));
    }

    #[test]
    fn pae_entries() {
        let pae = Mode::Pae { phys_bits: 36, nx: true, strict_pdpte: true, ignored: 0 };
        assert_eq!(decode(&pae, 3, 0x1019), Table(0x1000));
        assert_eq!(decode(&pae, 3, 0x1fe7), Malformed(0x1e6));
        assert_eq!(decode(&pae, 3, 1 << 63 | 0x1001), Malformed(1 << 63));
        assert_eq!(decode(&pae, 2, 1 << 63 | 0x1001), Table(0x1000));
        assert_eq!(decode(&pae, 1, 1 << 62 | 0x1001), Malformed(1 << 62));
        assert_eq!(decode(&pae, 2, 0x8_0020_1081), Leaf(0x8_0020_0000));
        let relaxed = Mode::Pae { phys_bits: 36, nx: false, strict_pdpte: false, ignored: 0 };
        assert_eq!(decode(&relaxed, 3, 0x1fe7), Table(0x1000));
        assert_eq!(decode(&relaxed, 1, 1 << 63 | 1), Malformed(1 << 63));
    }

    #[test]
    fn two_level_entries() {
        let two = |phys_bits, pse, pse36| Mode::TwoLevel { phys_bits, pse, pse36, ignored: 0 };
        assert_eq!(decode(&two(40, true, true), 2, 0xffdf_f0e7), Leaf(0xff_ffc0_0000));
        assert_eq!(decode(&two(52, true, true), 2, 0x0020_00e7), Malformed(1 << 21));
        assert_eq!(decode(&two(36, true, true), 2, 0x0002_00e7), Malformed(1 << 17));
        assert_eq!(decode(&two(36, true, true), 2, 0x0001_e0e7), Leaf(0xf_0000_0000));
        assert_eq!(decode(&two(32, true, true), 2, 0x0000_20e7), Malformed(1 << 13));
        assert_eq!(decode(&two(40, true, false), 2, 0x0000_20e7), Malformed(1 << 13));
        assert_eq!(decode(&two(40, false, true), 2, 0x0000_20e7), Table(0x2000));
        assert_eq!(decode(&two(32, true, true), 1, 0xffff_ffff), Leaf(0xffff_f000));
    }

    #[test]
    fn attributes_are_what_is_not_address() {
        let four = Mode::FourLevel(Long { ignored: 1 << 39, ..LONG });
        assert_eq!(attributes(&four, 1, 0x8000_0092_3456_7fff), 0x8000_0080_0000_0fff);
        assert_eq!(attributes(&four, 2, 0x8000_0092_3460_10e7), 0x8000_0080_0000_10e7);
        let two = Mode::TwoLevel { phys_bits: 40, pse: true, pse36: true, ignored: 0 };
        assert_eq!(attributes(&two, 2, 0xffdf_f0e7), 0x10e7);
        assert_eq!(attributes(&two, 2, 0xffdf_f067), 0x067);
    }

    #[test]
    fn rights_shrink() {
        let all = Rights::ALL;
        let four = Mode::FourLevel(LONG);
        assert_eq!(restrict(&four, all, 4, 7), all);
        assert_eq!(restrict(&four, all, 4, 1 << 63 | 5), Rights { write: false, user: true, execute: false });
        let pae = Mode::Pae { phys_bits: 36, nx: true, strict_pdpte: true, ignored: 0 };
        assert_eq!(restrict(&pae, all, 3, 1), all, "PDPTEs have no rights");
        assert_eq!(restrict(&pae, all, 2, 3), Rights { user: false, ..all });
    }
}
