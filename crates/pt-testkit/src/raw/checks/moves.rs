//! Tables that move when they are written, and those who share them.

use pt_core::raw::{
    LinkRights, MapError, MayMoveTable, RawFormat, SpaceAwareMapping, SpaceReferenceMapping, TableOps,
    TableReadOps,
};
use pt_core::{Format, Geometry};

use super::{PAGE, depths, empty, entry_at, link, map, page, span};
use crate::raw::{Bound, InPlace, Moving, Spaces, USER};

/// Where tables go.
const SCRATCH: u64 = 0x80_0000;

/// Three spaces: the second and the third link a table of the first, with rights of their own; the first links it twice.
/// The table is `depth` below the roots.
fn shared<B: Bound>(depth: usize) -> (InPlace<B::Format>, [(usize, u64); 4]) {
    let memory = empty::<B>();
    map::<B>(&memory, page(0, 0x9000)).expect("is mapped");
    let roots = [(0, memory.roots()[0]), (1, memory.add_root()), (2, memory.add_root())];
    let slot = span::<B::Format>(depth - 1);
    let places = [(0, 0), (0, slot), (1, 3 * slot), (2, 5 * slot)];
    for (space, va) in places.into_iter().skip(1) {
        memory.act_on(space);
        let reference = SpaceReferenceMapping {
            depth,
            space: 0,
            our_va: va,
            their_va: 0,
            // A software bit, and a right less.
            entry: memory.roots()[0] | 0x427,
            rights: LinkRights { writable: space != 1, ..LinkRights::ALL },
        };
        link::<B, _>(&memory, reference, &roots).expect("is linked");
    }
    (memory, places)
}

/// A page is mapped through one of the links. All tables on the ways to the page move, and every link follows: with its
/// own bits, so that nobody has more rights than before, and everybody sees the page.
pub fn shared_tables_move_together<B: Bound>() {
    for depth in depths::<B::Format>() {
        let (memory, places) = shared::<B>(depth);
        for writer in [0, 1, 3] {
            let moving = Moving::new(memory.clone().into_spaces(), SCRATCH);
            let links = |spaces: &Spaces<B::Format>| {
                let link = |(space, va): (usize, u64)| {
                    spaces.entry(entry_at(spaces, spaces.roots()[space], va, depth - 1))
                };
                places.map(link)
            };
            let before = links(&memory);
            let (space, va) = places[writer];
            moving.act_on(space);
            map::<B>(&moving, page(va + 2 * PAGE, 0xb000)).expect("is mapped");
            // From the page table up to the roots: whatever led to the shared table had to be rewritten.
            let above_shared = places.len() - 1;
            assert!(moving.moved().len() >= above_shared, "{:x?}", moving.moved());
            assert!(memory.roots().iter().all(|root| moving.moved().contains_key(root)));
            let after = links(&moving);
            let address = !0xfff & 0xf_ffff_ffff_ffff;
            assert!(after.iter().all(|link| link & address == after[0] & address), "one table: {after:x?}");
            assert_ne!(after[0] & address, before[0] & address);
            for (was, is) in before.iter().zip(after) {
                assert_eq!(was & !address, is & !address, "a link's own bits");
            }
            for (space, va) in places {
                moving.act_on(space);
                let found = moving.page(va + 2 * PAGE).expect("everybody sees it");
                assert_eq!(found.phys_base, 0xb000);
                let writable =
                    matches!(found.kind, pt_core::raw::MappingKind::Basic(basic) if basic.writable);
                assert_eq!(writable, space != 1, "as its own link has it");
                assert_eq!(moving.page(va).expect("what was there").phys_base, 0x9000);
            }
            let shared = |(_, mappings): &(u64, Vec<SpaceAwareMapping>)| {
                let link = |mapping: &&SpaceAwareMapping| !matches!(mapping, SpaceAwareMapping::ThisSpace(_));
                mappings.iter().filter(link).count()
            };
            assert_eq!(moving.walk().iter().map(shared).collect::<Vec<_>>(), [1, 1, 1]);
            // What moved is written where it is.
            let moved = moving.moved();
            map::<B>(&moving, page(places[3].1 + 3 * PAGE, 0xc000)).expect("is mapped");
            assert_eq!(moving.moved(), moved);
            // What does not change is not written, and need not move.
            let still = Moving::new(memory.clone().into_spaces(), SCRATCH);
            still.act_on(0);
            map::<B>(&still, page(0, 0x9000)).expect("is mapped already");
            assert!(still.moved().is_empty());
        }
    }
}

/// The contract, from its other side: what no root that is named leads to still links where the table was.
pub fn unnamed_roots_are_not_found<B: Bound>() {
    let (memory, places) = shared::<B>(1);
    let moving = Moving::new(memory.clone().into_spaces(), SCRATCH).alone();
    moving.act_on(0);
    map::<B>(&moving, page(2 * PAGE, 0xb000)).expect("is mapped");
    assert_eq!(moving.roots()[1..], memory.roots()[1..]);
    let [own, again, other, _] = places.map(|(space, va)| {
        let entry = entry_at(&moving, moving.roots()[space], va, 0);
        moving.entry(entry) & !0xfff
    });
    assert_eq!(own, again);
    assert_ne!(own, other);
    assert!(moving.moved().contains_key(&other));
}

/// Tables that move each time they are written, with a root that links itself: no end, and an error that says so.
pub fn tables_that_do_not_settle<B: Bound>() {
    struct Restless<F>(InPlace<F>);

    impl<F: RawFormat> TableReadOps for Restless<F> {
        type TableAddr = u64;

        fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
            addr + entry_offset
        }
        unsafe fn read_entry(&self, addr: u64) -> u64 {
            self.0.entry(addr)
        }
        fn to_phys(addr: u64) -> u64 {
            addr
        }
        fn from_phys(addr: u64) -> u64 {
            addr
        }
        fn root_table(&self) -> u64 {
            self.0.root_table()
        }
    }

    impl<F: RawFormat> TableOps for Restless<F> {
        type TableMovability = MayMoveTable;

        unsafe fn alloc_table(&self) -> Option<u64> {
            // SAFETY: the caller promises what is asked for here.
            unsafe { self.0.alloc_table() }
        }
        unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<u64> {
            // SAFETY: as above.
            let to = unsafe { self.0.alloc_table() }.expect("there is memory");
            for offset in (0..PAGE).step_by(F::ENTRY_BYTES) {
                self.0.set_entry(to + offset, self.0.entry((addr & !(PAGE - 1)) + offset));
            }
            self.0.set_entry(to + (addr & (PAGE - 1)), entry);
            Some(to)
        }
        unsafe fn update_root(&self, old: u64, new: u64) {
            self.0.move_root(old, new);
        }
    }

    let restless = Restless(empty::<B>());
    map::<B>(&restless, page(0, 0x9000)).expect("each table moves, up to the root");
    assert_eq!(restless.0.page(0).expect("a page").phys_base, 0x9000);
    let root = restless.0.roots()[0];
    let entry = root + (B::Format::entries(B::Format::ROOT) - 1) as u64 * B::Format::ENTRY_BYTES as u64;
    restless.0.set_entry(entry, root | 0x23 | USER);
    let error = map::<B>(&restless, page(PAGE, 0xa000)).expect_err("has no end");
    assert!(matches!(error, MapError::Adrift { .. }), "{error}");
}
