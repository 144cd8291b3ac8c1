//! `map` on both sides: the same pages, and on amd64 the same leaf entries, bit by bit.

use proptest::prelude::*;
use pt_amd64::raw::{BasicMapping, CowMapping, MapError, Mapping, MappingKind, SpaceAwareMapping};
use pt_benches::PhysicalMemory;

use crate::calls::*;

const ALL_AMD64: (u64, u64) = (0, 1 << 48);
const ALL_I686: (u64, u64) = (0, 1 << 32);
const PAGE: u64 = 4096;

/// D, which upstream's 0.15 leaves to the CPU.
const DIRTY: u64 = 1 << 6;

/// Ours, on 4-level tables.
fn map_amd64(memory: &mut PhysicalMemory, mapping: Mapping) -> Result<(), MapError> {
    // SAFETY: every access is checked against the memory, which is borrowed exclusively.
    unsafe { pt_amd64::raw::map(&memory.amd64_mut(0), mapping) }
}

/// Ours, on 2-level tables.
fn map_i686(memory: &mut PhysicalMemory, mapping: Mapping) -> Result<(), MapError> {
    // SAFETY: as above.
    unsafe { pt_i686::raw::map(&memory.i686_mut(0), mapping) }
}

/// What 0.18 and 0.15 are asked for, in place of ours.
macro_rules! for_upstream {
    ($upstream:ident, $mapping:expr $(, $user:ident)?) => {{
        use $upstream::vmem as upstream;
        let Mapping { phys_base, virt_base, len, kind, .. } = $mapping;
        let kind = match kind {
            MappingKind::Basic(BasicMapping { readable, writable, executable }) => {
                upstream::MappingKind::Basic(upstream::BasicMapping { readable, writable, executable })
            }
            MappingKind::Cow(CowMapping { readable, executable }) => {
                upstream::MappingKind::Cow(upstream::CowMapping { readable, executable })
            }
            MappingKind::Unmapped => upstream::MappingKind::Unmapped,
        };
        upstream::Mapping { phys_base, virt_base, len, kind $(, $user: $mapping.$user)? }
    }};
}

/// Memory with an empty root.
fn with_root() -> PhysicalMemory {
    let mut memory = PhysicalMemory::new(128);
    assert_eq!(memory.allocate(), 0);
    memory
}

fn entries(walked: &[(u64, Vec<SpaceAwareMapping>)]) -> Vec<u64> {
    let entry = |mapping: &SpaceAwareMapping| match mapping {
        SpaceAwareMapping::ThisSpace(page) => page.entry,
        other => panic!("{other:x?}"),
    };
    walked[0].1.iter().map(entry).collect()
}

fn kind() -> impl Strategy<Value = MappingKind> {
    prop_oneof![
        3 => any::<(bool, bool)>().prop_map(|(writable, executable)| {
            MappingKind::Basic(BasicMapping { readable: true, writable, executable })
        }),
        1 => any::<bool>().prop_map(|executable| MappingKind::Cow(CowMapping { readable: true, executable })),
        1 => Just(MappingKind::Unmapped),
    ]
}

/// Whole pages within one of `pieces` (first address and length), frames below 4 GiB.
fn mappings(pieces: &'static [(u64, u64)]) -> impl Strategy<Value = Vec<Mapping>> {
    let place = (prop::sample::select(pieces), 0..1100_u64, 1..700_u64, any::<bool>());
    let mapping = (place, 0..1u64 << 19, kind(), any::<bool>()).prop_map(
        |(((first, size), skip, pages, at_end), frame, kind, user_accessible)| {
            // `map` of 0.18 overflows at the last page of the space.
            let pages = pages.min(size / PAGE - 1 - skip);
            let offset = if at_end { size / PAGE - 1 - skip - pages } else { skip };
            let virt_base = first + offset * PAGE;
            Mapping { user_accessible, ..Mapping::new(frame << 12, virt_base, pages * PAGE, kind) }
        },
    );
    prop::collection::vec(mapping, 1..10)
}

