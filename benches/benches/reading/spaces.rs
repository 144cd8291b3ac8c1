//! Many spaces that share 1 GiB of 4 KiB pages, each with tables of its own.
//!
//! Times are per distinct table. hyperlight-common 0.18 walks each space by itself; 0.15 walks 2-level spaces together
//! and reports shared page tables as references, as our raw interface does.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use pt_amd64::FourLevel;
use pt_benches::{Answer, Pattern, Scene, Seen, fields, of_i686, of_ours, pages_of_events, read_once};
use pt_core::{Leaves, Recording};

use crate::calls;
use crate::cpu_time::CpuTime;

const ROOTS: [usize; 4] = [1, 4, 16, 64];
/// How many tables each space has to itself, its root included.
const PRIVATE: usize = 64;

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    for pattern in [Pattern::Contiguous, Pattern::Scattered] {
        amd64(criterion, pattern);
    }
    i686(criterion);
}

fn amd64(criterion: &mut Criterion<CpuTime>, pattern: Pattern) {
    let mut group = criterion.benchmark_group(format!("spaces-{}", pattern.name()));
    group.sample_size(10);
    for count in ROOTS {
        let scene = Scene::sharing(pattern, count, PRIVATE);
        let (bytes, roots) = (scene.memory.bytes(), &scene.roots[..]);
        let recording =
            Recording::new(FourLevel::default(), calls::walk(bytes, roots, Leaves::Runs)).expect("no limits");
        for (space, &root) in roots.iter().enumerate() {
            let ours: Answer = pages_of_events(recording.expand(space as u32).map(Ok)).collect();
            let theirs = calls::upstream_walk(&scene.memory.amd64(root), &[root]);
            assert_eq!(ours, theirs[0].1.iter().map(Seen::from).collect(), "space {space} of {count}");
        }

        group.throughput(Throughput::Elements(scene.tables()));
        group.bench_function(BenchmarkId::new("floor", count), |b| b.iter(|| read_once(black_box(bytes))));
        for (name, leaves) in [("runs", Leaves::Runs), ("fold", Leaves::Each)] {
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| fields::all(calls::walk(black_box(bytes), roots, leaves)));
            });
        }
        // One at a time, so that its lists stay small.
        group.bench_function(BenchmarkId::new("hyperlight", count), |b| {
            b.iter(|| {
                let walk =
                    |&root| fields::all_spaces(&calls::upstream_walk(&scene.memory.amd64(root), &[root]));
                black_box(roots).iter().map(walk).fold(0, u64::wrapping_add)
            });
        });
    }
    group.finish();
}

fn i686(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("spaces-i686");
    group.sample_size(10);
    for count in ROOTS {
        let scene = Scene::sharing_i686(Pattern::Contiguous, count, PRIVATE);
        let (tables, roots) = (scene.memory.i686(0), &scene.roots[..]);
        let (ours, theirs) =
            (calls::our_walk_i686(&tables, roots), calls::upstream_walk_i686(&tables, roots));
        assert_eq!(ours.len(), theirs.len());
        for ((our_id, ours), (their_id, theirs)) in of_ours(&ours).into_iter().zip(of_i686(&theirs)) {
            let answers: [Answer; 2] = [ours, theirs].map(|seen| seen.into_iter().collect());
            assert_eq!((our_id, answers[0]), (their_id, answers[1]), "{count} spaces");
        }

        group.throughput(Throughput::Elements(scene.tables()));
        group.bench_function(BenchmarkId::new("raw-walk", count), |b| {
            b.iter(|| fields::all_spaces(&calls::our_walk_i686(black_box(&tables), roots)));
        });
        group.bench_function(BenchmarkId::new("hyperlight", count), |b| {
            b.iter(|| fields::all_spaces(&calls::upstream_walk_i686(black_box(&tables), roots)));
        });
    }
    group.finish();
}
