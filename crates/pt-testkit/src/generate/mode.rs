//! Modes with random features.

use proptest::prelude::*;

use crate::naive::{Long, Mode};

/// Which of the four modes of x86.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Kind {
    TwoLevel,
    Pae,
    FourLevel,
    FiveLevel,
}

/// MAXPHYADDR: the widths that machines have, and the ends.
fn phys_bits() -> impl Strategy<Value = u32> {
    prop_oneof![Just(52), Just(46), Just(40), Just(39), Just(36), 32..=52_u32]
}

/// An ignored address bit: mostly none, else a high bit as an SEV C-bit or a TDX shared bit is, below or above
/// MAXPHYADDR.
fn ignored() -> impl Strategy<Value = u64> {
    prop_oneof![6 => Just(0), 1 => Just(1 << 47), 1 => Just(1 << 51), 1 => (33..=51_u32).prop_map(|bit| 1 << bit)]
}

/// Random modes of a kind.
pub fn modes(kind: Kind) -> BoxedStrategy<Mode> {
    let flags = any::<(bool, bool, bool)>();
    match kind {
        Kind::TwoLevel => (phys_bits(), prop::bool::weighted(0.8), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(phys_bits, pse, pse36, ignores)| Mode::TwoLevel {
                phys_bits,
                pse,
                pse36,
                ignored: if ignores { 1 << 31 } else { 0 },
            })
            .boxed(),
        Kind::Pae => (phys_bits(), flags, ignored())
            .prop_map(|(phys_bits, (nx, strict_pdpte, _), ignored)| Mode::Pae {
                phys_bits,
                nx,
                strict_pdpte,
                ignored,
            })
            .boxed(),
        Kind::FourLevel | Kind::FiveLevel => (phys_bits(), flags, ignored())
            .prop_map(move |(phys_bits, (nx, gib_pages, amd), ignored)| {
                let long = Long { phys_bits, nx, gib_pages, amd, ignored };
                if kind == Kind::FourLevel { Mode::FourLevel(long) } else { Mode::FiveLevel(long) }
            })
            .boxed(),
    }
}

/// Modes of a kind with every feature on and off, at widths that matter.
pub fn feature_sets(kind: Kind) -> Vec<Mode> {
    const BOTH: [bool; 2] = [true, false];
    let mut modes = Vec::new();
    match kind {
        Kind::TwoLevel => {
            for (phys_bits, ignored) in [(52, 0), (40, 0), (39, 1 << 31), (36, 0), (32, 0)] {
                for pse in BOTH {
                    modes.extend(BOTH.map(|pse36| Mode::TwoLevel { phys_bits, pse, pse36, ignored }));
                }
            }
        }
        Kind::Pae => {
            for (phys_bits, ignored) in [(52, 0), (40, 1 << 39), (36, 1 << 51)] {
                for nx in BOTH {
                    modes.extend(BOTH.map(|strict_pdpte| Mode::Pae { phys_bits, nx, strict_pdpte, ignored }));
                }
            }
        }
        Kind::FourLevel | Kind::FiveLevel => {
            for (phys_bits, ignored, amd) in [(52, 0, false), (40, 1 << 39, true), (46, 1 << 51, false)] {
                // Two features at a time are enough: they have no bit in common.
                for (nx, gib_pages) in [(true, true), (false, false)] {
                    let long = Long { phys_bits, nx, gib_pages, amd, ignored };
                    modes.push(if kind == Kind::FourLevel {
                        Mode::FourLevel(long)
                    } else {
                        Mode::FiveLevel(long)
                    });
                }
            }
        }
    }
    modes
}

/// The bits of an entry that are neither address nor reserved in every entry of the mode, P and PS apart.
pub(super) fn free_bits(mode: &Mode) -> u64 {
    const LOW: u64 = 0xf7e;
    let no_execute = |nx| if nx { 1 << 63 } else { 0 };
    match mode {
        Mode::TwoLevel { .. } => LOW,
        Mode::Pae { nx, .. } => LOW | no_execute(*nx),
        Mode::FourLevel(long) | Mode::FiveLevel(long) => LOW | 0x7ff << 52 | no_execute(long.nx),
        Mode::Toy => 0x12,
    }
}

/// The physical addresses that a page of `size` bytes can have, as a mask.
pub(crate) fn page_mask(mode: &Mode, size: u64) -> u64 {
    let (bits, ignored) = match *mode {
        Mode::TwoLevel { phys_bits, pse36: true, ignored, .. } if size > 4096 => {
            (phys_bits.clamp(32, 40), ignored)
        }
        Mode::TwoLevel { ignored, .. } => (32, ignored),
        Mode::Pae { phys_bits, ignored, .. } => (phys_bits, ignored),
        Mode::FourLevel(long) | Mode::FiveLevel(long) => (long.phys_bits, long.ignored),
        Mode::Toy => (32, 0),
    };
    ((1 << bits) - 1) & !(size - 1) & !ignored
}

/// The ignored bits of a mode.
pub(crate) fn ignored_bits(mode: &Mode) -> u64 {
    match *mode {
        Mode::TwoLevel { ignored, .. } | Mode::Pae { ignored, .. } => ignored,
        Mode::FourLevel(long) | Mode::FiveLevel(long) => long.ignored,
        Mode::Toy => 0,
    }
}
