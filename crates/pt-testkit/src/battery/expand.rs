//! Nothing is lost: expanding every alias gives the flat walk, rights included.

use pt_core::{Format, Leaves, Recording, Walk};

use super::check;
use super::compare::{assert_same, event, events, options, segments};
use crate::generate::{Case, Kind};
use crate::naive::{Event, Mode, Rights, flat, restrict};

/// Expands the engine's events by hand, and by the engine's own [`Recording`]; both are the flat walk of each root.
pub fn expansion<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    check(kind, 96, |case| {
        let (memory, format) = (segments(&case.memory), format(&case.mode));
        let walk = || Walk::new(format.clone(), &memory, &case.roots, options(case, Leaves::Each, true));
        check_expansion(case, &events(walk()));

        let recording = Recording::new(format.clone(), walk()).expect("there is no limit");
        let walked: Vec<_> = walk().map(|event| event.expect("there is no limit")).collect();
        assert_eq!(recording.events(), walked);
        let tables = walked.iter().filter(|event| matches!(event, pt_core::Event::Table(_))).count();
        assert_eq!(recording.tables(), tables);
        // Where the range is empty, there are no events of any.
        assert_eq!(recording.spaces(), if walked.is_empty() { 0 } else { case.roots.len() });
        for (space, &root) in (0..).zip(&case.roots) {
            let expanded: Vec<Event> = recording.expand(space).map(|expanded| event(&expanded)).collect();
            assert_same(&expanded, &plain(case, space, root), ("Recording::expand", space));
        }
    });
}

/// The flat walk of one root without its tables, as events of `space`.
fn plain(case: &Case, space: u32, root: u64) -> Vec<Event> {
    let events = flat(&case.mode, &case.memory, root, case.range);
    events.into_iter().filter(|event| !event.is_table()).map(|event| place_in(event, space)).collect()
}

pub(super) fn check_expansion(case: &Case, events: &[Event]) {
    for (space, &root) in (0..).zip(&case.roots) {
        let mut expanded = Vec::new();
        let mut expander = Expander { mode: &case.mode, events, into: &mut expanded, space };
        for (at, event) in events.iter().enumerate().filter(|(_, event)| event.space() == space) {
            // A space's events hang below its first one; the rest is reached from there.
            if at == 0 || events[at - 1].space() != space {
                expander.expand(event, 0, Rights::ALL, at);
            }
        }
        assert_same(&expanded, &plain(case, space, root), ("expanded", space));
    }
}

/// The level of the table that holds the entry which an event is about.
fn held_at(event: &Event) -> u8 {
    match *event {
        Event::Table { level, .. } | Event::Alias { level, .. } | Event::Unreadable { level, .. } => {
            level + 1
        }
        Event::Leaf { level, .. } | Event::Absent { level, .. } | Event::Malformed { level, .. } => level,
    }
}

fn place_in(event: Event, into: u32) -> Event {
    let mut event = event;
    match &mut event {
        Event::Table { space, .. }
        | Event::Leaf { space, .. }
        | Event::Alias { space, .. }
        | Event::Absent { space, .. }
        | Event::Malformed { space, .. }
        | Event::Unreadable { space, .. } => *space = into,
    }
    event
}

struct Expander<'a> {
    mode: &'a Mode,
    events: &'a [Event],
    into: &'a mut Vec<Event>,
    space: u32,
}

impl Expander<'_> {
    /// Gives out what `event`, which is at `at`, stands for: at an address `moved` further, below a table of `above`.
    fn expand(&mut self, event: &Event, moved: u64, above: Rights, at: usize) {
        let shift = |place: u64| self.mode.canonical((place + moved) % self.mode.space());
        let place = self.mode.place(event.va()).expect("addresses are canonical");
        let here = shift(place);
        let mut own = place_in(*event, self.space);
        match &mut own {
            Event::Table { link, level, .. } => {
                let rights = self.below_link(above, *level, link.raw);
                self.below(at, *level, moved, rights);
                return;
            }
            Event::Alias { link, level, table, their_va, .. } => {
                let rights = self.below_link(above, *level, link.raw);
                let owner = |event: &Event| matches!(event, Event::Table { id, .. } if id == table);
                let at = self.events.iter().position(owner).expect("the owner is an earlier event");
                let theirs = self.mode.place(*their_va).expect("addresses are canonical");
                let moved = (place + moved + self.mode.space() - theirs) % self.mode.space();
                self.below(at, *level, moved, rights);
                return;
            }
            Event::Leaf { va, rights, level, raw, .. } => {
                *va = here;
                *rights = restrict(self.mode, above, *level, *raw);
            }
            Event::Absent { va, .. } | Event::Malformed { va, .. } | Event::Unreadable { va, .. } => {
                *va = here;
            }
        }
        self.into.push(own);
    }

    fn below_link(&self, above: Rights, level: u8, raw: u64) -> Rights {
        if level == self.mode.levels() { above } else { restrict(self.mode, above, level + 1, raw) }
    }

    /// All that hangs below the table whose event is at `at`: what follows until something is held no lower than it.
    fn below(&mut self, at: usize, level: u8, moved: u64, rights: Rights) {
        let events = self.events;
        for (further, event) in events.iter().enumerate().skip(at + 1) {
            if held_at(event) > level {
                break;
            }
            if held_at(event) == level {
                self.expand(event, moved, rights, further);
            }
        }
    }
}
