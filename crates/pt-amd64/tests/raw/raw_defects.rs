//! What other walkers get wrong, one test or more per defect: the raw interface on 4-level tables. The numbers are the
//! project's own list; `benches/tests/upstream` shows those that hyperlight-common has.

use SpaceAwareMapping::{AnotherSpace, SameSpace, ThisSpace};
use pt_amd64::raw::{
    BasicMapping, CowMapping, LinkRights, MappingKind, SpaceAwareMapping, SpaceReferenceMapping,
};
use pt_core::{Cause, Fault, Level};

use crate::*;

const UNRESTRICTED: LinkRights = LinkRights { writable: true, executable: true, user_accessible: true };
const MIB: u64 = 1 << 20;

/// A reference through a link with every right.
fn reference(depth: usize, space: u64, our_va: u64, their_va: u64, table: usize) -> SpaceReferenceMapping {
    SpaceReferenceMapping { depth, space, our_va, their_va, entry: link_to(table), rights: UNRESTRICTED }
}

/// Virtual and physical addresses and sizes of pages; anything else fails.
fn pages_in(mappings: &[SpaceAwareMapping]) -> Vec<(u64, u64, u64)> {
    let page = |mapping: &SpaceAwareMapping| match mapping {
        ThisSpace(page) => (page.virt_base, page.phys_base, page.len),
        other => panic!("{other:x?}"),
    };
    mappings.iter().map(page).collect()
}

#[test]
fn defect_01_a_root_given_twice() {
    let upper = 0xffff_8000_0000_0000;
    let mut tables = Tables::line(6);
    tables.set(3, 9, 0x9000 | ALL_RIGHTS);
    tables.link(0, 256, 4);
    tables.link(5, 7, 1);
    let walked = tables.walk(&[0, 0, 5, 0], EVERYTHING);
    assert_eq!(pages_in(&walked[0].1), [(0x9000, 0x9000, 0x1000)]);
    for again in [1, 3] {
        let links = [reference(1, 0, 0, 0, 1), reference(1, 0, upper, upper, 4)];
        assert_eq!(walked[again], (0, links.map(AnotherSpace).to_vec()));
    }
    // Another root's links still find their owner.
    assert_eq!(walked[2], (0x5000, vec![AnotherSpace(reference(1, 0, 7 << 39, 0, 1))]));
}

#[test]
fn defect_02_a_table_at_two_slots_of_one_root() {
    // At each level: the slots 0 and 3 of the table above it.
    for (above, span) in [(0, SPANS[0]), (1, SPANS[1]), (2, SPANS[2])] {
        let mut tables = Tables::line(4);
        tables.set(3, 9, 0x9000 | ALL_RIGHTS);
        tables.link(above, 3, above + 1);
        let mappings = tables.walk_one(EVERYTHING);
        assert_eq!(pages_in(&mappings[..1]), [(0x9000, 0x9000, 0x1000)]);
        assert_eq!(mappings[1..], [SameSpace(reference(above + 1, 0, 3 * span, 0, above + 1))]);
    }

    // The same, where an earlier space owns the table: both links are to that space.
    let mut tables = Tables::line(5);
    tables.set(3, 9, 0x9000 | ALL_RIGHTS);
    tables.link(4, 1, 1);
    tables.link(4, 2, 1);
    let links = [1, 2].map(|slot| AnotherSpace(reference(1, 0, slot << 39, 0, 1)));
    assert_eq!(tables.walk(&[0, 4], EVERYTHING)[1].1, links);
    // And the other way round, where it owns the table itself.
    let walked = tables.walk(&[4, 0], EVERYTHING);
    assert_eq!(walked[0].1[1..], [SameSpace(reference(1, 0x4000, 2 << 39, 1 << 39, 1))]);
    assert_eq!(walked[1].1, [AnotherSpace(reference(1, 0x4000, 0, 1 << 39, 1))]);
}

