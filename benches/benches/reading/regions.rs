//! A walk and translations through `vm-memory`, against a byte slice and against memory that is loaded entry by entry.
//!
//! One space of 1 GiB in 4 KiB pages; its 515 tables lie scattered over 1, 2 or 16 regions with holes between them, so
//! that few tables follow one in the same region. Every memory gives the same answer, which is checked before it is timed.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use criterion::{Criterion, Throughput};
use pt_amd64::FourLevel;
use pt_core::{Event, Leaves, Memory, Options, Unreadable, Walk, translate};
use pt_vm_memory::VmMemory;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use crate::cpu_time::CpuTime;

const TABLES: u64 = 515;
const PAGES: u64 = 512 * 512;
/// All regions together, and as much again of holes.
const BYTES: u64 = 4 << 20;

struct Scene {
    ram: GuestMemoryMmap<()>,
    /// The same bytes by address, holes included.
    slice: Vec<u8>,
    root: u64,
}

impl Scene {
    fn new(regions: u64) -> Self {
        let len = BYTES / regions;
        let ranges: Vec<_> =
            (0..regions).map(|index| (GuestAddress(2 * index * len), len as usize)).collect();
        let ram = GuestMemoryMmap::<()>::from_ranges(&ranges).unwrap();
        // A stride that is odd goes once around all frames.
        let frames = BYTES >> 12;
        let frame = |table: u64| {
            let place = (table * 389 % frames) << 12;
            let (region, within) = (place / len, place % len);
            2 * region * len + within
        };
        let mut slice = vec![0; 2 * BYTES as usize];
        let mut store = |at: u64, raw: u64| {
            ram.write_obj(raw, GuestAddress(at)).unwrap();
            slice[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
        };
        store(frame(0), frame(1) | 3);
        store(frame(1), frame(2) | 3);
        for table in 3..TABLES {
            store(frame(2) + 8 * (table - 3), frame(table) | 3);
            for page in 0..512 {
                store(frame(table) + 8 * page, ((table - 3) * 512 + page) << 12 | 3);
            }
        }
        Self { ram, slice, root: frame(0) }
    }
}

/// What a walker does that asks the memory for one entry at a time.
struct EntryWise<'a>(&'a GuestMemoryMmap<()>);

impl Memory for EntryWise<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        for (entry, address) in into.chunks_exact_mut(8).zip((address..).step_by(8)) {
            entry.copy_from_slice(&self.read_entry(address, 8)?.to_le_bytes());
        }
        Ok(())
    }

    fn read_entry(&self, address: u64, _: usize) -> Result<u64, Unreadable> {
        self.0.load(GuestAddress(address), Ordering::Relaxed).map_err(|_| Unreadable::Outside)
    }
}

/// The pages of the space, and a sum over them.
fn walk<M: Memory + ?Sized>(memory: &M, root: u64, leaves: Leaves) -> (u64, u64) {
    let options = Options { leaves, ..Options::default() };
    let roots = [root];
    Walk::new(FourLevel::default(), memory, &roots, options).fold((0, 0), |(pages, sum), event| match event {
        Ok(Event::Leaf(leaf)) => (pages + u64::from(leaf.pages), sum ^ leaf.va ^ leaf.pa),
        Ok(Event::Fault(_)) | Err(_) => (u64::MAX, 0),
        Ok(_) => (pages, sum),
    })
}

/// Addresses in no order, all mapped.
fn addresses() -> impl Iterator<Item = u64> {
    (0..4096).map(|index| ((index * 40_503 % PAGES) << 12) | (index % 4096))
}

fn translations<M: Memory + ?Sized>(memory: &M, root: u64) -> u64 {
    let format = FourLevel::default();
    addresses().map(|va| translate(&format, memory, root, va).unwrap().pa).fold(0, u64::wrapping_add)
}

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    for regions in [1, 2, 16] {
        let Scene { ram, slice, root } = &Scene::new(regions);
        let root = *root;
        assert_eq!(ram.num_regions() as u64, regions);
        let (adapted, entry_wise) = (VmMemory::new(ram), EntryWise(ram));
        let mut group = criterion.benchmark_group(format!("regions-{regions}"));
        group.throughput(Throughput::Elements(PAGES));
        for (name, leaves) in [("fold", Leaves::Each), ("runs", Leaves::Runs)] {
            let expected = walk(slice.as_slice(), root, leaves);
            assert_eq!(expected.0, PAGES);
            assert_eq!(walk(&adapted, root, leaves), expected);
            assert_eq!(walk(&entry_wise, root, leaves), expected);
            group.bench_function(name, |b| b.iter(|| walk(black_box(slice.as_slice()), root, leaves)));
            group
                .bench_function(format!("{name}-vm"), |b| b.iter(|| walk(black_box(&adapted), root, leaves)));
            group.bench_function(format!("{name}-load"), |b| {
                b.iter(|| walk(black_box(&entry_wise), root, leaves));
            });
        }

        let expected = translations(slice.as_slice(), root);
        assert_eq!(translations(&adapted, root), expected);
        assert_eq!(translations(&entry_wise, root), expected);
        group.throughput(Throughput::Elements(4096));
        group.bench_function("translate", |b| b.iter(|| translations(black_box(slice.as_slice()), root)));
        group.bench_function("translate-vm", |b| b.iter(|| translations(black_box(&adapted), root)));
        group.bench_function("translate-load", |b| b.iter(|| translations(black_box(&entry_wise), root)));
        group.finish();
    }
}