proptest! {
    #[test]
    fn amd64_pages_are_mapped_alike(
        mappings in mappings(&[(0, 1 << 30), (0x7fff_c000_0000, 1 << 30), (0xffff_8000_0000_0000, 1 << 40), (0xffff_ffff_c000_0000, 1 << 30)]),
    ) {
        let (mut ours, mut theirs) = (with_root(), with_root());
        for mapping in mappings {
            // 0.18 has no user mode.
            let mapping = Mapping { user_accessible: false, ..mapping };
            prop_assert_eq!(map_amd64(&mut ours, mapping), Ok(()));
            theirs.map_amd64(0, for_upstream!(hyperlight, mapping));
            prop_assert_eq!(amd64_walk(&ours, &[0], ALL_AMD64), amd64_walk(&theirs, &[0], ALL_AMD64));
            let seen = upstream_amd64_walk(&ours, &[0], ALL_AMD64);
            prop_assert_eq!(seen, upstream_amd64_walk(&theirs, &[0], ALL_AMD64));
            let entries = [&ours, &theirs].map(|memory| entries(&our_amd64_walk(memory, &[0], ALL_AMD64)));
            prop_assert_eq!(&entries[0], &entries[1]);
        }
    }

    #[test]
    fn i686_pages_are_mapped_alike(mappings in mappings(&[(0, 1 << 30), (0x7fc0_0000, 1 << 24), (0xc000_0000, 1 << 30)])) {
        let (mut ours, mut theirs) = (with_root(), with_root());
        for mapping in mappings {
            prop_assert_eq!(map_i686(&mut ours, mapping), Ok(()));
            theirs.map_i686(0, for_upstream!(hyperlight_i686, mapping, user_accessible));
            prop_assert_eq!(i686_walk(&ours, &[0], ALL_I686), i686_walk(&theirs, &[0], ALL_I686));
            let seen = upstream_i686_walk(&ours, &[0], ALL_I686);
            prop_assert_eq!(seen, upstream_i686_walk(&theirs, &[0], ALL_I686));
            let [ours, theirs] = [&ours, &theirs].map(|memory| entries(&our_i686_walk(memory, &[0], ALL_I686)));
            prop_assert_eq!(ours, theirs.iter().map(|entry| entry | DIRTY).collect::<Vec<_>>());
        }
    }
}

/// Upstream's links on amd64 are for the supervisor alone, so that pages below them cannot be for user mode. Ours withhold
/// nothing.
#[test]
fn links_of_amd64_permit_user_mode() {
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
    let mapping = Mapping { user_accessible: true, ..Mapping::new(0x9000, 0x5000, PAGE, kind) };
    let (mut ours, mut theirs) = (with_root(), with_root());
    assert_eq!(map_amd64(&mut ours, mapping), Ok(()));
    theirs.map_amd64(0, for_upstream!(hyperlight, mapping));
    let error = map_amd64(&mut theirs, Mapping { virt_base: 0x6000, ..mapping });
    assert!(matches!(error, Err(MapError::Capped { va: 0x6000, entry: 0, .. })), "{error:?}");
    assert_eq!(map_amd64(&mut theirs, Mapping { user_accessible: false, ..mapping }), Ok(()));
    assert_eq!([&ours, &theirs].map(|memory| memory.bytes()[0]), [0x27, 0x23]);
}

/// Nothing to take away: upstream makes tables for it.
#[test]
fn unmapping_makes_no_tables() {
    let unmap = Mapping::new(0, 0x5000, PAGE, MappingKind::Unmapped);
    let (mut ours, mut theirs) = (with_root(), with_root());
    assert_eq!(map_amd64(&mut ours, unmap), Ok(()));
    theirs.map_amd64(0, for_upstream!(hyperlight, unmap));
    assert!(ours.bytes().iter().all(|&byte| byte == 0));
    assert!(theirs.bytes()[..8].iter().any(|&byte| byte != 0));
}