/// Two roots have one PT, at slots 0 and 1 of their PDs; the range ends in one and starts in the other.
#[test]
fn defect_03_a_range_that_shows_the_owner_a_part() {
    let mut tables = Tables::line(7);
    for (index, page) in [(0, 0xa000), (300, 0xb000), (511, 0xc000)] {
        tables.set(3, index, page | ALL_RIGHTS);
    }
    // Root 4 has a PDPT and a PD of its own, and the PT at slot 1.
    for (above, slot, table) in [(4, 0, 5), (5, 0, 6), (6, 1, 3)] {
        tables.link(above, slot, table);
    }
    let range = (MIB, 2 * MIB);
    let walked = tables.walk(&[0, 4], range);
    assert_eq!(pages_in(&walked[0].1), [(0x12_c000, 0xb000, 0x1000), (0x1f_f000, 0xc000, 0x1000)]);
    assert_eq!(pages_in(&walked[1].1), [(2 * MIB, 0xa000, 0x1000)]);
    // Equal windows share.
    let walked = tables.walk(&[0, 4], (0, 4 * MIB));
    assert_eq!(walked[1].1, [AnotherSpace(reference(3, 0, 2 * MIB, 0, 3))]);
}

/// The PML4 has one PDPT at slots 0 and 1. All indices of both are in range; what is cut is an entry of the PT, two
/// levels below.
#[test]
fn defect_03_a_cut_some_levels_deeper() {
    let mut tables = Tables::line(4);
    tables.link(0, 1, 1);
    tables.set(3, 0, 0xa000 | ALL_RIGHTS);
    tables.set(3, 1, 0xb000 | ALL_RIGHTS);
    let second = 1 << 39;
    let at_start = tables.walk_one((0x1000, 1 << 40));
    let pages = [(0x1000, 0xb000, 0x1000), (second, 0xa000, 0x1000), (second + 0x1000, 0xb000, 0x1000)];
    assert_eq!(pages_in(&at_start), pages);
    let at_end = tables.walk_one((0, second + 0x1000));
    let pages = [(0, 0xa000, 0x1000), (0x1000, 0xb000, 0x1000), (second, 0xa000, 0x1000)];
    assert_eq!(pages_in(&at_end), pages);
    let at_both = tables.walk_one((0x1000, second));
    assert_eq!(pages_in(&at_both), [(0x1000, 0xb000, 0x1000), (second, 0xa000, 0x1000)]);

    // Every slot of every table links the next; the range starts and ends inside the first and last of four. The
    // slots between are whole, and so are references to the first of them.
    let mut tables = Tables::line(4);
    for table in 0..3 {
        for slot in 1..4 {
            tables.link(table, slot, table + 1);
        }
    }
    for page in 0..4 {
        tables.set(3, page as usize, (page << 12) | ALL_RIGHTS);
    }
    for first in 0..5 {
        for last in 5..9 {
            tables.walk_one((first << 12, (3 << 39) + (3 << 30) + (3 << 21) + ((last - 5) << 12) + 1));
        }
    }
}

/// The frames of these pages are outside the tables: reading them would panic.
#[test]
fn defect_05_large_pages_are_pages() {
    const PAT: u64 = 1 << 12;
    let mut tables = Tables::line(4);
    tables.set(1, 511, 0x00f0_4000_0000 | ALL_RIGHTS | LARGE | PAT);
    tables.set(2, 1, 0x00f0_0020_0000 | ALL_RIGHTS | LARGE);
    tables.set(2, 511, 0x00f0_0040_0000 | (ALL_RIGHTS & !WRITABLE) | LARGE | PAT | 1 << 9);
    // In a PT the same bit is PAT.
    tables.set(3, 0, 0x9000 | ALL_RIGHTS | LARGE);
    let mappings = tables.walk_one(EVERYTHING);
    let sizes = [
        (0, 0x9000, 0x1000),
        (2 * MIB, 0x00f0_0020_0000, 2 * MIB),
        (1022 * MIB, 0x00f0_0040_0000, 2 * MIB),
        (511 << 30, 0x00f0_4000_0000, 1024 * MIB),
    ];
    assert_eq!(pages_in(&mappings), sizes);
    let cow = MappingKind::Cow(CowMapping { readable: true, executable: true });
    assert!(matches!(mappings[2], ThisSpace(page) if page.kind == cow && page.entry & PAT != 0));

    // A range that starts and ends inside of them: entries are walked whole, pages are translated one by one.
    let inside = (2 * MIB + 0x5678, 0x1000);
    assert_eq!(pages_in(&tables.walk_only(&[0], inside)[0].1), [sizes[1]]);
    let pages: Vec<_> = tables.pages(inside).map(|page| (page.virt_base, page.phys_base, page.len)).collect();
    let expected = [5, 6].map(|page| (2 * MIB + (page << 12), 0x00f0_0020_0000 + (page << 12), 0x1000));
    assert_eq!(pages, expected);
    let last = tables.pages((0x007f_ffff_ffff, 1)).map(|page| page.phys_base);
    assert!(last.eq([0x00f0_7fff_f000]));
    assert_eq!(tables.pages((511 << 30, 1 << 30)).count(), 1 << 18);
}

