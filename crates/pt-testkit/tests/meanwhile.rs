//! A guest that writes while its tables are read: whatever is between two reads, everything ends, and what is said of a table
//! is of one reading of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hash;

use proptest::prelude::*;
use pt_amd64::{FiveLevel, FourLevel};
use pt_core::{
    Cause, Counter, Editor, Encode, Event, Extents, Format, FrameIndex, Geometry, Level, Limits, MapOptions,
    Memory, MemoryMut, Options, Protection, Recording, Scope, Sharing, Side, Unreadable, Walk, compare,
    trace, translate,
};
use pt_i686::{Pae, TwoLevel};
use pt_rebuild::{
    Arena, Compact, Faults, Graph, Keep, NewRoot, Plan, Proof, RebuildOptions, TableFrames, verify,
};
use pt_testkit::generate::{Case, Kind, cases};
use pt_testkit::naive::{Frames, Missing, Physical};

mod formats;
use formats::OfMode;

/// Memory whose entries change between any two reads: some become others of the same table, some lose or gain bits, and some
/// reads fail.
struct Restless<'a> {
    frames: &'a Frames,
    seed: Cell<u64>,
    /// What each read gave, in order; none where it failed.
    given: RefCell<Vec<(u64, Option<Vec<u8>>)>>,
    written: RefCell<BTreeMap<u64, Vec<u8>>>,
}

impl<'a> Restless<'a> {
    fn new(case: &'a Case, seed: u64) -> Self {
        Self {
            frames: &case.memory,
            seed: Cell::new(seed),
            given: RefCell::default(),
            written: RefCell::default(),
        }
    }

    fn random(&self) -> u64 {
        self.seed.set(self.seed.get().wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
        self.seed.get() >> 33
    }
}

impl Memory for Restless<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let random = self.random();
        let bytes = self.frames.bytes(address, into.len() as u64).map_err(|missing| match missing {
            Missing::NotHeld => Unreadable::NotHeld,
            Missing::Outside => Unreadable::Outside,
        });
        let bytes = if random.is_multiple_of(13) { Err(Unreadable::Failed) } else { bytes };
        let mut given = self.given.borrow_mut();
        match bytes {
            Ok(mut bytes) => {
                if random & 1 == 0 {
                    let by = (random as usize >> 1) % 64 * 8 % bytes.len();
                    bytes.rotate_right(by);
                }
                for byte in 0..random >> 8 & 3 {
                    let at = (random >> (byte * 4)) as usize % bytes.len();
                    bytes[at] ^= 1 << (random >> 16 & 7);
                }
                into.copy_from_slice(&bytes);
                given.push((address, Some(bytes)));
                Ok(())
            }
            Err(why) => {
                given.push((address, None));
                Err(why)
            }
        }
    }
}

impl MemoryMut for Restless<'_> {
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        if self.random().is_multiple_of(9) {
            return Err(Unreadable::Failed);
        }
        self.written.borrow_mut().insert(address, bytes.to_vec());
        Ok(())
    }
}

fn options(case: &Case) -> Options {
    let limits = Limits { tables: 2000, events: 200_000 };
    Options { range: case.range.0..=case.range.1, absent: true, limits, ..Options::default() }
}

/// Every event of a table is of the one reading that introduced it.
fn one_reading<F: Format>(format: &F, case: &Case, seed: u64) {
    let memory = Restless::new(case, seed);
    let mut open: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut next = 0;
    for event in Walk::new(format.clone(), &memory, &case.roots, options(case)) {
        let Ok(event) = event else { break };
        let (entry, raw) = match event {
            Event::Table(table) => {
                open.truncate(table.level.depth::<F>());
                let given = memory.given.borrow();
                let readings = given[next..].iter();
                let failed = readings.clone().take_while(|(_, bytes)| bytes.is_none()).count();
                let (address, bytes) = &given[next + failed];
                next += failed + 1;
                assert!(table.address <= *address && *address < table.address + 4096);
                if let (Some((above, bytes)), Some(entry)) = (open.last(), table.link.entry) {
                    assert_eq!(at::<F>(*above, bytes, entry), table.link.raw);
                }
                open.push((*address, bytes.clone().expect("it was read")));
                continue;
            }
            Event::Leaf(leaf) => (Some(leaf.entry), leaf.raw),
            Event::Absent(absent) => (Some(absent.entry), absent.raw),
            Event::Alias(alias) => {
                open.truncate(alias.level.depth::<F>());
                (alias.link.entry, alias.link.raw)
            }
            Event::Fault(fault) => match fault.cause {
                Cause::Malformed { level, entry, raw, .. } => {
                    open.truncate(level.depth::<F>() + 1);
                    (Some(entry), raw)
                }
                Cause::Unreadable { level, link, .. } => {
                    open.truncate(level.depth::<F>());
                    (link.entry, link.raw)
                }
                other => panic!("{other:?}"),
            },
        };
        let level = match event {
            Event::Leaf(leaf) => Some(leaf.level),
            Event::Absent(absent) => Some(absent.level),
            _ => None,
        };
        if let Some(level) = level {
            open.truncate(level.depth::<F>() + 1);
        }
        if let Some(entry) = entry {
            let (address, bytes) = open.last().expect("an entry is in a table");
            assert_eq!(at::<F>(*address, bytes, entry), raw);
        }
    }
}

