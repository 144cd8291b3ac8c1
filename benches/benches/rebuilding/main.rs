//! Rebuilding spaces, against a plain copy of the same bytes.
//!
//! Guests are one that is made up like those in the corpus, with its memory (processes that share a kernel half, whose
//! direct map shows all memory in large pages, and small pages of their own, scattered over it) and, where
//! `PT_BENCH_IMAGES` names images, these. All of it is in memory, so files have no part in it. Results are verified before
//! anything is timed. With `-- --test` everything runs once.

#[path = "../reading/cpu_time.rs"]
mod cpu_time;
mod guest;

use std::hash::Hash;
use std::hint::black_box;
use std::time::Duration;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use guest::Guest;
use pt_core::{Encode, Limits};
use pt_rebuild::{Arena, Compact, Graph, Keep, Plan, Proof, RebuildOptions, Rebuilt, verify};
use pt_vcpu::with_format;

/// What a placement is in this bench.
#[derive(Clone, Copy, Debug)]
enum Frames {
    /// New tables in a copy of the same memory.
    Keep,
    /// Everything moves, next to one another; old tables that pages show keep their bytes.
    Compact,
}

impl Frames {
    /// From the guest's memory to what is ready to be written.
    fn rebuild<F: Encode>(self, format: F, guest: &Guest) -> Rebuilt {
        let graph = Graph::read(format, &guest.memory, &guest.roots, 0..=u64::MAX, Limits::NONE);
        let graph = graph.expect("a graph");
        let end = guest.memory.len() as u64;
        match self {
            Self::Keep => {
                let plan = Plan::new(graph, RebuildOptions::default(), Keep).expect("a plan");
                plan.reserve(&mut Arena::new([end..=2 * end - 1])).expect("enough memory")
            }
            Self::Compact => {
                let mut arena = Arena::new([0..=2 * end - 1]);
                let compact = Compact::new(&mut arena, [0..=end - 1]);
                let plan = Plan::new(graph, RebuildOptions::default(), compact).expect("a plan");
                plan.reserve(&mut arena).expect("enough memory")
            }
        }
    }

    /// The bytes of pages, from where they are to where they go, and nothing else: what is compared with.
    fn copy(self, rebuilt: &Rebuilt, guest: &Guest, new: &mut [u8]) {
        match self {
            Self::Keep => new[..guest.memory.len()].copy_from_slice(&guest.memory),
            Self::Compact => {
                for (from, to, len) in moves(rebuilt, guest) {
                    new[to..to + len].copy_from_slice(&guest.memory[from..from + len]);
                }
            }
        }
    }

    fn write(self, rebuilt: &Rebuilt, guest: &Guest, new: &mut [u8]) {
        match self {
            Self::Keep => {
                self.copy(rebuilt, guest, new);
                rebuilt.commit_tables(new).expect("memory");
            }
            Self::Compact => {
                rebuilt.commit(&guest.memory, new).expect("memory");
            }
        }
    }

    fn bytes(self, rebuilt: &Rebuilt, guest: &Guest) -> u64 {
        match self {
            Self::Keep => guest.memory.len() as u64,
            Self::Compact => moves(rebuilt, guest).map(|(_, _, len)| len as u64).sum(),
        }
    }
}

/// From where, to where, and how many bytes. What devices have above memory is mapped too, and nothing copies it.
fn moves(rebuilt: &Rebuilt, guest: &Guest) -> impl Iterator<Item = (usize, usize, usize)> {
    let end = guest.memory.len() as u64;
    let inside = rebuilt.copies().iter().filter(move |frames| frames.first < end);
    inside.map(move |frames| {
        let len = frames.bytes().min(end - frames.first);
        (frames.first as usize, frames.to.unwrap_or(0) as usize, len as usize)
    })
}

fn bench(criterion: &mut Criterion<CpuTime>) {
    for guest in Guest::all() {
        for frames in [Frames::Compact, Frames::Keep] {
            with_format!(
                guest.paging,
                |format| measure(criterion, &format, &guest, frames),
                unpaged => panic!("paging is off"),
            );
        }
    }
}

fn measure<F>(criterion: &mut Criterion<CpuTime>, format: &F, guest: &Guest, frames: Frames)
where
    F: Encode<Rights: Hash> + Clone,
{
    let mut new = vec![0; 2 * guest.memory.len()];
    let rebuilt = frames.rebuild(format.clone(), guest);
    frames.write(&rebuilt, guest, &mut new);
    let prove = |new: &[u8]| verify(format, &guest.memory, new, rebuilt.roots(), &Proof::default());
    assert_eq!(prove(&new).expect("equal").tables.new as usize, rebuilt.tables().len());

    let name = format!("{frames:?}").to_lowercase();
    let mut group = criterion.benchmark_group(format!("rebuild-{}-{name}", guest.name));
    group.throughput(Throughput::Bytes(frames.bytes(&rebuilt, guest)));
    group.bench_function("copy", |bencher| {
        bencher.iter(|| frames.copy(&rebuilt, guest, black_box(&mut new)));
    });
    group.bench_function("tables", |bencher| {
        bencher.iter(|| black_box(frames.rebuild(format.clone(), guest)));
    });
    group.bench_function("everything", |bencher| {
        bencher.iter(|| {
            let rebuilt = frames.rebuild(format.clone(), guest);
            frames.write(&rebuilt, guest, black_box(&mut new));
        });
    });
    group.bench_function("verify", |bencher| bencher.iter(|| black_box(prove(&new).is_ok())));
    group.finish();
}

fn criterion() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
}

criterion_group! {
    name = rebuilding;
    config = criterion();
    targets = bench
}
criterion_main!(rebuilding);
