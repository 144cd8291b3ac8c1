//! amd64 against 0.18: one root, 4 KiB pages, links that take no right away. Every field is equal.

use hyperlight::vmem::{BasicMapping, CowMapping, Mapping, MappingKind};
use proptest::prelude::*;
use pt_benches::{PhysicalMemory, Seen};

use crate::calls::{LEAF, LINK, amd64_pages, amd64_walk, upstream_amd64_pages, upstream_amd64_walk};

/// The whole space, in upstream's reading.
const ALL: (u64, u64) = (0, 1 << 48);

/// First pages of mappings: both ends of both halves, and borders of tables of every level.
const PLACES: [u64; 10] = [
    0,
    0x0000_0000_001f_f000,
    0x0000_0000_3fff_d000,
    0x0000_007f_ffff_e000,
    0x0000_0080_0000_0000,
    0x0000_7fff_ffe0_0000,
    0x0000_8000_0000_0000,
    0x0000_cafe_0000_3000,
    0x0000_ffff_8000_0000,
    0x0000_ffff_ffff_f000,
];

fn equal(memory: &PhysicalMemory, range: (u64, u64)) {
    let (ours, theirs) = (amd64_walk(memory, &[0], range), upstream_amd64_walk(memory, &[0], range));
    assert_eq!(ours, theirs, "walk of {range:x?}");
    let (ours, theirs) = (amd64_pages(memory, 0, range), upstream_amd64_pages(memory, 0, range));
    assert_eq!(ours, theirs, "pages of {range:x?}");
}

/// A memory whose first page is a root.
fn with_root(pages: usize) -> PhysicalMemory {
    let mut memory = PhysicalMemory::new(pages);
    assert_eq!(memory.allocate(), 0);
    memory
}

fn kind() -> impl Strategy<Value = MappingKind> {
    prop_oneof![
        any::<(bool, bool)>().prop_map(|(writable, executable)| {
            MappingKind::Basic(BasicMapping { readable: true, writable, executable })
        }),
        any::<bool>().prop_map(|executable| MappingKind::Cow(CowMapping { readable: true, executable })),
    ]
}

/// What upstream's `map` is asked for. The last page of the space has no page after it.
fn mapping() -> impl Strategy<Value = Mapping> {
    (prop::sample::select(&PLACES[..]), 0..8u64, 1..6u64, 0..1u64 << 40, kind()).prop_map(
        |(place, skip, pages, frame, kind)| {
            let virt_base = (place + skip * 4096).min((1 << 48) - 4096);
            let len = (pages * 4096).min((1 << 48) - virt_base);
            Mapping { phys_base: frame << 12, virt_base, len, kind }
        },
    )
}

/// Any range that upstream reads right: its end is a number, and it is not empty.
fn range() -> impl Strategy<Value = (u64, u64)> {
    let near = (prop::sample::select(&PLACES[..]), -0x5000..0xa000i64, 0..1u64 << 16)
        .prop_map(|(place, offset, upper)| place.wrapping_add_signed(offset) & ((1 << 48) - 1) | upper << 48);
    let address = prop_oneof![4 => near, 1 => any::<u64>()];
    let len = prop_oneof![
        4 => 1..0xc000u64,
        1 => (0..36u32, 1..0x1000u64).prop_map(|(shift, len)| len << shift),
        1 => Just(1 << 48),
        1 => 1..=u64::MAX >> 1,
    ];
    (address, len)
}

