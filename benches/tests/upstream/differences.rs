//! Differences that are no defects, as `docs/upstream.md` lists them.

use pt_benches::{PhysicalMemory, Seen};

use crate::calls::*;

/// A root and three tables below it, in a line.
fn amd64_line(leaf: u64) -> PhysicalMemory {
    let mut memory = PhysicalMemory::new(4);
    for table in 0..3 {
        memory.set_amd64(table << 12, 0, (table + 1) << 12 | LINK);
    }
    memory.set_amd64(3 << 12, 1, leaf);
    memory
}

/// No byte touches no page. Upstream rounds the start down before it looks at the length.
#[test]
fn no_bytes_inside_a_page() {
    let memory = amd64_line(0x9000 | LEAF);
    let pages = |range| {
        let (ours, theirs) = (amd64_pages(&memory, 0, range), upstream_amd64_pages(&memory, 0, range));
        assert_eq!(amd64_walk(&memory, &[0], range)[0].1.len(), ours.len());
        assert_eq!(upstream_amd64_walk(&memory, &[0], range)[0].1.len(), theirs.len());
        (ours.len(), theirs.len())
    };
    assert_eq!(pages((0x1000, 0)), (0, 0));
    assert_eq!(pages((0x1234, 0)), (0, 1));
    assert_eq!(pages((0x1234, 1)), (1, 1));

    let mut memory = PhysicalMemory::new(2);
    memory.set_i686(0, 0, 0x1000 | LINK as u32);
    memory.set_i686(0x1000, 1, 0x9000 | LEAF as u32);
    assert_eq!(upstream_i686_pages(&memory, 0, (0x1234, 0)).len(), 1);
    assert_eq!(i686_pages(&memory, 0, (0x1234, 0)).len(), 0);
}

/// Where the range starts inside a shared table, upstream's reference starts there; ours is about the whole table.
#[test]
fn references_to_tables_that_the_range_cuts() {
    let mut memory = PhysicalMemory::new(3);
    for root in [0, 0x1000] {
        memory.set_i686(root, 1, 0x2000 | LINK as u32);
    }
    let range = ((4 << 20) + 0x5000, 4 << 20);
    let reference = |va| [Seen::Reference { depth: 1, space: 0, our_va: va, their_va: va }];
    assert_eq!(upstream_i686_walk(&memory, &[0, 0x1000], range)[1].1, reference(range.0));
    assert_eq!(i686_walk(&memory, &[0, 0x1000], range)[1].1, reference(4 << 20));
}

/// 0.18 gives a meaning to entries that are not present. To the hardware they are nothing, and so they are to us.
#[test]
fn zero_init_is_a_kind_of_upstream_alone() {
    let memory = amd64_line(1 << 2 | 1 << 8);
    let theirs = upstream_amd64_walk(&memory, &[0], (0, 1 << 48)).remove(0).1;
    assert!(matches!(theirs[..], [Seen::Page { virt_base: 0x1000, kind: None, .. }]));
    assert_eq!(upstream_amd64_pages(&memory, 0, (0, 1 << 48)), theirs);
    assert!(amd64_walk(&memory, &[0], (0, 1 << 48))[0].1.is_empty());
    assert!(amd64_pages(&memory, 0, (0, 1 << 48)).is_empty());
}

/// 0.18 walks each amd64 root by itself: what is shared, it repeats.
#[test]
fn amd64_roots_are_walked_together_by_us_alone() {
    let mut memory = PhysicalMemory::new(5);
    for table in 1..4 {
        memory.set_amd64(table << 12, 0, (table + 1) << 12 | LINK);
    }
    memory.set_amd64(4 << 12, 0, 0x9000 | LEAF);
    memory.set_amd64(0, 0, 0x2000 | LINK);
    let roots = [0x1000, 0];
    let theirs = upstream_amd64_walk(&memory, &roots, (0, 1 << 48));
    assert_eq!(theirs[0].1, theirs[1].1);
    let ours = amd64_walk(&memory, &roots, (0, 1 << 48));
    assert_eq!(ours[0], theirs[0]);
    assert_eq!(ours[1].1, [Seen::Reference { depth: 1, space: 0x1000, our_va: 0, their_va: 0 }]);
}

/// A whole space of 2^32 bytes, and an address past it, which neither masks.
#[test]
fn i686_addresses_past_the_space() {
    let mut memory = PhysicalMemory::new(2);
    memory.set_i686(0, 0, 0x1000 | LINK as u32);
    memory.set_i686(0x1000, 0, 0x9000 | LEAF as u32);
    for range in [(1 << 32, 1 << 32), ((1 << 32) | 0xfff, 1), (u64::MAX >> 1, 1)] {
        assert!(upstream_i686_pages(&memory, 0, range).is_empty());
        assert!(upstream_i686_walk(&memory, &[0], range)[0].1.is_empty());
        assert!(i686_pages(&memory, 0, range).is_empty());
        assert!(i686_walk(&memory, &[0], range)[0].1.is_empty());
    }
}
