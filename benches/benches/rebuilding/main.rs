//! Rebuilding spaces, against a plain copy of the same bytes.
//!
//! The guest is like the ones in the corpus, with its memory: processes that share a kernel half, whose direct map shows
//! all memory in large pages, and have small pages of their own, scattered over it. Results are verified before anything
//! is timed. With `-- --test` everything runs once.

#[path = "../reading/cpu_time.rs"]
mod cpu_time;
mod guest;

use std::hint::black_box;
use std::time::Duration;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use guest::Guest;
use pt_amd64::FourLevel;
use pt_core::Limits;
use pt_rebuild::{Arena, Compact, Graph, Keep, Plan, Proof, RebuildOptions, Rebuilt, TableFrames, verify};

/// What a placement is in this bench.
#[derive(Clone, Copy)]
enum Frames {
    /// New tables in the same memory.
    Keep,
    /// Everything moves, the tables with it.
    CompactLive,
    /// Everything moves, the tables are new.
    CompactData,
}

impl Frames {
    fn table_frames(self) -> TableFrames {
        match self {
            Self::CompactLive => TableFrames::Live,
            Self::Keep | Self::CompactData => TableFrames::Data,
        }
    }

    /// From the guest's memory to what is ready to be written.
    fn rebuild(self, guest: &Guest) -> Rebuilt {
        let format = FourLevel::default();
        let graph = Graph::read(format, &guest.memory, &guest.roots, 0..=u64::MAX, Limits::NONE);
        let graph = graph.expect("a graph");
        let options = RebuildOptions { table_frames: self.table_frames(), ..RebuildOptions::default() };
        let end = guest.memory.len() as u64;
        match self {
            Self::Keep => {
                let plan = Plan::new(graph, options, Keep).expect("a plan");
                plan.reserve(&mut Arena::new([end..=2 * end - 1])).expect("enough memory")
            }
            Self::CompactLive | Self::CompactData => {
                let mut arena = Arena::new([0..=2 * end - 1]);
                let compact = Compact::new(&mut arena, [0..=end - 1]);
                let plan = Plan::new(graph, options, compact).expect("a plan");
                plan.reserve(&mut arena).expect("enough memory")
            }
        }
    }

    fn write(self, rebuilt: &Rebuilt, guest: &Guest, new: &mut [u8]) {
        match self {
            Self::Keep => rebuilt.commit_tables(new).expect("memory"),
            Self::CompactLive | Self::CompactData => {
                rebuilt.commit(&guest.memory, new).expect("memory");
            }
        }
    }
}

fn bench(criterion: &mut Criterion<CpuTime>) {
    let guest = Guest::new();
    let mut new = vec![0; 2 * guest.memory.len()];
    for (name, frames) in [
        ("keep", Frames::Keep),
        ("compact, live", Frames::CompactLive),
        ("compact, data", Frames::CompactData),
    ] {
        let rebuilt = frames.rebuild(&guest);
        new.fill(0);
        if matches!(frames, Frames::Keep) {
            new[..guest.memory.len()].copy_from_slice(&guest.memory);
        }
        frames.write(&rebuilt, &guest, &mut new);
        let proof = Proof { table_frames: frames.table_frames(), ..Proof::default() };
        let proved = verify(&FourLevel::default(), &guest.memory, &new, rebuilt.roots(), &proof);
        assert_eq!(proved.expect("equal").tables.new as usize, rebuilt.tables().len());

        let mut group = criterion.benchmark_group(format!("rebuild: {name}"));
        let bytes: u64 = rebuilt.copies().iter().map(pt_rebuild::Stretch::bytes).sum();
        group.throughput(Throughput::Bytes(bytes));
        // What is compared with: the same bytes from where they are to where they go, and nothing else.
        group.bench_function("copy the same bytes", |bencher| {
            bencher.iter(|| {
                for frames in rebuilt.copies() {
                    let (from, to) = (frames.first as usize, frames.to.unwrap_or(0) as usize);
                    let len = frames.bytes() as usize;
                    new[to..to + len].copy_from_slice(&guest.memory[from..from + len]);
                }
                black_box(&mut new);
            });
        });
        group.bench_function("tables: read, plan, reserve", |bencher| {
            bencher.iter(|| black_box(frames.rebuild(&guest)));
        });
        group.bench_function("everything", |bencher| {
            bencher.iter(|| {
                let rebuilt = frames.rebuild(&guest);
                frames.write(&rebuilt, &guest, &mut new);
                black_box(&mut new);
            });
        });
        group.bench_function("verify", |bencher| {
            bencher.iter(|| {
                black_box(verify(&FourLevel::default(), &guest.memory, &new, rebuilt.roots(), &proof).is_ok())
            });
        });
        group.finish();
    }
}

fn criterion() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(10)
}

criterion_group! {
    name = rebuilding;
    config = criterion();
    targets = bench
}
criterion_main!(rebuilding);
