//! Runs of 4 MiB pages of 2-level paging: the address in their entries has two parts, which meet at 4 GiB (PSE-36).

use pt_core::{Event, Leaves, Limits, Options, Walk};
use pt_i686::TwoLevel;

const PAGE: u64 = 4 << 20;
const BOUNDARY: u64 = 1 << 32;

const WRITABLE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;

/// The entry of a 4 MiB page.
const fn entry(pa: u64, attributes: u64) -> u64 {
    pa & 0xffc0_0000 | pa >> 32 << 13 | attributes | 0x81
}

/// The runs (address and number of pages) in a page directory with these entries from `first` on, taken one by one and all
/// at once.
fn runs(first: usize, entries: &[u64], leaves: Leaves) -> Vec<(u64, u32)> {
    let mut memory = vec![0; 0x1000];
    for (at, raw) in (first..).zip(entries) {
        memory[4 * at..4 * at + 4].copy_from_slice(&raw.to_le_bytes()[..4]);
    }
    let walk = || {
        let options = Options { leaves, ..Options::default() };
        Walk::single(TwoLevel::default(), &memory, 0, options, Limits::NONE).filter_map(|event| match event {
            Ok(Event::Leaf(leaf)) => Some((leaf.pa, leaf.pages)),
            _ => None,
        })
    };
    let (mut one_by_one, mut at_once) = (Vec::new(), Vec::new());
    for run in walk() {
        one_by_one.push(run);
    }
    walk().for_each(|run| at_once.push(run));
    assert_eq!(one_by_one, at_once);
    one_by_one
}

/// Pages one after the other up to 4 GiB and on from there, where `changed` says what attributes each has.
fn across(before: u64, behind: u64, changed: impl Fn(u64) -> u64) -> Vec<u64> {
    let below = (1..=before).rev().map(|page| entry(BOUNDARY - page * PAGE, 0));
    below.chain((0..behind).map(|page| entry(BOUNDARY + page * PAGE, changed(page)))).collect()
}

const PLACES: [(usize, u64, u64); 6] =
    [(0, 1, 1), (0, 1000, 24), (1, 1, 5), (7, 3, 9), (32, 32, 40), (1004, 10, 10)];

#[test]
fn a_run_goes_on_behind_4_gib() {
    for (first, before, behind) in PLACES {
        let start = BOUNDARY - before * PAGE;
        for leaves in [Leaves::Runs, Leaves::RunsIgnoringAccessedDirty] {
            let found = runs(first, &across(before, behind, |_| 0), leaves);
            assert_eq!(found, [(start, (before + behind) as u32)], "{before} and {behind} at {first}");
        }
    }
}

#[test]
fn a_run_ends_at_4_gib_where_attributes_change() {
    for (first, before, behind) in PLACES {
        let ends = [(BOUNDARY - before * PAGE, before as u32), (BOUNDARY, behind as u32)];
        let whole = [(ends[0].0, (before + behind) as u32)];
        let found = |attributes, leaves| runs(first, &across(before, behind, |_| attributes), leaves);
        for attributes in [WRITABLE, WRITABLE | ACCESSED] {
            assert_eq!(found(attributes, Leaves::Runs), ends);
            assert_eq!(found(attributes, Leaves::RunsIgnoringAccessedDirty), ends);
        }
        for attributes in [ACCESSED, ACCESSED | DIRTY] {
            assert_eq!(found(attributes, Leaves::Runs), ends);
            assert_eq!(found(attributes, Leaves::RunsIgnoringAccessedDirty), whole);
        }
    }
}

#[test]
fn a_run_that_went_on_behind_4_gib_ends_there_where_attributes_change() {
    let changed = |page| if page < 3 { ACCESSED } else { WRITABLE };
    let found = runs(7, &across(4, 5, changed), Leaves::RunsIgnoringAccessedDirty);
    assert_eq!(found, [(BOUNDARY - 4 * PAGE, 7), (BOUNDARY + 3 * PAGE, 2)]);
}

#[test]
fn a_run_ends_at_4_gib_where_another_page_follows() {
    // The page after the next, and the one that adding to the low part leads to.
    for other in [BOUNDARY + PAGE, 0] {
        for before in [1, 6] {
            let mut entries = across(before, 0, |_| 0);
            entries.push(entry(other, 0));
            let expected = [(BOUNDARY - before * PAGE, before as u32), (other, 1)];
            assert_eq!(runs(9, &entries, Leaves::Runs), expected);
        }
    }
}
