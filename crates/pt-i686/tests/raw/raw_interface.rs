//! What the raw interface promises on 2-level tables: references, order, laziness, 4-byte entries.

use SpaceAwareMapping::{AnotherSpace, ThisSpace};
use proptest::prelude::*;
use pt_i686::raw::{
    LinkRights, SpaceAwareMapping, SpaceReferenceMapping, TableReadOps, virt_to_phys, walk_va_spaces,
};

use crate::*;

/// Two spaces have one table; the second one's link has rights and marks of its own.
#[test]
fn references_carry_their_own_link() {
    for taken in [0, WRITABLE, USER, WRITABLE | USER] {
        let mut tables = Tables::line(3);
        tables.set(1, 5, 0x9000 | ALL_RIGHTS);
        let entry = (link_to(1) | 0xf18) ^ taken;
        tables.set(2, 7, entry);
        let rights = LinkRights {
            writable: taken & WRITABLE == 0,
            executable: true,
            user_accessible: taken & USER == 0,
        };
        let expected =
            SpaceReferenceMapping { depth: 1, space: 0, our_va: 7 * SLOT, their_va: 0, entry, rights };
        let walked = tables.walk(&[0, 2], EVERYTHING);
        assert_eq!(walked[1], (0x2000, vec![AnotherSpace(expected)]));
    }
}

/// The first root in the list owns what is shared, whatever the order of addresses, and even if it is empty.
#[test]
fn roots_own_tables_in_the_order_of_the_list() {
    let mut tables = Tables::line(5);
    tables.link(0, 1, 4);
    for root in [2, 3] {
        tables.link(root, 768, 1);
        tables.link(root, 769, 4);
    }
    for order in [[0, 2, 3], [3, 2, 0], [2, 0, 3]] {
        let walked = tables.walk(&order, EVERYTHING);
        let first = walked[0].0;
        assert!(walked[0].1.is_empty());
        for (_, mappings) in &walked[1..] {
            let to_first = |mapping: &_| matches!(mapping, AnotherSpace(shared) if shared.space == first);
            assert!(mappings.len() == 2 && mappings.iter().all(to_first));
        }
    }
}

/// The last slot of the directory is the directory: as a PT its links are pages.
#[test]
fn a_self_map_is_pages_and_no_reference() {
    let mut tables = Tables::line(2);
    tables.set(1, 5, 0x9000 | ALL_RIGHTS);
    tables.link(0, 1023, 0);
    let pages = tables.walk_one(EVERYTHING);
    let pages = pages.iter().map(|mapping| match mapping {
        ThisSpace(page) => (page.virt_base, page.phys_base),
        other => panic!("{other:x?}"),
    });
    assert!(pages.eq([(0x5000, 0x9000), (0xffc0_0000, 0x1000), (0xffff_f000, 0)]));
}

/// One read per level for the first page, one for the next in the same table, none for the next in the same large page.
#[test]
fn pages_are_translated_as_they_are_asked_for() {
    let mut tables = Tables::line(3);
    (0..1024).for_each(|index| tables.set(1, index, (index as u64) << 12 | ALL_RIGHTS));
    tables.set(0, 1, 0x0080_0000 | ALL_RIGHTS | LARGE);
    {
        let mut pages = tables.pages(EVERYTHING);
        assert_eq!(tables.reads(), 0);
        let table = std::iter::once(2).chain(std::iter::repeat_n(1, 1023));
        let large = std::iter::once(1).chain(std::iter::repeat_n(0, 1023));
        for reads in table.chain(large) {
            assert!(pages.next().is_some());
            assert_eq!(tables.reads(), reads);
        }
        assert_eq!(pages.next(), None);
        assert_eq!(tables.reads(), 1022);
    }
    for (address, reads) in [(0x3fff, 2), (SLOT, 1), (2 * SLOT, 1)] {
        assert!(tables.pages((address, 1)).count() <= 1);
        assert_eq!(tables.reads(), reads);
        assert!(tables.walk_only(&[0], (address, 1))[0].1.len() <= 1);
        assert_eq!(tables.reads(), reads);
    }
    tables.link(2, 0, 1);
    assert_eq!(tables.walk_only(&[0, 2], (0x3000, 0x1000))[1].1.len(), 1);
    assert_eq!(tables.reads(), 2 + 1);
}

proptest! {
    /// Any graph: what holds of every walk, as [`Tables::walk`] checks it, aliases within and across roots, self-maps
    /// and cut ranges included.
    #[test]
    fn references_lose_nothing(
        links in prop::collection::vec((0..6usize, prop::sample::select(&[0usize, 1, 512, 1023][..]), 0..6usize), 1..20),
        roots in prop::collection::vec(0..6usize, 1..5),
        address in (prop::sample::select(&[0, 1, 512, 1023][..]), prop::sample::select(&[0, 1, 512, 1023][..])),
        len in 1..3 * SLOT,
    ) {
        let mut tables = Tables::new(6);
        for (table, index, to) in links {
            tables.link(table, index, to);
        }
        tables.walk(&roots, EVERYTHING);
        tables.walk(&roots, (address.0 * SLOT + (address.1 << 12), len));
    }
}

/// An embedder whose addresses are (table, entry), not numbers, and whose entries are `u32`.
#[test]
fn addresses_can_be_pairs() {
    struct Nested(Vec<[u32; 1024]>);

    impl TableReadOps for Nested {
        type TableAddr = (u16, u16);

        fn entry_addr((table, entry): Self::TableAddr, entry_offset: u64) -> Self::TableAddr {
            (table, entry + entry_offset as u16 / 4)
        }

        unsafe fn read_entry(&self, (table, entry): Self::TableAddr) -> u64 {
            self.0[usize::from(table)][usize::from(entry)].into()
        }

        fn to_phys((table, entry): Self::TableAddr) -> u64 {
            u64::from(table) * 4096 + u64::from(entry) * 4
        }

        fn from_phys(addr: u64) -> Self::TableAddr {
            ((addr / 4096) as u16, (addr % 4096 / 4) as u16)
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

    let mut nested = Nested(vec![[0; 1024]; 4]);
    nested.0[1][1023] = link_to(2) as u32;
    nested.0[2][1023] = 0xffff_f000 | ALL_RIGHTS as u32;
    nested.0[3][0] = link_to(2) as u32;
    // SAFETY: reads are checked against the `Vec`, which nothing writes while it is borrowed.
    let walked = unsafe { walk_va_spaces(&nested, &[(1, 0), (3, 0)], 0, 1 << 32) };
    let [ThisSpace(page)] = walked[0].1[..] else { panic!("{walked:x?}") };
    assert_eq!((page.virt_base, page.phys_base), (0xffff_f000, 0xffff_f000));
    assert!(matches!(walked[1].1[..], [AnotherSpace(shared)] if shared.their_va == 1023 * SLOT));
    // SAFETY: as above.
    assert!(unsafe { virt_to_phys(&nested, 0xffff_ffff, 1) }.eq([page]));
}
