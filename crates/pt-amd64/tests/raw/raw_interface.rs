//! What the raw interface promises on 4-level tables: references, order, laziness, and how an embedder may address its
//! tables.

use std::cell::Cell;

use SpaceAwareMapping::{AnotherSpace, SameSpace, ThisSpace};
use proptest::prelude::*;
use pt_amd64::raw::{
    LinkRights, SpaceAwareMapping, SpaceReferenceMapping, TableReadOps, virt_to_phys, walk_va_spaces,
};

use crate::*;

/// Two spaces have one table, at each depth. The second one's link has rights and marks of its own, and its path too.
#[test]
fn references_carry_their_own_link_and_path() {
    const MARKS: u64 = 0x7ff0_0000_0000_0e18;
    for depth in 1..=3 {
        for (taken, rights) in [
            (0, LinkRights { writable: true, executable: true, user_accessible: true }),
            (WRITABLE, LinkRights { writable: false, executable: true, user_accessible: true }),
            (USER, LinkRights { writable: true, executable: true, user_accessible: false }),
            (NO_EXECUTE, LinkRights { writable: true, executable: false, user_accessible: true }),
        ] {
            // What the path takes away, it takes away at any link.
            for from in 0..depth {
                let mut tables = Tables::line(7);
                tables.set(3, 5, 0x9000 | ALL_RIGHTS);
                // Tables 4 and on are the second root and those below it, as far down as it has its own.
                let entry = |above: usize, link: u64| if above == from { link ^ taken } else { link };
                let mut our_va = 0;
                for (above, span) in SPANS[..depth - 1].iter().enumerate() {
                    tables.set(4 + above, 2, entry(above, link_to(5 + above)));
                    our_va += 2 * span;
                }
                let link = entry(depth - 1, link_to(depth) | MARKS);
                tables.set(3 + depth, 7, link);
                our_va += 7 * SPANS[depth - 1];

                let walked = tables.walk(&[0, 4], EVERYTHING);
                let expected =
                    SpaceReferenceMapping { depth, space: 0, our_va, their_va: 0, entry: link, rights };
                assert_eq!(walked[1], (0x4000, vec![AnotherSpace(expected)]));
                // Without the first root it is a page, with the same path's rights.
                let alone = tables.walk(&[4], EVERYTHING).remove(0).1;
                assert!(
                    matches!(alone[..], [ThisSpace(page)] if page.user_accessible == rights.user_accessible)
                );
            }
        }
    }
}

/// The first root in the list owns what is shared, whatever the order of addresses; so references only point back.
#[test]
fn roots_own_tables_in_the_order_of_the_list() {
    let mut tables = Tables::line(8);
    tables.set(3, 0, 0x9000 | ALL_RIGHTS);
    for (root, slot) in [(4, 1), (5, 2), (6, 3)] {
        tables.link(root, slot, 1);
        tables.link(root, 256 + slot, 7);
    }
    for order in [[0, 4, 5, 6], [6, 5, 4, 0], [5, 0, 6, 4]] {
        let walked = tables.walk(&order, EVERYTHING);
        assert!(matches!(walked[0].1[0], ThisSpace(_)));
        for (_, mappings) in &walked[1..] {
            let AnotherSpace(shared) = mappings[0] else { panic!("{mappings:x?}") };
            assert_eq!((shared.depth, shared.space), (1, order[0] as u64 * 4096));
        }
        // Root 0 has no part in table 7.
        let owner = order.iter().find(|&&root| root != 0).map(|&root| root as u64 * 4096);
        let spaces = walked.iter().filter_map(|(_, mappings)| mappings.get(1));
        for mapping in spaces {
            assert!(matches!(mapping, AnotherSpace(shared) if Some(shared.space) == owner));
        }
    }
}

/// PCID, PWT and PCD of CR3 are not address. The id of a space is its root as it was given.
#[test]
fn roots_may_carry_flags() {
    let mut tables = Tables::line(4);
    tables.set(3, 0, 0x9000 | ALL_RIGHTS);
    // SAFETY: reads are checked against the `Vec`, which nothing writes while it is borrowed.
    let walked = unsafe { walk_va_spaces(&tables, &[0x018, 0], 0, 1 << 48) };
    assert_eq!(walked[0].0, 0x018);
    assert!(matches!(walked[0].1[..], [ThisSpace(page)] if page.phys_base == 0x9000));
    assert!(matches!(walked[1].1[..], [AnotherSpace(shared)] if shared.space == 0x018 && shared.depth == 1));
}