/// The entry at an address, in what was read from another.
fn at<F: Format>(from: u64, bytes: &[u8], entry: u64) -> u64 {
    let within = (entry - from) as usize;
    bytes[within..within + F::ENTRY_BYTES].iter().rev().fold(0, |raw, &byte| raw << 8 | u64::from(byte))
}

/// All else that reads tables ends, in a value or an error.
fn ends<F: Encode<Rights: Hash>>(format: &F, case: &Case, seed: u64) {
    let restless = |more| Restless::new(case, seed ^ more);
    let memory = &restless(1);
    let range = case.range.0..=case.range.1;
    let root = case.roots[0];
    let walk = || Walk::new(format.clone(), memory, &case.roots, options(case));
    if let Ok(recording) = Recording::new(format.clone(), walk()) {
        for space in 0..recording.spaces() as u32 {
            let _ = recording.expand(space).take(1000).count();
        }
    }
    let _ = FrameIndex::new::<F>(walk()).map(|index| index.find::<F>(0..=u64::MAX).count());
    let sharing = Sharing::of_walk::<F>(walk());
    let mut counter = Counter::new();
    walk().flatten().for_each(|event| counter.observe::<F>(&event));
    drop(counter.spaces());

    let steps = Cell::new(0);
    for va in [range.clone().min().unwrap_or(0), *range.end(), 0, u64::MAX] {
        let _ = translate(format, memory, root, va);
        let _ = trace(format, memory, root, va, |_| steps.set(steps.get() + 1));
    }
    assert!(steps.get() <= 4 * u32::from(F::LEVELS));
    let mut last_va = None;
    for extent in Extents::new(format.clone(), memory, root, range.clone()).take(2000) {
        assert!(extent.len > 0 && last_va.is_none_or(|last| last < extent.va), "in ascending order");
        last_va = Some(extent.va + (extent.len - 1));
    }

    let scope = Scope { range: range.clone(), limit: 500, ..Scope::default() };
    for same_memory in [false, true] {
        let side = |memory| Side { format, memory, root };
        let scope = Scope { same_memory, ..scope.clone() };
        let _ = compare(side(memory), side(&restless(2)), &scope, |_, _| true, |_| ());
    }

    let read = Graph::read(
        format.clone(),
        memory,
        &case.roots,
        range.clone(),
        Limits { tables: 500, events: 100_000 },
    );
    if let Ok(graph) = read {
        let options = RebuildOptions {
            faults: Faults::Clear,
            table_frames: TableFrames::Live,
            limit: 500,
            ..RebuildOptions::default()
        };
        let mut arena = Arena::new([0..=0xffff_ffff]);
        graph.mapped().for_each(|frames| arena.reserve(&frames));
        let plan = if seed & 1 == 0 {
            Plan::new(graph, options, Keep)
        } else {
            Plan::new(graph, options, Compact::new(&mut arena.clone(), [0..=0xffff]))
        };
        if let Ok(rebuilt) = plan.and_then(|plan| plan.reserve(&mut arena)) {
            let proof = Proof { range: range.clone(), limit: 500, faults: Faults::Clear, ..Proof::default() };
            let _ = verify(format, memory, &rebuilt.view(memory), rebuilt.roots(), &proof);
            let _ = rebuilt.commit(memory, &mut restless(3));
        }
    }
    let proof = Proof { limit: 500, ..Proof::default() };
    let _ = verify(format, memory, &restless(4), &[NewRoot { old: root, new: root }], &proof);

    let mut edited = restless(5);
    let mut tables = Arena::new([0x1000_0000..=0x1fff_ffff]);
    let first = F::canonical(case.range.0 & F::VA_MASK & !0xfff);
    for (number, pages) in [(0, 1), (1, 3), (2, 700)] {
        let pages = first..=first.saturating_add(pages * 4096 - 1);
        let mut editor = Editor::new(format.clone(), &mut edited, &mut tables, root).free_empty(number == 1);
        if let (Ok(sharing), 1..) = (&sharing, number) {
            editor = editor.shared(sharing, pt_core::OnShared::Unshare);
        }
        let options = MapOptions { largest: Level::HIGHEST, replace: number == 2, widen: true };
        let protection = Protection { clear: 2, set: 0, widen: true, skip_holes: true };
        let flushes = [
            editor.map(pages.clone(), 0x20_0000, 2, options),
            editor.protect(pages.clone(), protection),
            editor.collapse(pages.clone()),
            editor.unmap(pages),
        ];
        flushes.into_iter().flatten().for_each(|flush| flush.done(&mut tables));
    }
}

macro_rules! formats {
    ($($name:ident: $kind:expr, $format:ty;)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
            #[test]
            fn $name(case in cases($kind), seed: u64) {
                let format = <$format>::of_mode(&case.mode);
                one_reading(&format, &case, seed);
                ends(&format, &case, seed);
            }
        }
    )*};
}

formats! {
    two_level: Kind::TwoLevel, TwoLevel;
    pae: Kind::Pae, Pae;
    four_level: Kind::FourLevel, FourLevel;
    five_level: Kind::FiveLevel, FiveLevel;
}
