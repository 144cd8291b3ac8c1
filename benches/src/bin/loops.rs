//! The hot loops, one at a time, for a tool that counts or profiles: `loops NAME` runs one once, `loops --list` names them
//! with the number of elements each is for.
//!
//! What is prepared stays outside of [`measured_loop`], and all else inside, so that callgrind's `--toggle-collect` counts
//! the loop alone. `cargo xtask bench --check` compares the counts with those on record.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::ExitCode;

use pt_amd64::FourLevel;
use pt_benches::sides::{Change, Ours, Range, Side, empty};
use pt_benches::{Copying, Fields, GIB, KERNEL, Pattern, PhysicalMemory, Scene, calls, fields, scrambled};
use pt_core::raw::{BasicMapping, Mapping, MappingKind};
use pt_core::{Leaves, Limits, Memory, Options, Translator, Walk, translate};
use pt_rebuild::{Arena, Graph, Keep, Plan, RebuildOptions};

/// Something prepared: for how many elements it is, and what runs.
struct Prepared {
    elements: u64,
    run: Box<dyn FnMut() -> u64>,
}

type Prepare = fn() -> Prepared;

/// Loops by name.
const LOOPS: &[(&str, Prepare)] = &[
    ("walk-runs-contiguous", || walk(Pattern::Contiguous, Leaves::Runs)),
    ("walk-runs-scattered", || walk(Pattern::Scattered, Leaves::Runs)),
    ("walk-runs-sparse", || walk(Pattern::Sparse, Leaves::Runs)),
    ("walk-runs-large", || walk(Pattern::Large, Leaves::Runs)),
    ("walk-fold-contiguous", || walk(Pattern::Contiguous, Leaves::Each)),
    ("walk-fold-sparse", || walk(Pattern::Sparse, Leaves::Each)),
    ("walk-runs-copied", copied),
    ("walk-next", next),
    ("walk-16-spaces", spaces),
    ("raw-walk", raw_walk),
    ("raw-pages", raw_pages),
    ("raw-map-pages", raw_map),
    ("translate-random", || translations(false)),
    ("translate-sorted", || translations(true)),
    ("translate-batch-random", || batch(false)),
    ("translate-batch-sorted", || batch(true)),
    ("edit-map-4k", || map(SMALL, SMALL.len)),
    ("edit-unmap-4k", || change(SMALL, Ours::unmap)),
    ("edit-protect-4k", || change(SMALL, |space, range| Ours::protect(space, range, false))),
    ("edit-map-2m", || map(LARGE, 1 << 30)),
    ("edit-map-pages", || map(Range { len: 4 << 20, ..SMALL }, 4096)),
    ("rebuild-keep-tables", rebuild),
];

const SMALL: Range = Range { va: 256 << 30, pa: 4 << 30, len: 1 << 30, level: 1 };
const LARGE: Range = Range { va: 256 << 30, pa: (4 << 30) + (2 << 20), len: 16 << 30, level: 2 };

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).unwrap_or_default();
    if asked == "--list" {
        for (name, prepare) in LOOPS {
            println!("{name} {}", prepare().elements);
        }
        return ExitCode::SUCCESS;
    }
    let Some((_, prepare)) = LOOPS.iter().find(|(name, _)| *name == asked) else {
        eprintln!("usage: loops --list | NAME");
        return ExitCode::from(2);
    };
    black_box(measured_loop(&mut *prepare().run));
    ExitCode::SUCCESS
}

#[inline(never)]
fn measured_loop(run: &mut dyn FnMut() -> u64) -> u64 {
    run()
}

/// Lives as long as the process, so that loops can borrow from it.
fn kept<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn events<M: Memory + ?Sized>(memory: &M, roots: &[u64], leaves: Leaves) -> u64 {
    let options = Options { leaves, ..Options::default() };
    fields::all(Walk::new(FourLevel::default(), memory, roots, options))
}

fn walk(pattern: Pattern, leaves: Leaves) -> Prepared {
    let scene = Scene::one(pattern, GIB);
    let run = move || events(black_box(scene.memory.bytes()), &scene.roots, leaves);
    Prepared { elements: 512 * GIB as u64, run: Box::new(run) }
}

fn copied() -> Prepared {
    let scene = Scene::one(Pattern::Contiguous, GIB);
    let run = move || events(black_box(&Copying(scene.memory.bytes())), &scene.roots, Leaves::Runs);
    Prepared { elements: 512 * GIB as u64, run: Box::new(run) }
}

