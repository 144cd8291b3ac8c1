//! The battery on the four formats of x86.

use pt_amd64::{Features, FiveLevel, FourLevel, Vendor};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_testkit::battery;
use pt_testkit::generate::Kind;
use pt_testkit::naive::{Long, Mode};

fn long(long: Long) -> Features {
    let Long { phys_bits, nx, gib_pages, amd, ignored } = long;
    let vendor = if amd { Vendor::Amd } else { Vendor::Intel };
    Features { phys_bits: phys_bits as u8, nx, gib_pages, ignored, vendor }
}

fn two_level(mode: &Mode) -> TwoLevel {
    let Mode::TwoLevel { phys_bits, pse, pse36, ignored } = *mode else {
        panic!("{mode:?} has other levels")
    };
    TwoLevel::new(TwoLevelFeatures { phys_bits: phys_bits as u8, pse, pse36, ignored })
}

fn pae(mode: &Mode) -> Pae {
    let Mode::Pae { phys_bits, nx, strict_pdpte, ignored } = *mode else { panic!("{mode:?} is not PAE") };
    Pae::new(PaeFeatures { phys_bits: phys_bits as u8, nx, strict_pdpte, ignored })
}

fn four_level(mode: &Mode) -> FourLevel {
    let Mode::FourLevel(features) = *mode else { panic!("{mode:?} has other levels") };
    FourLevel::new(long(features))
}

fn five_level(mode: &Mode) -> FiveLevel {
    let Mode::FiveLevel(features) = *mode else { panic!("{mode:?} has other levels") };
    FiveLevel::new(long(features))
}

battery!(on_two_levels, Kind::TwoLevel, two_level);
battery!(on_pae, Kind::Pae, pae);
battery!(on_four_levels, Kind::FourLevel, four_level);
battery!(on_five_levels, Kind::FiveLevel, five_level);
