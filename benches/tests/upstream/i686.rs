//! i686 against 0.15: many distinct roots that share page tables. Every field is equal, references included.

use hyperlight_i686::vmem::{BasicMapping, CowMapping, Mapping, MappingKind};
use proptest::prelude::*;
use pt_benches::{PhysicalMemory, Seen};

use crate::calls::{LEAF, LINK, i686_pages, i686_walk, upstream_i686_pages, upstream_i686_walk};

/// The whole space.
const ALL: (u64, u64) = (0, 1 << 32);

fn walk_alike(memory: &PhysicalMemory, roots: &[u64], range: (u64, u64)) {
    let (ours, theirs) = (i686_walk(memory, roots, range), upstream_i686_walk(memory, roots, range));
    assert_eq!(ours, theirs, "walk of {range:x?}");
}

fn pages_alike(memory: &PhysicalMemory, root: u64, range: (u64, u64)) {
    let (ours, theirs) = (i686_pages(memory, root, range), upstream_i686_pages(memory, root, range));
    assert_eq!(ours, theirs, "pages of {range:x?}");
}

/// Slots of a page directory.
const SLOTS: [usize; 8] = [0, 1, 2, 511, 512, 768, 1022, 1023];

/// What a root links: slots and tables, each once (twice the same table in one root is defect 2).
fn directory(tables: usize) -> impl Strategy<Value = Vec<(usize, usize, u32)>> {
    let slots = prop::sample::subsequence(&SLOTS[..], 0..=SLOTS.len());
    let tables = Just((0..tables).collect::<Vec<_>>()).prop_shuffle();
    (slots, tables, any::<u32>())
        .prop_map(|(slots, tables, bits)| slots.into_iter().zip(tables).map(|(s, t)| (s, t, bits)).collect())
}

/// Any bits, at one of the first or last entries of a table.
fn entries() -> impl Strategy<Value = Vec<(usize, u32)>> {
    let index = prop_oneof![0..4usize, 1020..1024usize];
    prop::collection::vec((index, any::<u32>()), 0..6)
}

/// Pages of any alignment, in and around what the slots map.
fn range() -> impl Strategy<Value = (u64, u64)> {
    let near = (prop::sample::select(&SLOTS[..]), 0..0x3000u64, any::<bool>())
        .prop_map(|(slot, offset, end)| ((slot as u64 + u64::from(end)) << 22).wrapping_add(offset));
    let len = prop_oneof![1..0x5000u64, 1..=1u64 << 32, 1..=u64::MAX >> 1];
    (prop_oneof![4 => near, 1 => any::<u32>().prop_map(u64::from), 1 => 0..=u64::MAX >> 1], len)
}

proptest! {
    /// Roots can be linked as page tables, too: the table numbers below `roots` are the roots themselves.
    #[test]
    fn roots_that_share_tables_are_walked_alike(
        (directories, contents) in (1..6usize, 2..10usize).prop_flat_map(|(roots, tables)| (
            prop::collection::vec(directory(roots + tables), roots),
            prop::collection::vec(entries(), tables),
        )),
        ranges in prop::collection::vec(range(), 1..8),
    ) {
        let mut memory = PhysicalMemory::new(directories.len() + contents.len());
        let roots: Vec<u64> = directories.iter().map(|_| memory.allocate()).collect();
        for (content, first) in contents.iter().zip(roots.len()..) {
            assert_eq!(memory.allocate(), first as u64 * 4096);
            for &(index, raw) in content {
                memory.set_i686(first as u64 * 4096, index, raw);
            }
        }
        for (&root, directory) in roots.iter().zip(&directories) {
            for &(slot, table, bits) in directory {
                // Of a link, bits 3 to 5 and 8 to 11 are free, bit 6 ignored; bit 7 would make it a page.
                memory.set_i686(root, slot, (table as u32 * 4096) | LINK as u32 | (bits & 0xf78));
            }
        }
        walk_alike(&memory, &roots, ALL);
        for range in ranges {
            for &root in &roots {
                pages_alike(&memory, root, range);
            }
            // A range that cuts no table's span: what owners saw of a table is all of it.
            let first = range.0 & !0x3f_ffff;
            let len = range.1.next_multiple_of(1 << 22);
            walk_alike(&memory, &roots, (first, len));
            // Cut anywhere, with one root: no table is reached twice but through itself.
            if directories.len() == 1 {
                walk_alike(&memory, &roots, range);
            }
        }
    }
}

proptest! {
    #[test]
    fn tables_that_upstream_maps_are_walked_alike(
        mappings in prop::collection::vec(
            (prop::sample::select(&SLOTS[..]), 0..1024u64, 1..8u64, 0..1u64 << 19, any::<(bool, bool, bool)>()),
            1..10,
        ),
        ranges in prop::collection::vec(range(), 1..8),
    ) {
        let mut memory = PhysicalMemory::new(32);
        let root = memory.allocate();
        for (slot, page, pages, frame, (cow, writable, user_accessible)) in mappings {
            let virt_base = (slot as u64) << 22 | page << 12;
            let kind = if cow {
                MappingKind::Cow(CowMapping { readable: true, executable: true })
            } else {
                MappingKind::Basic(BasicMapping { readable: true, writable, executable: true })
            };
            let len = (pages << 12).min((1 << 32) - virt_base);
            memory.map_i686(root, Mapping { phys_base: frame << 12, virt_base, len, kind, user_accessible });
        }
        walk_alike(&memory, &[root], ALL);
        for range in ranges {
            walk_alike(&memory, &[root], range);
            pages_alike(&memory, root, range);
        }
    }
}

/// A kernel half that eight processes share at the same addresses, the first one's self-map that the others have at
/// another, and a user half of their own.
#[test]
fn a_shared_kernel_half_is_references() {
    const SELF_MAP: usize = 1023;
    const ELSEWHERE: usize = 1000;
    let mut memory = PhysicalMemory::new(64);
    let kernel: Vec<u64> = (0..4).map(|_| memory.allocate()).collect();
    for (&table, frame) in kernel.iter().zip(1u32..) {
        for index in 0..1024 {
            memory.set_i686(table, index, (frame << 24) | ((index as u32) << 12) | LEAF as u32);
        }
    }
    let roots: Vec<u64> = (0..8).map(|_| memory.allocate()).collect();
    for (&root, process) in roots.iter().zip(0u32..) {
        let user = memory.allocate();
        memory.set_i686(user, process as usize, 0x8000_0000 | (process << 12) | LEAF as u32);
        memory.set_i686(root, 1, user as u32 | LINK as u32);
        for (&table, slot) in kernel.iter().zip(768..) {
            memory.set_i686(root, slot, table as u32 | LINK as u32);
        }
        let slot = if process == 0 { SELF_MAP } else { ELSEWHERE };
        memory.set_i686(root, slot, roots[0] as u32 | LINK as u32);
    }
    walk_alike(&memory, &roots, ALL);

    let walked = i686_walk(&memory, &roots, ALL);
    // The user page, the kernel's pages, and the root's six links as pages.
    assert_eq!(walked[0].1.len(), 1 + 4 * 1024 + 6);
    let reference = |ours: usize, theirs: usize| Seen::Reference {
        depth: 1,
        space: roots[0],
        our_va: (ours as u64) << 22,
        their_va: (theirs as u64) << 22,
    };
    for (_, mappings) in &walked[1..] {
        let shared = [768, 769, 770, 771].map(|slot| reference(slot, slot));
        assert_eq!(mappings[1..5], shared);
        assert_eq!(mappings[5..], [reference(ELSEWHERE, SELF_MAP)]);
    }
}
