//! All graphs of a few tables of the toy format: walked, counted, rebuilt and verified beside the naive oracle.
//!
//! ```text
//! cargo run --release -p pt-testkit --example exhaust -- [--tables 4] [--roots 1|2] [--threads N] [--part K/N]
//! ```
//!
//! Graphs that no walk can tell apart are one class ([`each_class`]), of which one member is tried: from one root (or,
//! as its number chooses, the same root twice), or from two. Each is walked whole, and in a range that its number chooses; then it
//! is rebuilt in a way, and in a range, that its number chooses. A part is one class in N, so that a long campaign can be cut.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pt_testkit::battery::{
    Counted, Placing, Shard, Way, check_walk, check_way, each_class, page_ranges, scattered,
};
use pt_testkit::generate::Case;
use pt_testkit::naive::{Frames, Mode};
use pt_testkit::toy::{Slot, Toy};

const PLACINGS: [Placing; 4] = [Placing::Keep, Placing::Shift(0x2_0000), Placing::Move, Placing::Compact];
const WHOLE: (u64, u64) = (0, u64::MAX);

/// What was done, by all threads.
#[derive(Default)]
struct Done {
    walks: AtomicU64,
    rebuilds: AtomicU64,
    refused: AtomicU64,
}

/// What to try.
struct Asked {
    tables: u64,
    /// How many different roots: one or two.
    roots: u64,
    threads: u64,
    /// One class in so many, from this one on.
    part: Shard,
}

impl Asked {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
        let mut asked = Self { tables: 4, roots: 1, threads, part: Shard::ALL };
        while let Some(flag) = arguments.next() {
            let value = arguments.next()?;
            match &flag[..] {
                "--tables" => asked.tables = value.parse().ok().filter(|tables| (1..=4).contains(tables))?,
                "--roots" => asked.roots = value.parse().ok().filter(|roots| (1..=2).contains(roots))?,
                "--threads" => asked.threads = value.parse().ok().filter(|&threads| threads > 0)?,
                "--part" => {
                    let (which, of) = value.split_once('/')?;
                    let (which, of) = (which.parse().ok()?, of.parse().ok()?);
                    asked.part = Some(Shard { which, of }).filter(|part| part.which < part.of)?;
                }
                _ => return None,
            }
        }
        (asked.roots <= asked.tables).then_some(asked)
    }
}

fn main() -> ExitCode {
    let Some(Asked { tables, roots, threads, part }) = Asked::parse(std::env::args().skip(1)) else {
        eprintln!("exhaust [--tables 1..=4] [--roots 1..=2] [--threads N] [--part K/N]");
        return ExitCode::from(2);
    };
    let (start, done) = (Instant::now(), &Done::default());
    let counted: Vec<Counted> = std::thread::scope(|scope| {
        let shards =
            (0..threads).map(|thread| Shard { which: thread * part.of + part.which, of: threads * part.of });
        let threads: Vec<_> =
            shards.map(|shard| scope.spawn(move || one_part(tables, roots, shard, done))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it told what it met")).collect()
    });
    let classes: u64 = counted.iter().map(|counted| counted.classes).sum();
    let all = (Slot::kinds(tables).len() as u64).pow(tables as u32 * 2);
    assert!(counted.iter().all(|counted| counted.graphs == all), "classes are all graphs");
    let number = |of: &AtomicU64| of.load(Ordering::Relaxed);
    println!(
        "{tables} tables, {roots} different roots, part {} of {}: {classes} classes tried, those of all parts stand for {all} \
         graphs; {} walks, {} rebuilds, {} rightly refused, in {:.0} s",
        part.which,
        part.of,
        number(&done.walks),
        number(&done.rebuilds),
        number(&done.refused),
        start.elapsed().as_secs_f64(),
    );
    ExitCode::SUCCESS
}

/// One thread's part.
fn one_part(tables: u64, roots: u64, shard: Shard, done: &Done) -> Counted {
    let (ranges, ways) = (page_ranges(), Way::plain(&PLACINGS));
    let mut case = Case { mode: Mode::Toy, memory: Frames::new(), roots: Vec::new(), range: WHOLE };
    each_class(tables, &Slot::kinds(tables), roots, shard, &mut case, |case, number| {
        let mut choose = scattered(!number);
        if roots == 1 && choose(2) == 1 {
            case.roots.push(case.roots[0]);
        }
        case.range = WHOLE;
        check_walk(case);
        case.range = ranges[choose(ranges.len())];
        check_walk(case);
        done.walks.fetch_add(2, Ordering::Relaxed);
        if choose(2) == 1 {
            case.range = WHOLE;
        }
        let outcome = check_way(case, &Toy, &ways[choose(ways.len())]);
        let outcome = if outcome.is_some() { &done.rebuilds } else { &done.refused };
        outcome.fetch_add(1, Ordering::Relaxed);
    })
}