#[test]
fn defect_06_rights_are_those_of_the_path() {
    let leaf = 0x9000 | ALL_RIGHTS;
    for depth in 0..4 {
        for taken in [WRITABLE, USER, NO_EXECUTE, WRITABLE | USER | NO_EXECUTE] {
            let mut tables = Tables::line(4);
            tables.set(3, 0, leaf);
            let entry = if depth == 3 { leaf } else { link_to(depth + 1) } ^ taken;
            tables.set(depth, 0, entry);
            let expected = BasicMapping {
                readable: true,
                writable: taken & WRITABLE == 0,
                executable: taken & NO_EXECUTE == 0,
            };
            let walked = tables.walk_one(EVERYTHING);
            let [ThisSpace(page)] = walked[..] else { panic!("{walked:x?}") };
            assert_eq!(page.kind, MappingKind::Basic(expected));
            assert_eq!(page.user_accessible, taken & USER == 0);
            assert_eq!(page.entry, if depth == 3 { entry } else { leaf });
            assert!(tables.pages((0, 0x1000)).eq([page]));
        }
    }
}

/// A copy-on-write page under a link with XD cannot be executed either.
#[test]
fn defect_06_rights_of_copy_on_write_pages() {
    let mut tables = Tables::line(4);
    tables.set(0, 0, link_to(1) | NO_EXECUTE);
    tables.set(3, 0, 0x9000 | (ALL_RIGHTS & !WRITABLE) | 1 << 9);
    let kind = MappingKind::Cow(CowMapping { readable: true, executable: false });
    assert!(matches!(tables.walk_one(EVERYTHING)[..], [ThisSpace(page)] if page.kind == kind));
    // The mark is bit 9 alone in 11:9.
    for other in [1 << 10, 1 << 11, 0b11 << 9, 0b101 << 9, 0b111 << 9] {
        tables.set(3, 0, 0x9000 | ALL_RIGHTS | other);
        let walked = tables.walk_one(EVERYTHING);
        assert!(matches!(walked[..], [ThisSpace(page)] if matches!(page.kind, MappingKind::Basic(_))));
    }
}

/// A/D, PWT, PCD, PAT, G, software bits, the key, and XD: all of the leaf is in the result, and of each link.
#[test]
fn defect_06_no_bit_of_an_entry_is_lost() {
    let mut tables = Tables::line(5);
    let leaf = 0x9000 | 0xfff0_0000_0000_0fff;
    tables.set(3, 0, leaf);
    let link = link_to(1) | 0x7ff0_0000_0000_0e18;
    tables.set(4, 0, link);
    let walked = tables.walk(&[0, 4], EVERYTHING);
    assert!(matches!(walked[0].1[..], [ThisSpace(page)] if page.entry == leaf && page.phys_base == 0x9000));
    assert!(matches!(walked[1].1[..], [AnotherSpace(shared)] if shared.entry == link));
    assert!(tables.pages((0, 1)).all(|page| page.entry == leaf));
}

#[test]
fn defect_09_malformed_entries_are_faults() {
    // By table: the entry, the bits that are wrong with it, and how many pages its fault hides.
    let malformed = [
        (0, link_to(2) | LARGE, LARGE),
        (1, 0x4000_0000 | ALL_RIGHTS | LARGE | 1 << 13, 1 << 13),
        (1, 0x6000_0000 | ALL_RIGHTS | LARGE, 1 << 29),
        (2, 0x0020_2000 | ALL_RIGHTS | LARGE, 1 << 13),
        (2, 0x0030_0000 | ALL_RIGHTS | LARGE, 1 << 20),
    ];
    for (table, raw, reserved) in malformed {
        let mut tables = Tables::line(4);
        tables.set(3, 0, 0x9000 | ALL_RIGHTS);
        tables.set(table, 5, raw);
        let level = Level::new(4 - table as u8).expect("a level");
        let va = 5 * SPANS[table];
        let cause = Cause::Malformed { level, entry: table as u64 * 4096 + 40, raw, reserved };
        let mappings = tables.walk_one(EVERYTHING);
        assert_eq!(pages_in(&mappings[..1]), [(0, 0x9000, 0x1000)]);
        assert_eq!(mappings[1..], [SpaceAwareMapping::Fault(Fault { space: 0, va, cause })]);
        assert_eq!(tables.pages((va, SPANS[table])).count(), 0);
    }
}

