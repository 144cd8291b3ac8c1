//! What a walk takes from the heap: a record per visit, and nothing per leaf.

use pt_amd64::FourLevel;
use pt_benches::{Pattern, Scene, fields};
use pt_core::{Leaves, Options, Walk};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The most that may be in use at once, in bytes per visit.
const PER_VISIT: u64 = 128;

/// Bytes at the peak of a walk, and how many allocations it made.
fn peak(scene: &Scene, leaves: Leaves) -> (usize, u64) {
    let profiler = dhat::Profiler::builder().testing().build();
    let options = Options { leaves, ..Options::default() };
    fields::all(Walk::new(FourLevel::default(), scene.memory.bytes(), &scene.roots, options));
    let stats = dhat::HeapStats::get();
    drop(profiler);
    assert_eq!(stats.curr_bytes, 0, "all of it is given back");
    (stats.max_bytes, stats.total_blocks)
}

/// One test, because the profiler sees the whole process.
#[test]
fn a_walk_takes_little_from_the_heap() {
    // Powers of two are where a table that doubles has just grown.
    for roots in [1, 2, 3, 16, 33, 64] {
        let scenes = [Pattern::Contiguous, Pattern::Scattered, Pattern::Sparse]
            .map(|pattern| Scene::sharing(pattern, roots, 64));
        let all: Vec<_> = scenes
            .iter()
            .flat_map(|scene| [Leaves::Runs, Leaves::Each].map(|leaves| peak(scene, leaves)))
            .collect();
        // As many tables in each, and from a sixteenth of a million leaves to a million.
        assert!(all.iter().all(|peak| *peak == all[0]), "leaves cost memory: {all:?}");
        let (bytes, allocations) = all[0];
        let visits = scenes[0].tables();
        println!("{roots} spaces: {visits} visits, {bytes} bytes at the peak, {allocations} allocations");
        assert!(bytes > 0, "the profiler sees nothing");
        assert!(bytes as u64 <= PER_VISIT * visits, "{roots} spaces: {bytes} bytes for {visits} visits");
    }
}
