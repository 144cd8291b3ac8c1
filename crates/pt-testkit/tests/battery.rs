//! The battery on the four formats of x86.

mod formats;

use formats::OfMode;
use pt_amd64::{FiveLevel, FourLevel};
use pt_i686::{Pae, TwoLevel};
use pt_testkit::battery;
use pt_testkit::generate::Kind;

battery!(on_two_levels, Kind::TwoLevel, TwoLevel::of_mode);
battery!(on_pae, Kind::Pae, Pae::of_mode);
battery!(on_four_levels, Kind::FourLevel, FourLevel::of_mode);
battery!(on_five_levels, Kind::FiveLevel, FiveLevel::of_mode);
