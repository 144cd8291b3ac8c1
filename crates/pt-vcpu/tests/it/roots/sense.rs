//! What entries make sense in a ranking, one table at a time.

use pt_amd64::FourLevel;
use pt_vcpu::{Paging, RankLimits, RankedRoot, rank_roots};

use super::made::Made;

/// There is memory below it.
const END: u64 = 0x5_0000;
/// What can be read ends here.
const HELD: u64 = 0x4_0000;
/// The tables that are judged.
const DIRECTORY: u64 = 0x6000;
const PAGES: u64 = 0x5000;

/// Sensible, mixed, stray and nonsense entries of four-level tables that have these entries in one of them.
///
/// The root also links a page table of 512 pages four times, so that no nonsense hides it.
fn counts(table: u64, entries: &[(u64, u64)]) -> [u64; 4] {
    let mut made = Made::pages(HELD >> 12);
    made.put8(0x1000, 0, 0x2067).put8(0x2000, 0, 0x3067).put8(0x2000, 1, DIRECTORY | 0x67);
    made.put8(0x3000, 0, PAGES | 0x67);
    (1..=4).for_each(|slot| _ = made.put8(0x3000, slot, 0x4067));
    (0..512).for_each(|page| _ = made.put8(0x4000, page, (page % 64) << 12 | 0x63));
    for &(slot, raw) in entries {
        made.put8(table, slot, raw);
    }
    let modes = [Paging::FourLevel(FourLevel::default())];
    let ranked = rank_roots(&modes, &made.0, &[0..=END - 1], [0x1000..=0x1fff], &RankLimits::default());
    let [RankedRoot { root: 0x1000, links: 1, sensible, mixed, stray, nonsense, .. }] = ranked[..] else {
        panic!("{ranked:?}")
    };
    // The root's link, two and five below it, and 512 pages over each of four paths.
    [sensible - (1 + 2 + 5 + 4 * 512), mixed, stray, nonsense]
}

/// Pages one after the other from slot 0 on, 0 for none.
fn pages(raw: &[u64]) -> [u64; 4] {
    counts(PAGES, &(0..).zip(raw.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn pages_in_memory() {
    // The first is sensible, and what has the attributes of the one before; accessed and dirty are none.
    assert_eq!(pages(&[]), [0, 0, 0, 0]);
    assert_eq!(pages(&[0x8063]), [1, 0, 0, 0]);
    assert_eq!(pages(&[0x8063, 0x9063]), [2, 0, 0, 0]);
    assert_eq!(pages(&[0x9063, 0x8063, 0, 0x2_0003]), [3, 0, 0, 0]);
    // One of others is mixed; the next of these is sensible again.
    assert_eq!(pages(&[0x8063, 0x9061]), [1, 1, 0, 0]);
    assert_eq!(pages(&[0x8063, 0x9061, 0xa061, 0xc061, 0xd063]), [3, 2, 0, 0]);
    // The same page again says nothing, whatever its attributes.
    assert_eq!(pages(&[0x8063, 0x8063, 0x8061]), [1, 0, 0, 0]);
    assert_eq!(pages(&[0x8063, 0x8061, 0x9061]), [2, 0, 0, 0]);
    assert_eq!(pages(&[0x8063, 0x9063, 0x8063]), [3, 0, 0, 0]);
}

#[test]
fn pages_out_of_memory() {
    let device = |page: u64| 0xfee0_0000 + (page << 12);
    // One by itself is stray.
    assert_eq!(pages(&[device(0) | 3]), [0, 0, 1, 0]);
    // Neighbours in addresses, slots and attributes make sense, as many as there are.
    for count in 2..5 {
        let raw: Vec<u64> = (0..count).map(|page| device(page) | 3).collect();
        assert_eq!(pages(&raw), [count, 0, 0, 0]);
    }
    assert_eq!(pages(&[device(0) | 3, 0, device(1) | 3]), [0, 0, 2, 0]);
    assert_eq!(pages(&[device(1) | 3, device(0) | 3]), [0, 0, 2, 0]);
    assert_eq!(pages(&[device(0) | 3, device(2) | 3]), [0, 0, 2, 0]);
    assert_eq!(pages(&[device(0) | 3, device(1) | 1]), [0, 0, 2, 0]);
    // One that was called stray stays so if it comes again before its neighbour.
    assert_eq!(pages(&[device(0) | 3, device(0) | 3]), [0, 0, 1, 0]);
    assert_eq!(pages(&[device(0) | 3, device(0) | 3, device(1) | 3]), [1, 0, 1, 0]);
    // Between pages in memory, and next to the last of it.
    assert_eq!(pages(&[0x8063, device(0) | 3, device(1) | 3, 0x9063]), [4, 0, 0, 0]);
    assert_eq!(pages(&[0x8063, device(0) | 1, 0x9063]), [1, 1, 1, 0]);
    assert_eq!(pages(&[(END - 0x1000) | 3, END | 3]), [2, 0, 0, 0]);
    assert_eq!(pages(&[(END - 0x1000) | 3, 0, END | 3]), [1, 0, 1, 0]);
    // Large pages are neighbours by their own size.
    assert_eq!(counts(DIRECTORY, &[(0, 0x4000_0083), (1, 0x4020_0083)]), [2, 0, 0, 0]);
    assert_eq!(counts(DIRECTORY, &[(0, 0x4000_0083), (1, 0x4040_0083)]), [0, 0, 2, 0]);
}

#[test]
fn links() {
    let directory = |raw| counts(DIRECTORY, &[(3, raw)]);
    // With all that is below, once per path.
    assert_eq!(directory(0x7067), [1, 0, 0, 0]);
    assert_eq!(directory(0x4067), [513, 0, 0, 0]);
    assert_eq!(counts(DIRECTORY, &[(0, 0x4067), (1, 0x4067)]), [1026, 0, 0, 0]);
    // With the global bit; out of memory; in memory that cannot be read.
    assert_eq!(directory(0x7167), [0, 0, 0, 1]);
    assert_eq!(directory(END | 0x67), [0, 0, 0, 1]);
    assert_eq!(directory(END | 0x167), [0, 0, 0, 1]);
    assert_eq!(directory(HELD | 0x67), [1, 0, 0, 1]);
}

#[test]
fn what_is_no_entry() {
    // A swapped page, which only a page table can have, and a bit that is reserved.
    assert_eq!(pages(&[0x1234_5600]), [0, 0, 0, 0]);
    assert_eq!(counts(DIRECTORY, &[(3, 0x1234_5600)]), [0, 0, 0, 1]);
    assert_eq!(counts(DIRECTORY, &[(3, 0x2083)]), [0, 0, 0, 1]);
    assert_eq!(counts(DIRECTORY, &[(3, 0x2083), (9, 2)]), [0, 0, 0, 2]);
}