/// Kernels keep such tables, so that every space sees what is mapped in them later.
#[test]
fn empty_tables_are_shared_too() {
    let mut tables = Tables::line(8);
    tables.link(0, 300, 4);
    tables.link(5, 300, 4);
    tables.link(5, 0, 1);
    tables.link(5, 1, 6);
    tables.link(6, 3, 2);
    tables.link(6, 4, 7);
    tables.link(7, 5, 3);
    let walked = tables.walk(&[0, 5], EVERYTHING);
    assert!(walked[0].1.is_empty());
    let depths = walked[1].1.iter().map(|mapping| match mapping {
        AnotherSpace(shared) => (shared.depth, shared.their_va),
        other => panic!("{other:x?}"),
    });
    assert!(depths.eq([(1, 0), (2, 0), (3, 0), (1, 0xffff_0000_0000_0000 | 300 << 39)]));
}

/// A table at two depths of one space is two tables: owned by (table, depth).
#[test]
fn one_table_at_two_depths() {
    let mut tables = Tables::line(4);
    // The last slot of the PML4 is the PML4.
    tables.link(0, 511, 0);
    tables.set(3, 9, 0x8000 | ALL_RIGHTS);
    let mappings = tables.walk_one(EVERYTHING);
    let pages: Vec<(u64, u64)> = mappings
        .iter()
        .filter_map(|mapping| match mapping {
            ThisSpace(page) => Some((page.virt_base, page.phys_base)),
            _ => None,
        })
        .collect();
    // The page; the PT, the PD, the PDPT and the PML4 as pages of the self-map.
    let addresses = [
        (0x9000, 0x8000),
        (0xffff_ff80_0000_0000, 0x3000),
        (0xffff_ffff_c000_0000, 0x2000),
        (0xffff_ffff_ffe0_0000, 0x1000),
        (0xffff_ffff_ffff_f000, 0),
    ];
    assert_eq!(pages, addresses);
    assert!(!mappings.iter().any(|mapping| matches!(mapping, AnotherSpace(_) | SameSpace(_))));
}

/// One read per level for the first page, one for the next in the same table, none for the next in the same large page.
#[test]
fn pages_are_translated_as_they_are_asked_for() {
    let mut tables = Tables::line(5);
    (0..512).for_each(|index| tables.set(3, index, (index as u64) << 12 | ALL_RIGHTS));
    tables.set(2, 1, 0x00f0_0020_0000 | ALL_RIGHTS | LARGE);
    tables.set(1, 1, 0x00f0_4000_0000 | ALL_RIGHTS | LARGE);
    {
        let mut pages = tables.pages(EVERYTHING);
        assert_eq!(tables.reads(), 0);
        for reads in std::iter::once(4).chain(std::iter::repeat_n(1, 511)) {
            assert!(pages.next().is_some());
            assert_eq!(tables.reads(), reads);
        }
        for reads in std::iter::once(1).chain(std::iter::repeat_n(0, 511)) {
            assert!(pages.next().is_some());
            assert_eq!(tables.reads(), reads);
        }
        // The rest of the PD, absent; then the 1 GiB page.
        assert_eq!(pages.next().map(|page| page.phys_base), Some(0x00f0_4000_0000));
        assert_eq!(tables.reads(), 510 + 1);
        assert_eq!(pages.nth((1 << 18) - 3).map(|page| page.phys_base), Some(0x00f0_7fff_e000));
        assert_eq!(tables.reads(), 0);
    }
    // One page, and nothing of the tables but its path.
    for (address, reads) in [(0x3fff, 4), (0x20_0000, 3), (0x4000_0000, 2), (1 << 39, 1)] {
        assert!(tables.pages((address, 1)).count() <= 1);
        assert_eq!(tables.reads(), reads);
        assert!(tables.walk_only(&[0], (address, 1))[0].1.len() <= 1);
        assert_eq!(tables.reads(), reads);
    }
    // Two roots, a page of each: the second one's path ends where it meets the first one's.
    tables.link(4, 0, 1);
    assert_eq!(tables.walk_only(&[0, 4], (0x3000, 0x1000))[1].1.len(), 1);
    assert_eq!(tables.reads(), 4 + 1);
    // Four pages across two tables.
    assert_eq!(tables.walk_only(&[0], (0x1f_e000, 0x4000))[0].1.len(), 3);
    assert_eq!(tables.reads(), 1 + 1 + 2 + 2);
}