fn next() -> Prepared {
    let scene = Scene::one(Pattern::Contiguous, GIB);
    let run = move || {
        let mut sum = 0u64;
        for event in
            Walk::new(FourLevel::default(), black_box(scene.memory.bytes()), &scene.roots, Options::default())
        {
            sum = sum.wrapping_add(event.fields());
        }
        sum
    };
    Prepared { elements: 512 * GIB as u64, run: Box::new(run) }
}

/// Per table.
fn spaces() -> Prepared {
    let scene = Scene::sharing(Pattern::Contiguous, 16, 64);
    let elements = scene.tables();
    let run = move || events(black_box(scene.memory.bytes()), &scene.roots, Leaves::Runs);
    Prepared { elements, run: Box::new(run) }
}

fn raw_walk() -> Prepared {
    let scene = Scene::one(Pattern::Contiguous, GIB);
    let run = move || {
        let tables = scene.memory.amd64(scene.roots[0]);
        fields::all_spaces(&calls::our_walk(black_box(&tables), &scene.roots))
    };
    Prepared { elements: 512 * GIB as u64, run: Box::new(run) }
}

fn raw_pages() -> Prepared {
    let scene = Scene::one(Pattern::Contiguous, GIB);
    let run = move || {
        let tables = scene.memory.amd64(scene.roots[0]);
        fields::all(calls::our_pages(black_box(tables), (0, 1 << 30)))
    };
    Prepared { elements: 512 * GIB as u64, run: Box::new(run) }
}

/// A call per page, 16 MiB.
fn raw_map() -> Prepared {
    const PAGES: u64 = 4096;
    let mut memory = PhysicalMemory::new(32);
    memory.allocate();
    let run = move || {
        let builder = memory.amd64_mut(0);
        let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: false });
        for page in 0..PAGES {
            let mapping = Mapping::new((4 << 30) + page * 4096, black_box(page * 4096), 4096, kind);
            calls::our_map(&builder, mapping).expect("nothing is in the way");
        }
        PAGES
    };
    Prepared { elements: PAGES, run: Box::new(run) }
}

/// Addresses of 4 GiB, and the space that maps them.
fn addresses(sorted: bool) -> (Scene, Vec<u64>) {
    let mut addresses: Vec<u64> = (0..1 << 16).map(|number| scrambled(number) & ((4 << 30) - 1)).collect();
    if sorted {
        addresses.sort_unstable();
    }
    (Scene::one(Pattern::Scattered, KERNEL), addresses)
}

fn translations(sorted: bool) -> Prepared {
    let (scene, addresses) = addresses(sorted);
    let elements = addresses.len() as u64;
    let run = move || {
        let (format, bytes, root) = (FourLevel::default(), scene.memory.bytes(), scene.roots[0]);
        let one = |&va: &u64| translate(&format, bytes, root, black_box(va)).map_or(0, |found| found.pa);
        addresses.iter().map(one).fold(0, u64::wrapping_add)
    };
    Prepared { elements, run: Box::new(run) }
}

fn batch(sorted: bool) -> Prepared {
    let (scene, addresses) = addresses(sorted);
    let elements = addresses.len() as u64;
    let run = move || {
        let mut space = Translator::new(FourLevel::default(), scene.memory.bytes(), scene.roots[0]);
        let one = |&va: &u64| space.translate(black_box(va)).map_or(0, |found| found.pa);
        addresses.iter().map(one).fold(0, u64::wrapping_add)
    };
    Prepared { elements, run: Box::new(run) }
}

fn map(range: Range, call: u64) -> Prepared {
    let mut space = Ours::open(kept(empty(600)));
    let run = move || {
        black_box(range).pieces(call).for_each(|call| Ours::map(&mut space, &call));
        0
    };
    Prepared { elements: range.len / range.page(), run: Box::new(run) }
}

fn change(range: Range, change: fn(&mut <Ours as Side>::Space<'_>, &Range)) -> Prepared {
    let mut space = Ours::open(kept(empty(600)));
    Ours::map(&mut space, &range);
    let run = move || {
        change(&mut space, black_box(&range));
        0
    };
    Prepared { elements: range.len / range.page(), run: Box::new(run) }
}

/// From tables to what is ready to be written, per table.
fn rebuild() -> Prepared {
    let scene = Scene::sharing(Pattern::Scattered, 4, 64);
    let elements = scene.tables();
    let run = move || {
        let graph =
            Graph::read(FourLevel::default(), scene.memory.bytes(), &scene.roots, 0..=u64::MAX, Limits::NONE);
        let plan = Plan::new(graph.expect("a graph"), RebuildOptions::default(), Keep).expect("a plan");
        let rebuilt = plan.reserve(&mut Arena::new([1 << 40..=(1 << 41) - 1])).expect("enough memory");
        rebuilt.tables().len() as u64
    };
    Prepared { elements, run: Box::new(run) }
}
