//! What other walkers get wrong, one test or more per defect: the raw interface on 2-level tables. The numbers are the
//! project's own list; `benches/tests/upstream` shows those that hyperlight-common has.

use SpaceAwareMapping::{AnotherSpace, SameSpace, ThisSpace};
use pt_core::{Cause, Fault, Level};
use pt_i686::raw::{
    BasicMapping, CowMapping, LinkRights, MappingKind, SpaceAwareMapping, SpaceReferenceMapping,
};

use crate::*;

/// A reference through a link with every right.
fn reference(space: u64, our_va: u64, their_va: u64, table: usize) -> SpaceReferenceMapping {
    let rights = LinkRights { writable: true, executable: true, user_accessible: true };
    SpaceReferenceMapping { depth: 1, space, our_va, their_va, entry: link_to(table), rights }
}

/// Virtual and physical addresses and sizes of pages; anything else fails.
fn pages_in(mappings: &[SpaceAwareMapping]) -> Vec<(u64, u64, u64)> {
    let page = |mapping: &SpaceAwareMapping| match mapping {
        ThisSpace(page) => (page.virt_base, page.phys_base, page.len),
        other => panic!("{other:x?}"),
    };
    mappings.iter().map(page).collect()
}

/// A 4 MiB page is a leaf of the root itself, and so a leaf each time.
#[test]
fn defect_01_a_root_given_twice() {
    let mut tables = Tables::line(3);
    tables.set(1, 9, 0x9000 | ALL_RIGHTS);
    tables.set(0, 2, 0x0080_0000 | ALL_RIGHTS | LARGE);
    tables.link(2, 7, 1);
    let walked = tables.walk(&[0, 0, 2, 0], EVERYTHING);
    let large = (2 * SLOT, 0x0080_0000, SLOT);
    assert_eq!(pages_in(&walked[0].1), [(0x9000, 0x9000, 0x1000), large]);
    for again in [1, 3] {
        assert_eq!(walked[again].0, 0);
        assert_eq!(walked[again].1[..1], [AnotherSpace(reference(0, 0, 0, 1))]);
        assert_eq!(pages_in(&walked[again].1[1..]), [large]);
    }
    // Another root's links still find their owner.
    assert_eq!(walked[2], (0x2000, vec![AnotherSpace(reference(0, 7 * SLOT, 0, 1))]));
}

#[test]
fn defect_02_a_table_at_two_slots_of_one_root() {
    let mut tables = Tables::line(3);
    tables.set(1, 9, 0x9000 | ALL_RIGHTS);
    tables.link(0, 1023, 1);
    tables.link(2, 3, 1);
    tables.link(2, 4, 1);
    let walked = tables.walk(&[0, 2], EVERYTHING);
    assert_eq!(pages_in(&walked[0].1[..1]), [(0x9000, 0x9000, 0x1000)]);
    assert_eq!(walked[0].1[1..], [SameSpace(reference(0, 1023 * SLOT, 0, 1))]);
    assert_eq!(walked[1].1, [3, 4].map(|slot| AnotherSpace(reference(0, slot * SLOT, 0, 1))));
    // The other way round, the other one owns it.
    let walked = tables.walk(&[2, 0], EVERYTHING);
    assert_eq!(walked[0].1[1..], [SameSpace(reference(0x2000, 4 * SLOT, 3 * SLOT, 1))]);
    assert_eq!(walked[1].1, [0, 1023].map(|slot| AnotherSpace(reference(0x2000, slot * SLOT, 3 * SLOT, 1))));
}

/// Two roots have one PT at different slots; the range ends in one and starts in the other.
#[test]
fn defect_03_a_range_that_shows_the_owner_a_part() {
    let mut tables = Tables::line(3);
    for (index, page) in [(0, 0xa000), (600, 0xb000), (1023, 0xc000)] {
        tables.set(1, index, page | ALL_RIGHTS);
    }
    tables.link(2, 1, 1);
    let walked = tables.walk(&[0, 2], (SLOT / 2, SLOT));
    assert_eq!(pages_in(&walked[0].1), [(0x25_8000, 0xb000, 0x1000), (0x3f_f000, 0xc000, 0x1000)]);
    assert_eq!(pages_in(&walked[1].1), [(SLOT, 0xa000, 0x1000)]);
    // Seen by both in full, it is shared.
    let walked = tables.walk(&[0, 2], (0, 2 * SLOT));
    assert_eq!(walked[1].1, [AnotherSpace(reference(0, SLOT, 0, 1))]);
    // Within one space: two slots cut at either end, one between them whole.
    (1..3).for_each(|slot| tables.link(0, slot, 1));
    for (first, last) in
        [(0, 0x3000), (0x1000, 0x3000), (0x1000, SLOT - 1), (0x3f_f000, 0), (0x25_9000, 0x25_7000)]
    {
        tables.walk_one((first, 2 * SLOT + last - first + 1));
    }
}

