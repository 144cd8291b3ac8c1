//! What upstream makes of tables that it does not handle, beside what we make of them. The numbers are those of our own
//! tests `defect_NN_…` in the architecture crates, which go further.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use hyperlight::vmem::{BasicMapping, Mapping, MappingKind};
use pt_amd64::raw::{LinkRights, MapError, SpaceAwareMapping, SpaceReferenceMapping};
use pt_benches::{PhysicalMemory, Seen};

use crate::calls::*;

const ALL_AMD64: (u64, u64) = (0, 1 << 48);
const ALL_I686: (u64, u64) = (0, 1 << 32);
const MIB: u64 = 1 << 20;

const READ_ONLY: pt_amd64::raw::MappingKind =
    pt_amd64::raw::MappingKind::Basic(pt_amd64::raw::BasicMapping {
        readable: true,
        writable: false,
        executable: true,
    });

/// So many tables, the first at address 0.
fn tables(count: usize) -> PhysicalMemory {
    PhysicalMemory::new(count)
}

/// Entry `index` of each table links the next one, down to a leaf in the last.
fn amd64_chain(memory: &mut PhysicalMemory, links: [u64; 3], leaf: u64) {
    for (table, link) in (0..3).zip(links) {
        memory.set_amd64(table << 12, 0, (table + 1) << 12 | link);
    }
    memory.set_amd64(3 << 12, 0, leaf);
}

fn writable(page: &Seen) -> bool {
    matches!(page, Seen::Page { kind: Some(pt_amd64::raw::MappingKind::Basic(basic)), .. } if basic.writable)
}

fn executable(page: &Seen) -> bool {
    matches!(page, Seen::Page { kind: Some(pt_amd64::raw::MappingKind::Basic(basic)), .. } if basic.executable)
}

/// One page as an i686 space's only mapping.
fn one_page_i686(roots: usize, directory: u64) -> PhysicalMemory {
    let mut memory = tables(roots + 1);
    memory.set_i686(roots as u64 * 4096, 5, 0x9000 | LEAF as u32);
    memory.set_i686(directory, 0, (roots as u32 * 4096) | LINK as u32);
    memory
}

#[test]
fn defect_01_a_root_given_twice_is_empty_upstream() {
    let memory = one_page_i686(1, 0);
    let theirs = upstream_i686_walk(&memory, &[0, 0], ALL_I686);
    assert_eq!(theirs[0].1.len(), 1);
    assert!(theirs[1].1.is_empty());

    let ours = i686_walk(&memory, &[0, 0], ALL_I686);
    assert_eq!(ours[0], theirs[0]);
    assert_eq!(ours[1].1, [Seen::Reference { depth: 1, space: 0, our_va: 0, their_va: 0 }]);
}

#[test]
fn defect_02_a_table_at_two_slots_is_dropped_upstream() {
    let mut memory = one_page_i686(1, 0);
    memory.set_i686(0, 7, 0x1000 | LINK as u32);
    let theirs = upstream_i686_walk(&memory, &[0], ALL_I686).remove(0).1;
    assert_eq!(theirs.len(), 1);

    let ours = our_i686_walk(&memory, &[0], ALL_I686).remove(0).1;
    assert_eq!(Seen::from(&ours[0]), theirs[0]);
    assert!(matches!(ours[1..], [SpaceAwareMapping::SameSpace(link)] if link.our_va == 28 * MIB));
}

/// The first root's slot is cut at its start, the second's at its end: what the second has in range, the first has not.
#[test]
fn defect_03_what_the_owner_saw_in_part_is_lost_upstream() {
    let mut memory = tables(3);
    memory.set_i686(0x2000, 5, 0x9000 | LEAF as u32);
    memory.set_i686(0, 0, 0x2000 | LINK as u32);
    memory.set_i686(0x1000, 1, 0x2000 | LINK as u32);
    let range = (2 * MIB, 4 * MIB);
    let lost = upstream_i686_pages(&memory, 0x1000, range);
    assert_eq!(lost.len(), 1);

    let theirs = upstream_i686_walk(&memory, &[0, 0x1000], range);
    assert!(theirs[0].1.is_empty());
    assert!(matches!(theirs[1].1[..], [Seen::Reference { .. }]));

    let ours = i686_walk(&memory, &[0, 0x1000], range);
    assert!(ours[0].1.is_empty());
    assert_eq!(ours[1].1, lost);
}

