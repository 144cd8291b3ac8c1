//! Many spaces that share 4 GiB of 4 KiB pages, each with tables of its own.
//!
//! Times are per distinct table. hyperlight-common 0.18 walks each space by itself, up to 64 of them: that takes seconds,
//! so few runs are timed, and samples repeat them. 0.15 walks 2-level spaces together (1 GiB of them is shared) and reports
//! shared page tables as references, as our raw interface does. A run of everything once has few spaces.

use std::hint::black_box;

use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use pt_amd64::FourLevel;
use pt_benches::{Answer, Pattern, Scene, Seen, calls, fields, of_i686, of_ours, pages_of_events, read_once};
use pt_core::{Leaves, Recording};

use crate::cpu_time::CpuTime;

const ROOTS: [usize; 7] = [1, 4, 16, 64, 256, 1024, 4096];
/// The most that upstream walks.
const UPSTREAM: usize = 64;
/// How often upstream's walk is timed from where a run of it takes seconds.
const RUNS: usize = 2;
/// How many tables each space has to itself, its root included.
const PRIVATE: usize = 64;

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    let once = std::env::args().any(|argument| argument == "--test");
    let roots = if once { &ROOTS[..2] } else { &ROOTS };
    for pattern in [Pattern::Contiguous, Pattern::Scattered] {
        amd64(criterion, pattern, roots);
    }
    i686(criterion, &roots[..roots.len().min(4)]);
}

fn amd64(criterion: &mut Criterion<CpuTime>, pattern: Pattern, roots: &[usize]) {
    let mut group = criterion.benchmark_group(format!("spaces-{}", pattern.name()));
    group.sample_size(10);
    for &count in roots {
        let scene = Scene::sharing(pattern, count, PRIVATE);
        let (bytes, roots) = (scene.memory.bytes(), &scene.roots[..]);
        group.throughput(Throughput::Elements(scene.tables()));
        group.bench_function(BenchmarkId::new("floor", count), |b| {
            b.iter(|| read_once(black_box(scene.bytes_of_tables())));
        });
        for (name, leaves) in [("runs", Leaves::Runs), ("fold", Leaves::Each)] {
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| fields::all(calls::walk(black_box(bytes), roots, leaves)));
            });
        }
        if count <= UPSTREAM {
            upstream(&mut group, &scene);
        }
    }
    group.finish();
}

/// One space at a time, so that its lists stay small.
fn upstream(group: &mut BenchmarkGroup<'_, CpuTime>, scene: &Scene) {
    let (bytes, roots) = (scene.memory.bytes(), &scene.roots[..]);
    let recording =
        Recording::new(FourLevel::default(), calls::walk(bytes, roots, Leaves::Runs)).expect("no limits");
    let walk = |root| calls::upstream_walk(&scene.memory.amd64(root), &[root]);
    for (space, &root) in roots.iter().enumerate().step_by(21) {
        let ours: Answer = pages_of_events(recording.expand(space as u32).map(Ok)).collect();
        assert_eq!(ours, walk(root)[0].1.iter().map(Seen::from).collect(), "space {space}");
    }
    let all =
        || black_box(roots).iter().map(|&root| fields::all_spaces(&walk(root))).fold(0, u64::wrapping_add);
    let id = BenchmarkId::new("hyperlight", roots.len());
    if roots.len() < 16 {
        group.bench_function(id, |b| b.iter(all));
        return;
    }
    let mut runs = Vec::new();
    let mut sample = 0;
    group.bench_function(id, |b| {
        b.iter_custom(|iterations| {
            if runs.len() < RUNS {
                let start = CpuTime.start();
                black_box(all());
                runs.push(CpuTime.end(start));
            }
            sample += 1;
            runs[sample % runs.len()] * iterations as u32
        });
    });
}

fn i686(criterion: &mut Criterion<CpuTime>, roots: &[usize]) {
    let mut group = criterion.benchmark_group("spaces-i686");
    group.sample_size(10);
    for &count in roots {
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
