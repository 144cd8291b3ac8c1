//! `Encode::passes` in one step is what `decode` and `widen` say in two.

use proptest::prelude::*;
use pt_amd64::{FiveLevel, FourLevel};
use pt_core::{Encode, Entry, Level};
use pt_i686::{Pae, TwoLevel};
use pt_testkit::generate::{Kind, feature_sets};

use crate::formats::OfMode;

fn passes<F: Encode + OfMode>(kind: Kind, raw: u64, attributes: u64) {
    let raw = if F::ENTRY_BYTES == 4 { raw & 0xffff_ffff } else { raw };
    for mode in feature_sets(kind) {
        let format = F::of_mode(&mode);
        for level in (1..=F::LEVELS).filter_map(Level::new) {
            let expected = match format.decode(level, raw) {
                Entry::Table(table) if format.widen(level, raw, attributes) == raw => Some(table),
                _ => None,
            };
            assert_eq!(format.passes(level, raw, attributes), expected, "{raw:#x} at {level} of {mode:x?}");
        }
    }
}

proptest! {
    /// Addresses that fit, and all bits of flags; or any bits at all.
    #[test]
    fn a_link_passes_as_it_is_decoded_and_widened(
        (address, flags, wild) in (0..1_u64 << 20, any::<u64>(), prop::bool::weighted(0.2)),
        attributes in any::<u64>(),
    ) {
        let raw = if wild { flags } else { address << 12 | flags & 0x8000_0000_0000_0fff };
        passes::<TwoLevel>(Kind::TwoLevel, raw, attributes);
        passes::<Pae>(Kind::Pae, raw, attributes);
        passes::<FourLevel>(Kind::FourLevel, raw, attributes);
        passes::<FiveLevel>(Kind::FiveLevel, raw, attributes);
    }
}