proptest! {
    #[test]
    fn tables_that_upstream_maps_are_walked_alike(
        mappings in prop::collection::vec(mapping(), 1..12),
        ranges in prop::collection::vec(range(), 1..16),
    ) {
        let mut memory = with_root(64);
        for mapping in mappings {
            memory.map_amd64(0, mapping);
        }
        equal(&memory, ALL);
        for range in ranges {
            equal(&memory, range);
        }
    }

    /// Leaves with any bits, present or not. An absent one with bit 2 set is upstream's `ZeroInit`: see `differences`.
    #[test]
    fn tables_with_any_leaves_are_walked_alike(
        leaves in prop::collection::vec((mapping(), any::<u64>(), any::<bool>()), 1..24),
        link_bits in any::<u64>(),
        ranges in prop::collection::vec(range(), 1..16),
    ) {
        let mut memory = with_root(64);
        for (mapping, bits, present) in leaves {
            let raw = if present { bits | 1 } else { bits & !0b101 };
            set_page(&mut memory, mapping.virt_base, raw, link_bits);
        }
        equal(&memory, ALL);
        for range in ranges {
            equal(&memory, range);
        }
    }
}

/// Writes the leaf entry of `va`, with tables of its own above it. Of `link_bits`, those that links ignore are kept.
fn set_page(memory: &mut PhysicalMemory, va: u64, raw: u64, link_bits: u64) {
    const IGNORED: u64 = 0x7ff0_0000_0000_0f78;
    let index = |level: u32| (va >> (12 + 9 * level)) as usize & 511;
    let mut table = 0;
    for level in (1..4).rev() {
        let at = table as usize + index(level) * 8;
        let entry: [u8; 8] = memory.bytes()[at..at + 8].try_into().expect("8 bytes");
        let entry = u64::from_le_bytes(entry);
        table = if entry & 1 == 1 {
            entry & 0x000f_ffff_ffff_f000
        } else {
            let below = memory.allocate();
            memory.set_amd64(table, index(level), below | LINK | (link_bits & IGNORED & !0xff));
            below
        };
    }
    memory.set_amd64(table, index(0), raw);
}

#[test]
fn pages_are_those_that_the_bytes_touch() {
    let mut memory = with_root(8);
    for page in 0..8 {
        set_page(&mut memory, page << 12, (0x10_0000 + (page << 12)) | LEAF, 0);
    }
    let of = |range| {
        equal(&memory, range);
        amd64_pages(&memory, 0, range).len()
    };
    assert_eq!(of((0, 0x8000)), 8);
    assert_eq!(of((0x1fff, 1)), 1);
    assert_eq!(of((0x1fff, 2)), 2);
    assert_eq!(of((0x1001, 0xfff)), 1);
    assert_eq!(of((0x1001, 0x1000)), 2);
    assert_eq!(of((0x7fff, 1 << 40)), 1);
    assert_eq!(of((0x8000, 1 << 40)), 0);
}

/// Upstream reports addresses of the upper half with their sign extension, from both functions; so do we. It takes them
/// with or without.
#[test]
fn upper_half_addresses_are_sign_extended_by_both() {
    let mut memory = with_root(8);
    set_page(&mut memory, 0x0000_8000_0000_0000, 0x5000 | LEAF, 0);
    set_page(&mut memory, 0x0000_ffff_ffff_f000, 0x6000 | LEAF, 0);
    let expected = [0xffff_8000_0000_0000, 0xffff_ffff_ffff_f000];
    for range in [ALL, (1 << 47, 1 << 47), (0xffff_8000_0000_0000, 1 << 47)] {
        equal(&memory, range);
        let walked = upstream_amd64_walk(&memory, &[0], range).remove(0).1;
        for seen in [walked, upstream_amd64_pages(&memory, 0, range)] {
            let addresses = seen.iter().map(|page| match page {
                Seen::Page { virt_base, .. } => *virt_base,
                other => panic!("{other:?}"),
            });
            assert!(addresses.eq(expected), "{range:x?}");
        }
    }
    // The last page alone; one byte of it; and an end that is clamped to the end of the space.
    for range in [(u64::MAX - 0xfff, 0x1000), (u64::MAX, 1), ((1 << 48) - 1, 0x10_0000)] {
        equal(&memory, range);
        assert_eq!(amd64_pages(&memory, 0, range).len(), 1);
    }
}
