//! The walk of many roots that visits every table once, in its most obvious form.

use std::collections::BTreeMap;

use super::{Event, Link, Meaning, Mode, Physical, Rights, decode, restrict};

/// What a root is that an earlier one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// An alias at depth 0.
    Alias,
    /// A table again: its links are aliases, its leaves are leaves. The first one stays the owner.
    Read,
}

/// The events of all `roots` (CR3 values) in `range`, leaves one by one, absent entries included.
///
/// A table is the same visit when its address, its level and its window are the same: the window is the first and the
/// last byte of the table's span that the range needs, counted from the start of the span.
pub fn graph(
    mode: &Mode,
    memory: &impl Physical,
    roots: &[u64],
    range: (u64, u64),
    repeated: Repeated,
) -> Vec<Event> {
    let mut walk = Walk {
        mode,
        memory,
        repeated,
        events: Vec::new(),
        visits: BTreeMap::new(),
        met: BTreeMap::new(),
        space: 0,
        tables: 0,
    };
    if let Some(window) = mode.places(range.0, range.1) {
        for (space, &cr3) in (0..).zip(roots) {
            walk.space = space;
            let link = Link { raw: cr3, entry: None };
            walk.table(mode.levels(), mode.root(cr3), 0, link, Rights::ALL, window);
        }
    }
    walk.events
}

struct Visit {
    space: u32,
    id: u32,
    va: u64,
}

struct Walk<'a, M> {
    mode: &'a Mode,
    memory: &'a M,
    repeated: Repeated,
    events: Vec<Event>,
    visits: BTreeMap<(u64, u8, (u64, u64)), Visit>,
    /// The first visit of every physical table.
    met: BTreeMap<u64, u32>,
    space: u32,
    tables: u32,
}

impl<M: Physical> Walk<'_, M> {
    /// A table at `level` whose span starts at place `start`; `window` counts from there.
    fn table(&mut self, level: u8, address: u64, start: u64, link: Link, rights: Rights, window: (u64, u64)) {
        let (mode, space) = (self.mode, self.space);
        let va = mode.canonical(start);
        let read_anyway = link.entry.is_none() && self.repeated == Repeated::Read;
        if let Some(visit) = self.visits.get(&(address, level, window)).filter(|_| !read_anyway) {
            let (owner, table, their_va) = (visit.space, visit.id, visit.va);
            let alias =
                Event::Alias { space, owner, table, level, address, our_va: va, their_va, link, rights };
            return self.events.push(alias);
        }
        // A table that cannot be read is not a visit, so that the next link to it faults alike.
        let entries = match self.memory.table(address, mode.entries(level), mode.entry_bytes()) {
            Ok(entries) => entries,
            Err(why) => {
                return self.events.push(Event::Unreadable { space, level, va, table: address, link, why });
            }
        };
        let id = self.tables;
        self.tables += 1;
        self.visits.entry((address, level, window)).or_insert(Visit { space, id, va });
        let first_met = self.met.get(&address).copied();
        self.met.entry(address).or_insert(id);
        self.events.push(Event::Table { space, id, level, address, va, link, rights, first_met });

        let span = mode.entry_span(level);
        for (index, &raw) in (0..).zip(&entries) {
            if raw == 0 {
                continue;
            }
            // The window of this entry is what it shares with the table's.
            let (first, last) = (index * span, index * span + (span - 1));
            let (from, to) = (first.max(window.0), last.min(window.1));
            if from > to {
                continue;
            }
            let va = mode.canonical(start + first);
            let entry = address + index * mode.entry_bytes();
            let below = restrict(mode, rights, level, raw);
            match decode(mode, level, raw) {
                Meaning::Absent => self.events.push(Event::Absent { space, level, va, raw, entry }),
                Meaning::Leaf(pa) => {
                    self.events.push(Event::Leaf {
                        space,
                        level,
                        va,
                        pa,
                        pages: 1,
                        raw,
                        entry,
                        rights: below,
                    });
                }
                Meaning::Malformed(reserved) => {
                    self.events.push(Event::Malformed { space, level, va, raw, entry, reserved });
                }
                Meaning::Table(child) => {
                    let link = Link { raw, entry: Some(entry) };
                    self.table(level - 1, child, start + first, link, below, (from - first, to - first));
                }
            }
        }
    }
}
