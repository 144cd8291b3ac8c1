//! Every graph of a few tables of the toy format.

use pt_testkit::battery::{exhaust, page_ranges};
use pt_testkit::toy::Slot;

const WHOLE: (u64, u64) = (0, u64::MAX);

#[test]
fn every_graph_of_two_tables_with_every_kind_of_entry() {
    assert_eq!(exhaust(2, &Slot::all(2), &[0, 1, 0], &[WHOLE]), 10_000);
}

#[test]
fn every_graph_of_two_tables_in_every_range() {
    assert_eq!(exhaust(2, &Slot::shapes(2), &[0, 1], &page_ranges()), 256 * 41);
}

#[test]
fn every_graph_of_three_tables() {
    assert_eq!(exhaust(3, &Slot::shapes(3), &[0, 2], &[(0x2000, !0x1000)]), 15_625);
}