/// Parts of a page of 2 MiB between 4 KiB pages, however many of them were asked for one by one before.
#[test]
fn pages_are_the_same_all_at_once() {
    let mut tables = Tables::line(5);
    tables.set(3, 511, 0x9000 | ALL_RIGHTS);
    tables.set(2, 1, 0x00f0_0020_0000 | ALL_RIGHTS | LARGE);
    tables.link(2, 2, 4);
    tables.set(4, 0, 0xa000 | ALL_RIGHTS);
    let parts = (0..512).map(|part| (0x20_0000 + (part << 12), 0x00f0_0020_0000 + (part << 12)));
    let expected: Vec<(u64, u64)> =
        [(0x1f_f000, 0x9000)].into_iter().chain(parts).chain([(0x40_0000, 0xa000)]).collect();
    for taken in [0, 1, 2, 300, 512, 513, 514] {
        let mut pages = tables.pages((0, 1 << 30)).map(|page| (page.virt_base, page.phys_base));
        let mut found: Vec<(u64, u64)> = std::iter::from_fn(|| pages.next()).take(taken).collect();
        pages.for_each(|page| found.push(page));
        assert_eq!(found, expected, "{taken} one by one");
    }
    // A range that begins and ends inside of it.
    let mut found = Vec::new();
    tables.pages((0x20_5678, 0x1000)).for_each(|page| found.push((page.virt_base, page.phys_base)));
    assert_eq!(found, expected[6..8]);
}

/// What is owned is a table at a depth through a window: two roots with the same part of it in range share it.
#[test]
fn cut_tables_are_shared_where_they_are_cut_alike() {
    let mut tables = Tables::line(8);
    for page in 0..8 {
        tables.set(3, page, (page as u64) << 12 | ALL_RIGHTS);
    }
    for (above, below) in [(4, 5), (5, 6), (6, 3)] {
        tables.link(above, 0, below);
    }
    for range in [(0x2000, 0x3000), (0, 0x3000), (0x2000, 1 << 21), (0x2345, 0x10)] {
        let walked = tables.walk(&[0, 4], range);
        assert!(matches!(walked[1].1[..], [AnotherSpace(shared)] if shared.depth == 3 && shared.our_va == 0));
    }
}

/// A page of a range, by its indices.
fn place() -> impl Strategy<Value = u64> {
    let index = prop::sample::select(&[0u64, 1, 255, 256, 511][..]);
    prop::array::uniform4(index).prop_map(|at| at.iter().zip(SPANS).map(|(index, span)| index * span).sum())
}

proptest! {
    /// Any graph: what holds of every walk, as [`Tables::walk`] checks it, aliases within and across roots, self-maps
    /// and cut ranges included.
    #[test]
    fn references_lose_nothing(
        links in prop::collection::vec((0..6usize, prop::sample::select(&[0usize, 1, 256, 511][..]), 0..6usize), 1..20),
        roots in prop::collection::vec(0..6usize, 1..5),
        (from, to) in (place(), place()),
    ) {
        let mut tables = Tables::new(6);
        for (table, index, to) in links {
            tables.link(table, index, to);
        }
        tables.walk(&roots, EVERYTHING);
        tables.walk(&roots, (from, to.saturating_sub(from) + 0x1000));
    }
}

