//! One amd64 space of 512 leaf tables, in four patterns: 1 GiB of 4 KiB pages, or 512 GiB of 2 MiB pages.
//!
//! Times are per slot of a leaf table, present or not, so that the patterns compare with one another.

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput};
use hyperlight::vmem;
use pt_benches::calls;
use pt_benches::peers::{generic, memflow, multiarch};
use pt_benches::{Answer, Copying, Fields, GIB, Pattern, Scene, Seen, fields, pages_of_events, read_once};
use pt_core::Leaves;
use pt_core::raw::SpaceAwareMapping;

use crate::cpu_time::CpuTime;

/// What `virt_to_phys` is asked for: all that the 4 KiB patterns map.
const RANGE: (u64, u64) = (0, 1 << 30);

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    for pattern in Pattern::ALL {
        let scene = Scene::one(pattern, GIB);
        let mut group = criterion.benchmark_group(format!("walk-{}", pattern.name()));
        group.throughput(Throughput::Elements(512 * GIB as u64));
        let answer = events(&mut group, &scene);
        peers(&mut group, &scene, answer);
        // Upstream reads a large page as a table, and ours gives 512 times as many pages here.
        if pattern != Pattern::Large {
            raw(&mut group, &scene);
        }
        group.finish();
    }
}

fn events(group: &mut BenchmarkGroup<'_, CpuTime>, scene: &Scene) -> Answer {
    let (bytes, roots) = (scene.memory.bytes(), &scene.roots[..]);
    let copying = &Copying(bytes);
    let answer: Answer = pages_of_events(calls::walk(bytes, roots, Leaves::Each)).collect();
    assert_eq!(answer, pages_of_events(calls::walk(bytes, roots, Leaves::Runs)).collect());
    assert_eq!(answer, pages_of_events(calls::walk(copying, roots, Leaves::Runs)).collect());
    assert_eq!(answer, pages_of_events(calls::walk(copying, roots, Leaves::Each)).collect());

    group.bench_function("floor", |b| b.iter(|| read_once(black_box(scene.bytes_of_tables()))));
    for (name, leaves) in [("runs", Leaves::Runs), ("fold", Leaves::Each)] {
        group.bench_function(name, |b| {
            b.iter(|| fields::all(calls::walk(black_box(bytes), roots, leaves)));
        });
        group.bench_function(format!("{name}-copied"), |b| {
            b.iter(|| fields::all(calls::walk(black_box(copying), roots, leaves)));
        });
    }
    group.bench_function("next", |b| {
        b.iter(|| {
            let mut sum = 0u64;
            for event in calls::walk(black_box(bytes), roots, Leaves::Each) {
                sum = sum.wrapping_add(event.fields());
            }
            sum
        });
    });
    answer
}

/// Every leaf of the peers that walk, whose tables are copies of the scene's.
fn peers(group: &mut BenchmarkGroup<'_, CpuTime>, scene: &Scene, answer: Answer) {
    let (mut memory, root) = (scene.memory.clone(), scene.roots[0]);
    let space = multiarch::Space::new(&mut memory, root);
    assert_eq!(answer, space.seen().into_iter().collect());
    group.bench_function("page_table_multiarch", |b| b.iter(|| black_box(&space).fields()));
    drop(space);

    let space = generic::Space::new(&mut memory, root);
    assert_eq!(answer, space.seen().into_iter().collect());
    group.bench_function("page-table-generic", |b| b.iter(|| black_box(&space).fields()));
    drop(space);

    let mut space = memflow::Space::new(scene.memory.bytes(), root);
    let all = (0, 1 << 39);
    assert_eq!(answer, space.seen(all).into_iter().collect());
    group.bench_function("memflow", |b| b.iter(|| space.fields(black_box(std::iter::once(all)))));
}

fn raw(group: &mut BenchmarkGroup<'_, CpuTime>, scene: &Scene) {
    let (roots, tables) = (&scene.roots[..], scene.memory.amd64(scene.roots[0]));
    let ours = calls::our_walk(&tables, roots);
    let answer: Answer = ours[0].1.iter().map(|mapping| Seen::from(mapping).without_user()).collect();
    let theirs = calls::upstream_walk(&tables, roots);
    assert_eq!(answer, theirs[0].1.iter().map(Seen::from).collect());
    let pages = calls::our_pages(tables, RANGE);
    assert_eq!(answer, pages.map(|page| Seen::from(&page).without_user()).collect());
    assert_eq!(answer, calls::upstream_pages(tables, RANGE).map(|page| Seen::from(&page)).collect());
    let events = calls::walk(scene.memory.bytes(), roots, Leaves::Each);
    assert_eq!(answer, pages_of_events(events).collect());

    // What the results alone cost: as many items of the same size.
    let pages = ours[0].1.len();
    group.bench_function("raw-list", |b| {
        b.iter(|| black_box(list::<{ size_of::<SpaceAwareMapping>() / 8 }>(black_box(pages))));
    });
    group.bench_function("hyperlight-list", |b| {
        b.iter(|| black_box(list::<{ size_of::<vmem::SpaceAwareMapping>() / 8 }>(black_box(pages))));
    });
    group.bench_function("raw-walk", |b| {
        b.iter(|| fields::all_spaces(&calls::our_walk(black_box(&tables), roots)));
    });
    group.bench_function("hyperlight-walk", |b| {
        b.iter(|| fields::all_spaces(&calls::upstream_walk(black_box(&tables), roots)));
    });
    group.bench_function("raw-pages", |b| {
        b.iter(|| fields::all(calls::our_pages(black_box(tables), RANGE)));
    });
    group.bench_function("hyperlight-pages", |b| {
        b.iter(|| fields::all(calls::upstream_pages(black_box(tables), RANGE)));
    });
}

/// So many items of so many words, a table's worth at a time: how many there will be is not known before.
fn list<const WORDS: usize>(pages: usize) -> Vec<[u64; WORDS]> {
    let mut list = Vec::new();
    for table in (0..pages).step_by(512) {
        let len = (pages - table).min(512);
        list.extend((table..table + len).map(|page| [page as u64; WORDS]));
    }
    list
}