/// The second space may not write what it shares. Rebuilt upstream, it may.
#[test]
fn defect_04_a_reference_takes_the_owners_rights_upstream() {
    let mut memory = tables(6);
    while memory.allocate() < 0x2000 {}
    // The rebuilt owner, at 0, has the table at 0x2000.
    memory.set_i686(0x2000, 5, 0x9000 | LEAF as u32);
    memory.set_i686(0, 0, 0x2000 | LINK as u32);
    let roots = std::collections::BTreeMap::from([(0x7000, 0)]);
    let reference =
        hyperlight_i686::vmem::SpaceReferenceMapping { depth: 1, space: 0x7000, our_va: 0, their_va: 0 };
    // SAFETY: every access is checked against the memory, which is borrowed exclusively.
    unsafe { hyperlight_i686::vmem::space_aware_map(&memory.i686_mut(0x1000), reference, &roots) };
    assert!(writable(&i686_pages(&memory, 0x1000, (0x5000, 1))[0]));

    let reference = SpaceReferenceMapping {
        depth: 1,
        space: 0x7000,
        our_va: 0,
        their_va: 0,
        entry: 0x4000 | LINK & !0b10,
        rights: LinkRights { writable: false, ..LinkRights::ALL },
    };
    // SAFETY: as above.
    unsafe { pt_i686::raw::space_aware_map(&memory.i686_mut(0x1000), reference, &roots) }.expect("is linked");
    assert!(!writable(&i686_pages(&memory, 0x1000, (0x5000, 1))[0]));
    assert!(writable(&i686_pages(&memory, 0, (0x5000, 1))[0]));

    // An owner that was not built, or has no table there, is passed over.
    let before = memory.bytes().to_vec();
    let elsewhere = hyperlight_i686::vmem::SpaceReferenceMapping {
        depth: 1,
        space: 0x8000,
        our_va: 8 * MIB,
        their_va: 8 * MIB,
    };
    for space in [0x8000, 0x7000] {
        let elsewhere = hyperlight_i686::vmem::SpaceReferenceMapping { space, ..elsewhere };
        // SAFETY: as above.
        unsafe { hyperlight_i686::vmem::space_aware_map(&memory.i686_mut(0x1000), elsewhere, &roots) };
        assert_eq!(memory.bytes(), before);
    }
    let elsewhere = SpaceReferenceMapping { our_va: 8 * MIB, their_va: 8 * MIB, ..reference };
    let unknown = SpaceReferenceMapping { space: 0x8000, ..elsewhere };
    // SAFETY: as above.
    let refused = unsafe { pt_i686::raw::space_aware_map(&memory.i686_mut(0x1000), unknown, &roots) };
    assert_eq!(refused, Err(MapError::UnknownSpace { space: 0x8000 }));
    // SAFETY: as above.
    unsafe { pt_i686::raw::space_aware_map(&memory.i686_mut(0x1000), elsewhere, &roots) }.expect("is linked");
    // The table that was empty is there, and both link it.
    let links = [8, 0x1008].map(|at| u16::from_le_bytes([memory.bytes()[at], memory.bytes()[at + 1]]));
    assert_eq!(links, [0x3000 | LINK as u16, 0x3000 | (LINK & !0b10) as u16]);
}

/// The data at the page's start looks like an entry.
#[test]
fn defect_05_a_large_page_is_read_as_a_table_upstream() {
    const PS: u64 = 1 << 7;
    let mut memory = tables(8);
    amd64_chain(&mut memory, [LINK, LINK, 0], 0);
    memory.set_amd64(0x2000, 0, LEAF | PS);
    memory.set_amd64(0, 1, 0xda7a_0000 | LEAF);
    let page = (0x1000, 0x1000);
    let data = |seen: &[Seen]| matches!(seen, [Seen::Page { phys_base: 0xda7a_0000, .. }]);
    assert!(data(&upstream_amd64_pages(&memory, 0, page)));
    assert!(data(&upstream_amd64_walk(&memory, &[0], page)[0].1));
    assert!(matches!(amd64_pages(&memory, 0, page)[..], [Seen::Page { phys_base: 0x1000, .. }]));
    let ours = amd64_walk(&memory, &[0], page).remove(0).1;
    assert!(matches!(ours[..], [Seen::Page { phys_base: 0, len: 0x20_0000, .. }]));

    // Mapping over it writes an entry into the data.
    let before = memory.bytes()[2 * 8..3 * 8].to_vec();
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
    memory.map_amd64(0, Mapping { phys_base: 0x7000, virt_base: 0x2000, len: 0x1000, kind });
    assert_ne!(memory.bytes()[2 * 8..3 * 8], before);
    // Ours writes nothing.
    let before = memory.bytes().to_vec();
    let ours = pt_amd64::raw::Mapping::new(0x7000, 0x3000, 0x1000, READ_ONLY);
    // SAFETY: every access is checked against the memory, which is borrowed exclusively.
    let refused = unsafe { pt_amd64::raw::map(&memory.amd64_mut(0), ours) };
    assert!(matches!(refused, Err(MapError::PageInTheWay { va: 0x3000, entry: 0x2000, .. })), "{refused:?}");
    assert_eq!(memory.bytes(), before);

    let mut memory = tables(2);
    memory.set_i686(0, 0, (LEAF | PS) as u32);
    memory.set_i686(0, 1, 0xda7a_0000 | LEAF as u32);
    assert!(data(&upstream_i686_pages(&memory, 0, page)));
    assert!(data(&upstream_i686_walk(&memory, &[0], page)[0].1));
    assert!(matches!(i686_pages(&memory, 0, page)[..], [Seen::Page { phys_base: 0x1000, .. }]));
}