/// An embedder whose addresses are (table, entry), not numbers.
#[test]
fn addresses_can_be_pairs() {
    struct Nested(Vec<[u64; 512]>, Cell<usize>);

    impl TableReadOps for Nested {
        type TableAddr = (usize, usize);

        fn entry_addr((table, entry): Self::TableAddr, entry_offset: u64) -> Self::TableAddr {
            (table, entry + entry_offset as usize / 8)
        }

        unsafe fn read_entry(&self, (table, entry): Self::TableAddr) -> u64 {
            self.1.set(self.1.get() + 1);
            self.0[table][entry]
        }

        fn to_phys((table, entry): Self::TableAddr) -> u64 {
            (table * 4096 + entry * 8) as u64
        }

        fn from_phys(addr: u64) -> Self::TableAddr {
            (addr as usize / 4096, addr as usize % 4096 / 8)
        }

        fn root_table(&self) -> Self::TableAddr {
            (1, 0)
        }
    }

    impl AsRef<Self> for Nested {
        fn as_ref(&self) -> &Self {
            self
        }
    }

    let mut nested = Nested(vec![[0; 512]; 6], Cell::new(0));
    for (table, entry, raw) in [
        (1, 0, link_to(2)),
        (2, 0, link_to(3)),
        (3, 0, link_to(4)),
        (4, 7, 0x9000 | ALL_RIGHTS),
        (5, 511, link_to(2)),
    ] {
        nested.0[table][entry] = raw;
    }
    // SAFETY: reads are checked against the `Vec`, which nothing writes while it is borrowed.
    let walked = unsafe { walk_va_spaces(&nested, &[(1, 0), (5, 0)], 0, 1 << 48) };
    assert_eq!((walked[0].0, walked[1].0), (0x1000, 0x5000));
    let [ThisSpace(page)] = walked[0].1[..] else { panic!("{walked:x?}") };
    assert_eq!((page.virt_base, page.phys_base), (0x7000, 0x9000));
    assert!(matches!(walked[1].1[..], [AnotherSpace(shared)] if shared.space == 0x1000));
    // SAFETY: as above.
    assert!(unsafe { virt_to_phys(&nested, 0x7abc, 1) }.eq([page]));
}

/// An embedder that lives in the memory that it maps: addresses are pointers, and physical addresses are theirs.
#[test]
fn addresses_can_be_pointers() {
    #[repr(C, align(4096))]
    #[derive(Clone)]
    struct Table([u64; 512]);

    #[derive(Clone, Copy)]
    struct InPlace(*const u64);

    impl TableReadOps for InPlace {
        type TableAddr = *const u64;

        fn entry_addr(addr: Self::TableAddr, entry_offset: u64) -> Self::TableAddr {
            addr.wrapping_byte_add(entry_offset as usize)
        }

        unsafe fn read_entry(&self, addr: Self::TableAddr) -> u64 {
            // SAFETY: the caller promises that `addr` lies inside a table, and tables are aligned.
            unsafe { addr.read() }
        }

        fn to_phys(addr: Self::TableAddr) -> u64 {
            addr.expose_provenance() as u64
        }

        fn from_phys(addr: u64) -> Self::TableAddr {
            std::ptr::with_exposed_provenance(addr as usize)
        }

        fn root_table(&self) -> Self::TableAddr {
            self.0
        }
    }

    impl AsRef<Self> for InPlace {
        fn as_ref(&self) -> &Self {
            self
        }
    }

    let mut tables: Box<[Table]> = vec![Table([0; 512]); 6].into();
    let base = tables.as_mut_ptr();
    let at = |table: usize| base.wrapping_add(table).cast::<u64>();
    let address = |table: usize| at(table).expose_provenance() as u64;
    for (table, entry, raw) in [
        (0, 256, address(1) | ALL_RIGHTS),
        (1, 0, address(2) | ALL_RIGHTS),
        (2, 0, address(3) | ALL_RIGHTS),
        (3, 7, 0x9000 | ALL_RIGHTS),
        (5, 0, address(1) | ALL_RIGHTS),
    ] {
        // SAFETY: the entry lies inside the box, and no reference to it is alive.
        unsafe { at(table).add(entry).write(raw) };
    }
    let roots = [at(0).cast_const(), at(5).cast_const()];
    // SAFETY: all links lead to tables of the box, which nothing writes during the call.
    let walked = unsafe { walk_va_spaces(&InPlace(roots[0]), &roots, 0, 1 << 48) };
    assert_eq!((walked[0].0, walked[1].0), (address(0), address(5)));
    let [ThisSpace(page)] = walked[0].1[..] else { panic!("{walked:x?}") };
    assert_eq!((page.virt_base, page.phys_base), (0xffff_8000_0000_7000, 0x9000));
    assert!(matches!(walked[1].1[..], [AnotherSpace(shared)] if shared.their_va == 0xffff_8000_0000_0000));
    // SAFETY: as above.
    assert!(unsafe { virt_to_phys(InPlace(roots[0]), 0x8000_0000_7fff, 1) }.eq([page]));
    drop(tables);
}