/// The frames of these pages are outside the tables: reading them would panic.
#[test]
fn defect_05_large_pages_are_pages() {
    const PAT: u64 = 1 << 12;
    // Bits 20:13 are PA[39:32].
    const HIGH: u64 = 0xa5 << 13;
    let mut tables = Tables::line(2);
    tables.set(0, 1, 0xffc0_0000 | ALL_RIGHTS | LARGE | HIGH | PAT);
    tables.set(0, 1023, 0x0040_0000 | (ALL_RIGHTS & !WRITABLE) | LARGE | 1 << 9);
    // In a PT the same bit is PAT.
    tables.set(1, 0, 0x9000 | ALL_RIGHTS | LARGE);
    let mappings = tables.walk_one(EVERYTHING);
    let sizes = [(0, 0x9000, 0x1000), (SLOT, 0xa5_ffc0_0000, SLOT), (1023 * SLOT, 0x0040_0000, SLOT)];
    assert_eq!(pages_in(&mappings), sizes);
    assert!(matches!(mappings[1], ThisSpace(page) if page.entry & (PAT | HIGH) == (PAT | HIGH)));
    let cow = MappingKind::Cow(CowMapping { readable: true, executable: true });
    assert!(matches!(mappings[2], ThisSpace(page) if page.kind == cow));

    // A range that starts and ends inside of one: the entry is walked whole, pages are translated one by one.
    let inside = (SLOT + 0x5678, 0x1000);
    assert_eq!(pages_in(&tables.walk_only(&[0], inside)[0].1), [sizes[1]]);
    let pages: Vec<_> = tables.pages(inside).map(|page| (page.virt_base, page.phys_base, page.len)).collect();
    assert_eq!(pages, [5, 6].map(|page| (SLOT + (page << 12), 0xa5_ffc0_0000 + (page << 12), 0x1000)));
    assert_eq!(tables.pages((SLOT, SLOT)).count(), 1024);
}

/// There is no XD: everything can be fetched.
#[test]
fn defect_06_rights_are_those_of_the_path() {
    let leaf = 0x9000 | ALL_RIGHTS;
    for depth in 0..2 {
        for taken in [0, WRITABLE, USER, WRITABLE | USER] {
            let mut tables = Tables::line(2);
            tables.set(1, 0, leaf);
            let entry = if depth == 1 { leaf } else { link_to(1) } ^ taken;
            tables.set(depth, 0, entry);
            let basic = BasicMapping { readable: true, writable: taken & WRITABLE == 0, executable: true };
            let walked = tables.walk_one(EVERYTHING);
            let [ThisSpace(page)] = walked[..] else { panic!("{walked:x?}") };
            assert_eq!(page.kind, MappingKind::Basic(basic));
            assert_eq!(page.user_accessible, taken & USER == 0);
            assert_eq!(page.entry, if depth == 1 { entry } else { leaf });
            assert!(tables.pages((0, 1)).eq([page]));
        }
    }
}

/// A/D, PWT, PCD, PAT, G and software bits: all of the leaf is in the result, and of each link.
#[test]
fn defect_06_no_bit_of_an_entry_is_lost() {
    let mut tables = Tables::line(3);
    tables.set(1, 0, 0xffff_ffff);
    let link = link_to(1) | 0xf18;
    tables.set(2, 0, link);
    let walked = tables.walk(&[0, 2], EVERYTHING);
    assert!(
        matches!(walked[0].1[..], [ThisSpace(page)] if page.entry == 0xffff_ffff && page.phys_base == 0xffff_f000)
    );
    assert!(matches!(walked[1].1[..], [AnotherSpace(shared)] if shared.entry == link));
}