#[test]
fn defect_06_rights_are_the_leafs_alone_upstream() {
    const RW: u64 = 1 << 1;
    const XD: u64 = 1 << 63;
    for depth in 0..3 {
        for (taken, link) in [(RW, LINK & !RW), (XD, LINK | XD)] {
            let mut memory = tables(4);
            let mut links = [LINK; 3];
            links[depth] = link;
            amd64_chain(&mut memory, links, 0x9000 | LEAF);
            let theirs = upstream_amd64_walk(&memory, &[0], ALL_AMD64).remove(0).1;
            assert!(writable(&theirs[0]) && executable(&theirs[0]));
            assert_eq!(upstream_amd64_pages(&memory, 0, (0, 1)), theirs);
            let ours = amd64_walk(&memory, &[0], ALL_AMD64).remove(0).1;
            assert_eq!((writable(&ours[0]), executable(&ours[0])), (taken != RW, taken != XD));
            assert_eq!(amd64_pages(&memory, 0, (0, 1)), ours);
        }
    }

    let supervisor = (0x1000 | LINK & !0b100) as u32;
    let mut memory = one_page_i686(1, 0);
    memory.set_i686(0, 0, supervisor);
    let user = |pages: &[Seen]| match pages {
        [Seen::Page { user_accessible: Some(user), .. }] => *user,
        other => panic!("{other:?}"),
    };
    assert!(user(&upstream_i686_walk(&memory, &[0], ALL_I686)[0].1));
    assert!(!user(&i686_walk(&memory, &[0], ALL_I686)[0].1));
}

/// PS is reserved in a PML4E. Upstream follows it, and says nothing.
#[test]
fn defect_09_malformed_entries_are_followed_upstream() {
    let mut memory = tables(4);
    amd64_chain(&mut memory, [LINK | 1 << 7, LINK, LINK], 0x9000 | LEAF);
    assert_eq!(upstream_amd64_walk(&memory, &[0], ALL_AMD64)[0].1.len(), 1);
    let ours = our_amd64_walk(&memory, &[0], ALL_AMD64).remove(0).1;
    assert!(matches!(ours[..], [SpaceAwareMapping::Fault(_)]));
}

/// A panic where overflow is checked, and not the pages where it wraps.
#[test]
fn defect_10_ranges_overflow_upstream() {
    fn fails(answer: &[Seen], upstream: impl FnOnce() -> Vec<Seen>) {
        assert!(!answer.is_empty());
        let theirs = catch_unwind(AssertUnwindSafe(upstream));
        assert!(theirs.is_err() || theirs.is_ok_and(|theirs| theirs != answer));
    }

    let mut memory = tables(4);
    amd64_chain(&mut memory, [LINK; 3], 0);
    memory.set_amd64(0x3000, 1, 0x9000 | LEAF);
    let range = (0x1000, u64::MAX);
    fails(&amd64_pages(&memory, 0, range), || upstream_amd64_pages(&memory, 0, range));
    fails(&amd64_walk(&memory, &[0], range).remove(0).1, || {
        upstream_amd64_walk(&memory, &[0], range).remove(0).1
    });

    let memory = one_page_i686(1, 0);
    fails(&i686_pages(&memory, 0, range), || upstream_i686_pages(&memory, 0, range));
    fails(&i686_walk(&memory, &[0], range).remove(0).1, || {
        upstream_i686_walk(&memory, &[0], range).remove(0).1
    });

    // `map` does not undo the sign extension: the last page of the space ends past 2^64.
    let mut memory = tables(8);
    memory.allocate();
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
    let last = Mapping { phys_base: 0x7000, virt_base: u64::MAX - 0xfff, len: 0x1000, kind };
    let mapped = catch_unwind(AssertUnwindSafe(|| memory.map_amd64(0, last)));
    assert!(mapped.is_err() || amd64_pages(&memory, 0, (u64::MAX - 0xfff, 0x1000)).is_empty());
    let last = pt_amd64::raw::Mapping::new(0x7000, u64::MAX - 0xfff, 0x1000, READ_ONLY);
    // SAFETY: as above.
    assert_eq!(unsafe { pt_amd64::raw::map(&memory.amd64_mut(0), last) }, Ok(()));
    assert_eq!(amd64_pages(&memory, 0, (u64::MAX - 0xfff, 0x1000)).len(), 1);
}