#[test]
fn defect_10_ranges_do_not_overflow() {
    let mut tables = Tables::line(8);
    tables.set(3, 0, 0xa000 | ALL_RIGHTS);
    tables.set(3, 1, 0xb000 | ALL_RIGHTS);
    for (table, next) in [(0, 4), (4, 5), (5, 6), (6, 7)] {
        tables.set(table, 511, link_to(next));
    }
    let top = u64::MAX - 0xfff;
    tables.set(7, 511, 0xc000 | ALL_RIGHTS);
    let cases: [((u64, u64), &[u64]); 16] = [
        (EVERYTHING, &[0, 0x1000, top]),
        ((0, u64::MAX), &[0, 0x1000, top]),
        ((0x1000, u64::MAX), &[0x1000, top]),
        ((0x1fff, u64::MAX), &[0x1000, top]),
        ((0x2000, u64::MAX), &[top]),
        ((top, 0x1000), &[top]),
        ((top, 0x1001), &[top]),
        ((top, u64::MAX), &[top]),
        ((u64::MAX, 1), &[top]),
        ((u64::MAX, 2), &[top]),
        ((u64::MAX, u64::MAX), &[top]),
        ((top & !(0xffff << 48), 0x1000), &[top]),
        ((0xdead_0000_0000_0fff, 2), &[0, 0x1000]),
        ((0, 0), &[]),
        ((0x1234, 0), &[]),
        ((u64::MAX, 0), &[]),
    ];
    for (range, expected) in cases {
        let walked: Vec<u64> = tables.walk_one(range).iter().map(first_va).collect();
        assert_eq!(walked, expected, "{range:x?}");
        assert!(tables.pages(range).map(|page| page.virt_base).eq(expected.iter().copied()), "{range:x?}");
    }
}

/// Four tables, every entry of which links the next: 512^4 paths, and 512 pages.
#[test]
fn defect_11_an_alias_bomb() {
    let mut tables = Tables::new(4);
    for index in 0..512 {
        (0..3).for_each(|table| tables.link(table, index, table + 1));
        // These are pages, but from other roots the table can be at any depth.
        tables.link(3, index, 3);
    }
    let walked = tables.walk_only(&[0], EVERYTHING);
    assert_eq!(walked[0].1.len(), 512 + 3 * 511);
    assert_eq!(tables.reads(), 4 * 512);
    // With both ends cut, and again from other roots: a table has four windows at most at each depth.
    let range = (0x1000, (1 << 48) - 0x2000);
    let walked = tables.walk_only(&[0, 1, 2, 3, 0], range);
    let bound = 5 * 4 * 4 * 4 * 512;
    assert!(tables.reads() <= bound);
    assert!(walked.iter().map(|(_, mappings)| mappings.len()).sum::<usize>() <= bound);
    // Lazily, page by page, a bomb is a range like any other.
    assert!(tables.pages(EVERYTHING).take(5000).all(|page| page.phys_base == 0x3000));
    assert!(tables.reads() < 5100);
}

/// Every entry of every table links any of them, itself included.
#[test]
fn defect_11_self_maps_at_every_level() {
    for count in 1..=4 {
        let mut tables = Tables::new(count);
        for table in 0..count {
            (0..512).for_each(|index| tables.link(table, index, index % count));
        }
        let roots: Vec<usize> = (0..count).collect();
        let walked = tables.walk_only(&roots, EVERYTHING);
        // Each table at each depth, once.
        assert_eq!(tables.reads(), count * 4 * 512);
        // As a PT a table gives 512 pages; above that, each link that introduces no table is a reference.
        let tables_and_aliases = count * 3 * 512;
        let introduced = count * 3;
        let mappings: usize = walked.iter().map(|(_, mappings)| mappings.len()).sum();
        assert_eq!(mappings, count * 512 + tables_and_aliases - introduced);
    }
}
