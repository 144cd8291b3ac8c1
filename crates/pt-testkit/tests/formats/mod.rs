//! The formats of x86 as the oracle's modes describe them.

use pt_amd64::{Features, LongMode, Vendor};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_testkit::naive::{Long, Mode};

/// A format that a mode describes.
pub(crate) trait OfMode {
    /// The format.
    fn of_mode(mode: &Mode) -> Self;
}

impl OfMode for TwoLevel {
    fn of_mode(mode: &Mode) -> Self {
        let Mode::TwoLevel { phys_bits, pse, pse36, ignored } = *mode else {
            panic!("{mode:?} has other levels")
        };
        Self::new(TwoLevelFeatures { phys_bits: phys_bits as u8, pse, pse36, ignored })
    }
}

impl OfMode for Pae {
    fn of_mode(mode: &Mode) -> Self {
        let Mode::Pae { phys_bits, nx, strict_pdpte, ignored } = *mode else { panic!("{mode:?} is not PAE") };
        Self::new(PaeFeatures { phys_bits: phys_bits as u8, nx, strict_pdpte, ignored })
    }
}

impl<const LEVELS: u8> OfMode for LongMode<LEVELS> {
    fn of_mode(mode: &Mode) -> Self {
        let (levels, Long { phys_bits, nx, gib_pages, amd, ignored }) = match *mode {
            Mode::FourLevel(long) => (4, long),
            Mode::FiveLevel(long) => (5, long),
            _ => panic!("{mode:?} is not long mode"),
        };
        assert_eq!(levels, LEVELS, "{mode:?} has other levels");
        let vendor = if amd { Vendor::Amd } else { Vendor::Intel };
        Self::new(Features { phys_bits: phys_bits as u8, nx, gib_pages, ignored, vendor })
    }
}