/// With eight entries instead of 512, 8^4 leaves of eight; each entry multiplies, so that 512 make 2^36.
#[test]
fn defect_11_every_path_is_walked_upstream() {
    for entries in [2usize, 4, 8] {
        let mut memory = tables(4);
        for table in 0..3u64 {
            for index in 0..entries {
                memory.set_amd64(table << 12, index, (table + 1) << 12 | LINK);
            }
        }
        for index in 0..entries {
            memory.set_amd64(3 << 12, index, 0x9000 | LEAF);
        }
        assert_eq!(upstream_amd64_walk(&memory, &[0], ALL_AMD64)[0].1.len(), entries.pow(4));
        let ours = our_amd64_walk(&memory, &[0], ALL_AMD64).remove(0).1;
        assert_eq!(ours.len(), entries + 3 * (entries - 1));
    }
}

/// `map` does not say that an address is none.
#[test]
fn defect_19_addresses_that_are_not_canonical_upstream() {
    let mut memory = tables(8);
    memory.allocate();
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
    let virt_base = 0xdead_0000_0000_5000;
    memory.map_amd64(0, Mapping { phys_base: 0x7000, virt_base, len: 0x1000, kind });
    assert_eq!(upstream_amd64_pages(&memory, 0, (0x5000, 0x1000)).len(), 1);
    let ours = pt_amd64::raw::Mapping::new(0x7000, virt_base, 0x1000, READ_ONLY);
    // SAFETY: every access is checked against the memory, which is borrowed exclusively.
    let refused = unsafe { pt_amd64::raw::map(&memory.amd64_mut(0), ours) };
    assert_eq!(refused, Err(MapError::Range { virt_base, len: 0x1000 }));
}

/// Two roots link one PDPT, the first one's link read-only. It moves when a page is mapped: the second root still links
/// where it was, and the first one's link permits writes now.
#[test]
fn defect_21_a_table_that_moves_is_shared_no_more_upstream() {
    use hyperlight::vmem::{MayMoveTable, TableOps, TableReadOps};

    /// Tables below `written` move when they are written.
    struct Snapshot {
        entries: RefCell<Vec<u64>>,
        written: u64,
        root: Cell<u64>,
    }

    impl TableReadOps for Snapshot {
        type TableAddr = u64;

        fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
            addr + entry_offset
        }
        unsafe fn read_entry(&self, addr: u64) -> u64 {
            self.entries.borrow()[addr as usize / 8]
        }
        fn to_phys(addr: u64) -> u64 {
            addr
        }
        fn from_phys(addr: u64) -> u64 {
            addr
        }
        fn root_table(&self) -> u64 {
            self.root.get()
        }
    }

    impl TableOps for Snapshot {
        type TableMovability = MayMoveTable;

        unsafe fn alloc_table(&self) -> u64 {
            let mut entries = self.entries.borrow_mut();
            let table = entries.len() as u64 * 8;
            entries.extend([0; 512]);
            table
        }
        unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<u64> {
            let table = addr & !0xfff;
            if table >= self.written {
                self.entries.borrow_mut()[addr as usize / 8] = entry;
                return None;
            }
            let mut entries = self.entries.borrow_mut();
            let to = entries.len() as u64 * 8;
            entries.extend_from_within(table as usize / 8..table as usize / 8 + 512);
            entries[(to + (addr & 0xfff)) as usize / 8] = entry;
            Some(to)
        }
        unsafe fn update_root(&self, new_root: u64) {
            self.root.set(new_root);
        }
    }

    let mut entries = vec![0; 5 * 512];
    for (table, raw) in
        [(0, 0x2000 | LINK & !0b10), (1, 0x2000 | LINK), (2, 0x3000 | LINK), (3, 0x4000 | LINK)]
    {
        entries[table * 512] = raw;
    }
    let memory = Snapshot { entries: RefCell::new(entries), written: 0x5000, root: Cell::new(0) };
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
    // SAFETY: every access is checked against the `Vec`.
    unsafe {
        hyperlight::vmem::map(&memory, Mapping { phys_base: 0x9000, virt_base: 0x5000, len: 0x1000, kind });
    };
    let entries = memory.entries.borrow();
    let (first, second) = (entries[memory.root.get() as usize / 8], entries[512]);
    assert_ne!(memory.root.get(), 0);
    assert_eq!(second, 0x2000 | LINK, "the second root was not told");
    assert_ne!(first & !0xfff, 0x2000);
    assert_eq!(first & 0b10, 0b10, "the first root's link withheld writes");
}
