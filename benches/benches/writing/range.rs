//! Ranges mapped, changed and unmapped: 1 GiB of 4 KiB pages in one call, 64 times 1 GiB of 2 MiB pages in a call each, and
//! 64 MiB of 4 KiB pages in a call per page. Plans are included.
//!
//! New tables come from memory that was used before, so whoever makes one has to zero it. What is made must be the same
//! for all, as our walk sees it.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use pt_amd64::FourLevel;
use pt_benches::sides::{
    Change, Floor, Generic, Hyperlight, Multiarch, Ours, ROOT, Range, Side, X8664, clear, empty,
};
use pt_benches::{Answer, PhysicalMemory, pages_of_events};
use pt_core::{Leaves, Options, Walk};

use crate::cpu_time::CpuTime;

const GIB: u64 = 1 << 30;

/// Where all of it is mapped: aligned for larger pages where the physical addresses are not.
const SMALL: Work =
    Work { name: "small", range: Range { va: 256 * GIB, pa: 4 * GIB, len: GIB, level: 1 }, call: GIB };
const LARGE: Work = Work {
    name: "large",
    range: Range { va: 256 * GIB, pa: 4 * GIB + (2 << 20), len: 64 * GIB, level: 2 },
    call: GIB,
};
const PAGES: Work =
    Work { name: "pages", range: Range { va: 256 * GIB, pa: 4 * GIB, len: 64 << 20, level: 1 }, call: 4096 };

/// What is measured: a range, in calls of so many bytes.
#[derive(Clone, Copy)]
struct Work {
    name: &'static str,
    range: Range,
    call: u64,
}

impl Work {
    fn calls(&self) -> impl Iterator<Item = Range> + use<> {
        black_box(self.range).pieces(self.call)
    }

    fn group<'c>(&self, criterion: &'c mut Criterion<CpuTime>, what: &str) -> BenchmarkGroup<'c, CpuTime> {
        let mut group = criterion.benchmark_group(format!("{what}-{}", self.name));
        group.throughput(Throughput::Elements(self.range.len / self.range.page()));
        group
    }
}

pub(crate) fn bench(criterion: &mut Criterion<CpuTime>) {
    for work in [SMALL, LARGE, PAGES] {
        let mut group = work.group(criterion, "map");
        let expected = map::<Floor>(&mut group, &work);
        assert_eq!(expected.count, work.range.len / work.range.page());
        assert_eq!(map::<Ours>(&mut group, &work), expected);
        if work.range.level == 1 {
            assert_eq!(map::<Hyperlight>(&mut group, &work), expected);
        }
        assert_eq!(map::<Multiarch>(&mut group, &work), expected);
        assert_eq!(map::<Generic>(&mut group, &work), expected);
        assert_eq!(map::<X8664>(&mut group, &work), expected);
        group.finish();
    }
    for work in [SMALL, LARGE] {
        let mut group = work.group(criterion, "protect");
        let expected = protect::<Floor>(&mut group, &work);
        assert_ne!(expected[0], expected[1]);
        assert_eq!(protect::<Ours>(&mut group, &work), expected);
        assert_eq!(protect::<Multiarch>(&mut group, &work), expected);
        assert_eq!(protect::<Generic>(&mut group, &work), expected);
        assert_eq!(protect::<X8664>(&mut group, &work), expected);
        group.finish();

        let mut group = work.group(criterion, "unmap");
        unmap::<Floor>(&mut group, &work);
        unmap::<Ours>(&mut group, &work);
        unmap::<Multiarch>(&mut group, &work);
        unmap::<Generic>(&mut group, &work);
        unmap::<X8664>(&mut group, &work);
        group.finish();
    }
}

/// Memory for the tables of any of these, used before.
fn memory() -> PhysicalMemory {
    let mut memory = empty(600);
    memory.bytes_mut().fill(0xff);
    clear(&mut memory);
    memory
}

/// What is mapped, as our walk sees it.
fn answer(memory: &PhysicalMemory) -> Answer {
    let options = Options { leaves: Leaves::Each, ..Options::default() };
    pages_of_events(Walk::new(FourLevel::default(), memory.bytes(), &[ROOT], options)).collect()
}

/// The time of `edit`, over and over, each time on what `prepare` makes.
fn timed<S: Side>(
    memory: &mut PhysicalMemory,
    iterations: u64,
    prepare: impl Fn(&mut PhysicalMemory),
    edit: impl Fn(&mut S::Space<'_>),
) -> Duration {
    (0..iterations).fold(Duration::ZERO, |sum, _| {
        prepare(memory);
        let mut space = S::open(memory);
        let start = CpuTime.start();
        edit(&mut space);
        sum + CpuTime.end(start)
    })
}

fn map<S: Side>(group: &mut BenchmarkGroup<'_, CpuTime>, work: &Work) -> Answer {
    let edit = |space: &mut S::Space<'_>| work.calls().for_each(|call| S::map(space, &call));
    let mut memory = memory();
    timed::<S>(&mut memory, 1, clear, edit);
    let made = answer(&memory);
    group.bench_function(S::NAME, |b| b.iter_custom(|count| timed::<S>(&mut memory, count, clear, edit)));
    made
}

/// What is mapped without the right to write, and with it.
fn protect<S: Change>(group: &mut BenchmarkGroup<'_, CpuTime>, work: &Work) -> [Answer; 2] {
    let mut memory = memory();
    timed::<S>(&mut memory, 1, clear, |space| work.calls().for_each(|call| S::map(space, &call)));
    let change = |space: &mut S::Space<'_>, writable| {
        work.calls().for_each(|call| S::protect(space, &call, writable));
    };
    let made = [false, true].map(|writable| {
        change(&mut S::open(&mut memory), writable);
        answer(&memory)
    });
    let mut space = S::open(&mut memory);
    let mut writable = true;
    group.bench_function(S::NAME, |b| {
        b.iter(|| {
            writable = !writable;
            change(&mut space, writable);
        });
    });
    made
}

fn unmap<S: Change>(group: &mut BenchmarkGroup<'_, CpuTime>, work: &Work) {
    let mut mapped = memory();
    timed::<S>(&mut mapped, 1, clear, |space| work.calls().for_each(|call| S::map(space, &call)));
    assert_eq!(answer(&mapped).count, work.range.len / work.range.page());
    let prepare = |memory: &mut PhysicalMemory| memory.bytes_mut().copy_from_slice(mapped.bytes());
    let edit = |space: &mut S::Space<'_>| work.calls().for_each(|call| S::unmap(space, &call));
    let mut memory = mapped.clone();
    timed::<S>(&mut memory, 1, prepare, edit);
    assert_eq!(answer(&memory).count, 0, "{}", S::NAME);
    group.bench_function(S::NAME, |b| b.iter_custom(|count| timed::<S>(&mut memory, count, prepare, edit)));
}
