//! 64 MiB of 4 KiB pages: one call per page, or one call; into memory without tables, or over what is mapped.
//!
//! Both sides write the same memory through the same accessor.

use std::hint::black_box;

use criterion::measurement::Measurement;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use pt_amd64::raw as ours;
use pt_benches::{PhysicalMemory, Seen, SeenSpace, of_amd64, of_i686, of_ours};

use crate::cpu_time::CpuTime;

const PAGES: u64 = 16_384;
const PAGE: u64 = 4096;
/// Where the pages are mapped: in the lower half of both formats, in the middle of a page table.
const FIRST: u64 = 0x1008_0000;
/// What is mapped the first time, and what in its place.
const FRAMES: [u64; 2] = [0x4000_0000, 0x2000_0000];
/// Tables enough for all of it.
const TABLES: usize = 64;

/// The first address and physical address of each call, and its length.
fn calls(frames: u64, pages: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    (0..PAGES)
        .step_by(pages as usize)
        .map(move |page| (black_box(FIRST + page * PAGE), black_box(frames + page * PAGE), pages * PAGE))
}

/// A way to map all of it: by calls of so many pages.
type MapAll = fn(&mut PhysicalMemory, u64, u64);

macro_rules! map_all {
    ($name:ident, $builder:ident, $map:path, |$at:ident, $to:ident, $len:ident| $mapping:expr, $done:expr) => {
        #[inline(never)]
        fn $name(memory: &mut PhysicalMemory, frames: u64, pages: u64) {
            let builder = memory.$builder(0);
            for ($at, $to, $len) in calls(frames, pages) {
                // SAFETY: every access is checked against the memory, which the builder has to itself.
                let done = unsafe { $map(&builder, $mapping) };
                $done(done);
            }
        }
    };
}

const OURS: ours::MappingKind =
    ours::MappingKind::Basic(ours::BasicMapping { readable: true, writable: true, executable: true });

map_all!(
    ours_amd64,
    amd64_mut,
    pt_amd64::raw::map,
    |at, to, len| ours::Mapping::new(to, at, len, OURS),
    mapped
);
map_all!(ours_i686, i686_mut, pt_i686::raw::map, |at, to, len| ours::Mapping::new(to, at, len, OURS), mapped);
map_all!(
    upstream_amd64,
    amd64_mut,
    hyperlight::vmem::map,
    |at, to, len| {
        use hyperlight::vmem::{BasicMapping, Mapping, MappingKind};
        let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
        Mapping { phys_base: to, virt_base: at, len, kind }
    },
    std::convert::identity
);
map_all!(
    upstream_i686,
    i686_mut,
    hyperlight_i686::vmem::map,
    |at, to, len| {
        use hyperlight_i686::vmem::{BasicMapping, Mapping, MappingKind};
        let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
        Mapping { phys_base: to, virt_base: at, len, kind, user_accessible: false }
    },
    std::convert::identity
);

#[inline(always)]
fn mapped(done: Result<(), ours::MapError>) {
    done.expect("there is memory, and nothing is in the way");
}

/// Memory with an empty root.
fn empty() -> PhysicalMemory {
    let mut memory = PhysicalMemory::new(TABLES);
    assert_eq!(memory.allocate(), 0);
    memory
}

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    let amd64: [(&str, MapAll); 2] = [("ours", ours_amd64), ("hyperlight", upstream_amd64)];
    let seen = |memory: &PhysicalMemory| {
        // SAFETY: reads are checked against the memory, which nothing writes.
        let walked = unsafe { hyperlight::vmem::walk_va_spaces(&memory.amd64(0), &[0], 0, 1 << 48) };
        of_amd64(&walked)
    };
    let seen_by_us = |memory: &PhysicalMemory| {
        // SAFETY: as above.
        of_ours(&unsafe { pt_amd64::raw::walk_va_spaces(&memory.amd64(0), &[0], 0, 1 << 48) })
    };
    both(criterion.benchmark_group("map-amd64"), &amd64, seen, |memory| {
        seen_by_us(memory)
            .into_iter()
            .map(|(space, seen)| (space, seen.into_iter().map(Seen::without_user).collect()))
            .collect()
    });
    let i686: [(&str, MapAll); 2] = [("ours", ours_i686), ("hyperlight", upstream_i686)];
    let seen = |memory: &PhysicalMemory| {
        // SAFETY: as above.
        of_i686(&unsafe { hyperlight_i686::vmem::walk_va_spaces(&memory.i686(0), &[0], 0, 1 << 32) })
    };
    let seen_by_us = |memory: &PhysicalMemory| {
        // SAFETY: as above.
        of_ours(&unsafe { pt_i686::raw::walk_va_spaces(&memory.i686(0), &[0], 0, 1 << 32) })
    };
    both(criterion.benchmark_group("map-i686"), &i686, seen, seen_by_us);
}

/// Measures both sides, after upstream's walk and ours have seen the same in what both built.
fn both(
    mut group: BenchmarkGroup<'_, impl Measurement>,
    sides: &[(&str, MapAll); 2],
    upstream_sees: impl Fn(&PhysicalMemory) -> Vec<SeenSpace>,
    we_see: impl Fn(&PhysicalMemory) -> Vec<SeenSpace>,
) {
    group.throughput(Throughput::Elements(PAGES));
    for (way, pages) in [("pages", 1), ("range", PAGES)] {
        let built = sides.map(|(_, map)| {
            let mut memory = empty();
            map(&mut memory, FRAMES[0], pages);
            let first = upstream_sees(&memory);
            assert_eq!(first, we_see(&memory));
            map(&mut memory, FRAMES[1], pages);
            (first, upstream_sees(&memory))
        });
        assert_eq!(built[0], built[1], "{way}");
        assert_eq!(built[0].1[0].1.len() as u64, PAGES);
        for (name, map) in sides {
            group.bench_function(format!("{way}-new/{name}"), |b| {
                b.iter_batched_ref(empty, |memory| map(memory, FRAMES[0], pages), BatchSize::SmallInput);
            });
            let mut memory = empty();
            map(&mut memory, FRAMES[0], pages);
            let mut turn = 0;
            group.bench_function(format!("{way}-again/{name}"), |b| {
                b.iter(|| {
                    turn ^= 1;
                    map(&mut memory, FRAMES[turn], pages);
                });
            });
        }
    }
    group.finish();
}
