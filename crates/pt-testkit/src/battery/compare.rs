//! The only place that knows both the engine's types and the oracle's: engine to oracle, field by field.

use std::fmt::Debug;

use pt_core::{
    Cause, Event as Engine, Format, Leaves, LimitReached, Memory, Options, Permissions, Segment, Segments,
    Unreadable,
};

use crate::generate::Case;
use crate::naive::{self, Event, Frames, Link, Missing, Physical, Rights};

pub(super) fn rights<R: Permissions>(rights: R) -> Rights {
    assert!(rights.readable(), "what is mapped can be read");
    Rights { write: rights.writable(), user: rights.user(), execute: rights.executable() }
}

fn link(link: pt_core::Link) -> Link {
    Link { raw: link.raw, entry: link.entry }
}

pub(super) fn event<R: Permissions>(event: &Engine<R>) -> Event {
    let lifted = match *event {
        Engine::Table(table) => Event::Table {
            space: table.space,
            id: table.id.0,
            level: table.level.number(),
            address: table.address,
            va: table.va,
            link: link(table.link),
            rights: rights(table.rights),
            first_met: table.first_met.map(|first| first.0),
        },
        Engine::Leaf(leaf) => Event::Leaf {
            space: leaf.space,
            level: leaf.level.number(),
            va: leaf.va,
            pa: leaf.pa,
            pages: leaf.pages,
            raw: leaf.raw,
            entry: leaf.entry,
            rights: rights(leaf.rights),
        },
        Engine::Alias(alias) => Event::Alias {
            space: alias.space,
            owner: alias.owner,
            table: alias.table.0,
            level: alias.level.number(),
            address: alias.address,
            our_va: alias.our_va,
            their_va: alias.their_va,
            link: link(alias.link),
            rights: rights(alias.rights),
        },
        Engine::Absent(absent) => Event::Absent {
            space: absent.space,
            level: absent.level.number(),
            va: absent.va,
            raw: absent.raw,
            entry: absent.entry,
        },
        Engine::Fault(fault) => cause(fault.space, fault.va, fault.cause),
    };
    assert_eq!((event.space(), event.va()), (lifted.space(), lifted.va()));
    lifted
}

pub(super) fn cause(space: u32, va: u64, cause: Cause) -> Event {
    match cause {
        Cause::Malformed { level, entry, raw, reserved } => {
            Event::Malformed { space, level: level.number(), va, raw, entry, reserved }
        }
        Cause::Unreadable { level, table, link: by, why } => {
            let why = match why {
                Unreadable::Outside => Missing::Outside,
                Unreadable::NotHeld => Missing::NotHeld,
                other => panic!("nothing here fails like {other:?}"),
            };
            Event::Unreadable { space, level: level.number(), va, table, link: link(by), why }
        }
        other => panic!("{other:?} is not known to the oracle"),
    }
}

/// The events of a walk without limits.
pub(super) fn events<R: Permissions>(
    walk: impl Iterator<Item = Result<Engine<R>, LimitReached>>,
) -> Vec<Event> {
    walk.map(|item| event(&item.expect("there is no limit"))).collect()
}

/// The same through `fold`, which the engine has a second body for, after `first` items by `next`.
pub(super) fn folded<R: Permissions>(
    mut walk: impl Iterator<Item = Result<Engine<R>, LimitReached>>,
    first: usize,
) -> Vec<Event> {
    let mut events: Vec<Event> = events(walk.by_ref().take(first));
    walk.fold((), |(), item| events.push(event(&item.expect("there is no limit"))));
    events
}

pub(super) fn options(case: &Case, leaves: Leaves, absent: bool) -> Options {
    Options { range: case.range.0..=case.range.1, leaves, absent, ..Options::default() }
}

/// What the oracle's events are under these options.
pub(super) fn expected(case: &Case, all: &[Event], options: &Options) -> Vec<Event> {
    let kept: Vec<Event> = all.iter().filter(|event| options.absent || !event.is_absent()).copied().collect();
    match options.leaves {
        Leaves::Each => kept,
        Leaves::Runs => naive::join(&case.mode, &kept, false),
        Leaves::RunsIgnoringAccessedDirty => naive::join(&case.mode, &kept, true),
    }
}

/// Says where two lists first differ.
pub(super) fn assert_same<T: PartialEq + Debug>(engine: &[T], oracle: &[T], what: impl Debug) {
    let same = engine.iter().zip(oracle).take_while(|(ours, theirs)| ours == theirs).count();
    assert!(
        same == engine.len() && same == oracle.len(),
        "{what:?}: item {same} (of {} and {})\nengine {:#x?}\noracle {:#x?}",
        engine.len(),
        oracle.len(),
        engine.get(same),
        oracle.get(same),
    );
}

/// Memory that never lends.
#[derive(Debug)]
pub(super) struct Copied<'a>(pub(super) &'a Frames);

impl Memory for Copied<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let bytes = self.0.bytes(address, into.len() as u64).map_err(|missing| match missing {
            Missing::Outside => Unreadable::Outside,
            Missing::NotHeld => Unreadable::NotHeld,
        })?;
        into.copy_from_slice(&bytes);
        Ok(())
    }
}

/// The frames as pieces that lend.
pub(super) fn segments(frames: &Frames) -> Segments<'_, Vec<Segment<'_>>> {
    let pieces = frames.iter().map(|(start, bytes)| Segment {
        start,
        len: Frames::SIZE,
        bytes: bytes.unwrap_or_default(),
    });
    Segments::new(pieces.collect()).expect("frames are in order and do not overlap")
}

/// What is done to each memory that a case can be held in.
pub(super) trait OnMemory {
    fn run<M: Memory + ?Sized>(&self, memory: &M);
}

/// Runs it on all of them: one slice where there is no gap, pieces, and memory that only copies.
pub(super) fn on_each_memory(case: &Case, check: &impl OnMemory) {
    if let Some(dense) = case.memory.dense() {
        check.run(dense.as_slice());
    }
    check.run(&segments(&case.memory));
    check.run(&Copied(&case.memory));
}

/// The level of that number.
pub(super) fn level<F: Format>(number: u8) -> pt_core::Level {
    pt_core::Level::at_depth::<F>(usize::from(F::LEVELS - number)).expect("the format has such a level")
}
