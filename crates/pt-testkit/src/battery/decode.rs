//! Decoding equals the oracle's, entry by entry, and the laws of a format hold.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pt_core::{Entry, Format};

use super::compare::{level, rights};
use crate::generate::{Kind, feature_sets, modes, page_mask};
use crate::naive::{Meaning, Mode, Rights, attributes, decode, restrict};

/// Bits that mean something somewhere: flags, and the ends of every field of any format.
const BITS: [u32; 17] = [0, 1, 2, 7, 8, 12, 13, 20, 21, 29, 39, 40, 46, 51, 52, 62, 63];

/// Random entries in random modes, and what is near them.
pub fn decoding<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    try_entries(kind, |mode, raw, other| {
        let format = format(mode);
        for number in 1..=mode.levels() {
            compare(mode, &format, number, raw);
            laws(mode, &format, number, raw, other);
        }
    });
}

/// Random modes with a random entry and a random value each.
pub(super) fn try_entries(kind: Kind, judge: impl Fn(&Mode, u64, u64)) {
    let times = std::env::var("PROPTEST_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(2000);
    let config = Config { cases: times, failure_persistence: None, ..Config::default() };
    let sparse =
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(one, two, three)| one & two & three | 1);
    let entries = prop_oneof![any::<u64>(), sparse];
    // Elsewhere tables lie at addresses with these bits. (A 4 MiB page has other address bits at the same place.)
    let low = prop_oneof![3 => Just(0), 1 => (13..32_u32).prop_map(|bit| 1 << bit)];
    let modes = (modes(kind), low);
    let modes =
        modes.prop_map(move |(mode, low)| if kind == Kind::TwoLevel { mode } else { mode.ignoring(low) });
    let outcome = TestRunner::new(config).run(&(modes, entries, any::<u64>()), |(mode, raw, other)| {
        let raw = if mode.entry_bytes() == 4 { raw & 0xffff_ffff } else { raw };
        judge(&mode, raw, other);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// All combinations of the interesting bits at every level, in modes with every combination of features.
pub fn interesting_bits<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    for mode in feature_sets(kind) {
        let format = format(&mode);
        let all = combinations(&mode);
        for number in 1..=mode.levels() {
            assert_eq!(format.decode(level::<F>(number), 0), Entry::Absent);
            let name = ["PT", "PD", "PDPT", "PML4", "PML5"][usize::from(number) - 1];
            assert_eq!(F::table_name(level::<F>(number)), name, "as the manuals have it");
            for &raw in &all {
                compare(&mode, &format, number, raw);
            }
            for &raw in all.iter().step_by(13) {
                laws(&mode, &format, number, raw, raw.rotate_left(7));
            }
        }
    }
}

/// All combinations of the interesting bits that an entry of the mode has.
pub(super) fn combinations(mode: &Mode) -> BTreeSet<u64> {
    let width = mode.entry_bytes() as u32 * 8;
    let bits: Vec<u32> = BITS.into_iter().filter(|&bit| bit < width).collect();
    let all: BTreeSet<u64> = (0..1_u64 << bits.len())
        .map(|combination| {
            let set = bits.iter().enumerate().filter(|(index, _)| combination >> index & 1 == 1);
            set.map(|(_, bit)| 1_u64 << bit).sum()
        })
        .collect();
    assert_eq!(all.len(), 1 << bits.len());
    all
}

fn compare<F: Format>(mode: &Mode, format: &F, number: u8, raw: u64) {
    let at = level::<F>(number);
    let engine = match format.decode(at, raw) {
        Entry::Absent => Meaning::Absent,
        Entry::Table(address) => Meaning::Table(address),
        Entry::Leaf(address) => Meaning::Leaf(address),
        Entry::Malformed { reserved } => Meaning::Malformed(reserved),
    };
    let oracle = decode(mode, number, raw);
    assert_eq!(engine, oracle, "{mode:x?}, level {number}, {raw:#x}");
    if matches!(oracle, Meaning::Table(_) | Meaning::Leaf(_)) {
        let above =
            [Rights::ALL, Rights { write: false, ..Rights::ALL }, Rights { user: false, ..Rights::ALL }];
        // Rights of the format's own type come from entries: those of a root, and what one entry took away.
        let engine = format.restrict(format.unrestricted(), at, raw);
        assert_eq!(
            rights(engine),
            restrict(mode, above[0], number, raw),
            "{mode:x?}, level {number}, {raw:#x}"
        );
        for (above, taken) in above.into_iter().zip([7_u64, 5, 3]) {
            let engine =
                format.restrict(format.restrict(format.unrestricted(), level::<F>(1), taken), at, raw);
            assert_eq!(
                rights(engine),
                restrict(mode, above, number, raw),
                "{mode:x?}, level {number}, {raw:#x}"
            );
        }
    }
}

/// The laws that [`Format`] states, and that nothing panics on the way.
fn laws<F: Format>(mode: &Mode, format: &F, number: u8, raw: u64, other: u64) {
    let at = level::<F>(number);
    let what = format!("{mode:x?}, level {number}, {raw:#x}");
    let (address, size) = match format.decode(at, raw) {
        Entry::Leaf(address) => (address, mode.entry_span(number)),
        Entry::Table(address) => (address, 4096),
        Entry::Absent | Entry::Malformed { .. } => {
            assert_eq!(format.relocate(at, raw, other & !0xfff), None, "{what} has no address");
            format.contiguous(at, raw);
            return;
        }
    };
    assert_eq!(format.relocate(at, raw, address), Some(raw), "{what}: the round trip loses something");
    for written in [false, true] {
        let marked = format.mark(at, raw, written);
        let set = marked & !raw;
        assert_eq!(raw & !marked, 0, "{what}: marking clears bits");
        assert_eq!(set & !F::ACCESSED_DIRTY, 0, "{what}: marking sets {set:#x}");
        assert_eq!(format.decode(at, marked), format.decode(at, raw), "{what}: marking changes the entry");
        assert_eq!(format.mark(at, marked, written), marked, "{what}: marking twice is marking once");
    }
    let fits = page_mask(mode, if matches!(format.decode(at, raw), Entry::Leaf(_)) { size } else { 4096 });
    for to in [other & fits, !other & fits, 0, fits] {
        let moved = format.relocate(at, raw, to).unwrap_or_else(|| panic!("{what} can hold {to:#x}"));
        match (format.decode(at, raw), format.decode(at, moved)) {
            (Entry::Leaf(_), Entry::Leaf(there)) | (Entry::Table(_), Entry::Table(there)) => {
                assert_eq!(there, to, "{what} moved to {moved:#x}");
            }
            kinds => panic!("{what} moved to {moved:#x} changes kind: {kinds:x?}"),
        }
        assert_eq!(
            attributes(mode, number, raw),
            attributes(mode, number, moved),
            "{what} moved to {moved:#x}"
        );
    }
    for to in [other, fits | 1 << 5, fits | (size / 2), fits | 1 << 52, (fits << 1) | 1 << 63, !0] {
        let moved = format.relocate(at, raw, to);
        assert_eq!(moved.is_some(), to & !fits == 0, "{what} to {to:#x}");
    }
    if matches!(format.decode(at, raw), Entry::Leaf(_)) {
        let most = format.contiguous(at, raw);
        assert!(most >= 1, "{what}: a page is contiguous with itself");
        let next = raw.wrapping_add(size);
        let goes_on = mode.entry_bytes() == 8 || u32::try_from(next).is_ok();
        if goes_on
            && format.decode(at, next) == Entry::Leaf(address + size)
            && attributes(mode, number, raw) == attributes(mode, number, next)
        {
            assert!(most > 1, "{what}: adding the size of a page gives the next one");
        }
        for number_of_page in [0, 1, most / 2, most - 1].into_iter().filter(|&number| number < most) {
            let next = raw.wrapping_add(number_of_page * size);
            let there = address + number_of_page * size;
            assert_eq!(
                format.decode(at, next),
                Entry::Leaf(there),
                "{what}: page {number_of_page} of {most}"
            );
            assert_eq!(attributes(mode, number, raw), attributes(mode, number, next), "{what}: {next:#x}");
        }
    }
}