/// Bit 21 of a 4 MiB page is the only reserved one where PSE-36 has its widest addresses.
#[test]
fn defect_09_malformed_entries_are_faults() {
    let mut tables = Tables::line(2);
    tables.set(1, 0, 0x9000 | ALL_RIGHTS);
    let raw = 0x0060_0000 | ALL_RIGHTS | LARGE;
    tables.set(0, 5, raw);
    tables.set(0, 6, 0x0080_0000 | ALL_RIGHTS | LARGE);
    let level = Level::new(2).expect("a level");
    let cause = Cause::Malformed { level, entry: 20, raw, reserved: 1 << 21 };
    let mappings = tables.walk_one(EVERYTHING);
    assert_eq!(pages_in(&mappings[..1]), [(0, 0x9000, 0x1000)]);
    assert_eq!(mappings[1], SpaceAwareMapping::Fault(Fault { space: 0, va: 5 * SLOT, cause }));
    assert_eq!(pages_in(&mappings[2..]), [(6 * SLOT, 0x0080_0000, SLOT)]);
    assert_eq!(tables.pages((5 * SLOT, SLOT)).count(), 0);
}

/// An address past 4 GiB is not one of the space's: there is no sign to extend, and nothing is masked.
#[test]
fn defect_10_ranges_do_not_overflow() {
    let mut tables = Tables::line(3);
    tables.set(1, 0, 0xa000 | ALL_RIGHTS);
    tables.set(1, 1, 0xb000 | ALL_RIGHTS);
    tables.link(0, 1023, 2);
    tables.set(2, 1023, 0xc000 | ALL_RIGHTS);
    let top = 0xffff_f000;
    let cases: [((u64, u64), &[u64]); 17] = [
        (EVERYTHING, &[0, 0x1000, top]),
        ((0, u64::MAX), &[0, 0x1000, top]),
        ((0x1000, u64::MAX), &[0x1000, top]),
        ((0x1fff, u64::MAX), &[0x1000, top]),
        ((0x2000, u64::MAX), &[top]),
        ((top, 0x1000), &[top]),
        ((top, 0x1001), &[top]),
        ((top, u64::MAX), &[top]),
        ((0xffff_ffff, 1), &[top]),
        ((0xffff_ffff, u64::MAX), &[top]),
        ((0, 0), &[]),
        ((0x1234, 0), &[]),
        ((top, 0), &[]),
        ((1 << 32, 1), &[]),
        ((1 << 32, u64::MAX), &[]),
        ((u64::MAX, 1), &[]),
        ((u64::MAX, u64::MAX), &[]),
    ];
    for (range, expected) in cases {
        let walked: Vec<u64> = tables.walk_one(range).iter().map(first_va).collect();
        assert_eq!(walked, expected, "{range:x?}");
        assert!(tables.pages(range).map(|page| page.virt_base).eq(expected.iter().copied()), "{range:x?}");
    }
}

/// Every entry of a directory links one table, or the directory itself, or one of several in turn.
#[test]
fn defect_11_alias_bombs_and_self_maps() {
    for count in 1..=4 {
        let mut tables = Tables::new(count);
        for table in 0..count {
            (0..1024).for_each(|index| tables.link(table, index, index % count));
        }
        let roots: Vec<usize> = (0..count).collect();
        let walked = tables.walk_only(&roots, EVERYTHING);
        // Each table as a directory and as a PT, once.
        assert_eq!(tables.reads(), count * 2 * 1024);
        // As a PT it gives 1024 pages; each link that introduces no table is a reference.
        let mappings: usize = walked.iter().map(|(_, mappings)| mappings.len()).sum();
        assert_eq!(mappings, count * 1024 + count * 1024 - count);
        // Cut at both ends, a table has four windows at most.
        tables.walk_only(&roots, (0x1000, (1 << 32) - 0x2000));
        assert!(tables.reads() <= count * 2 * 4 * 1024);
    }
    let mut bomb = Tables::new(2);
    for index in 0..1024 {
        bomb.link(0, index, 1);
        bomb.set(1, index, 0x9000 | ALL_RIGHTS);
    }
    assert_eq!(bomb.walk_only(&[0], EVERYTHING)[0].1.len(), 1024 + 1023);
    assert_eq!(bomb.reads(), 2 * 1024);
}
