//! The plain recursion: one root, every path, no memory of what was visited.

use super::{Event, Link, Meaning, Mode, Physical, Rights, decode, restrict};

/// Everything that one root reaches in `range`: tables (each as often as a path leads to it), leaves, non-zero absent
/// entries and faults, in ascending virtual address. All events are of space 0.
pub fn flat(mode: &Mode, memory: &impl Physical, cr3: u64, range: (u64, u64)) -> Vec<Event> {
    let mut walk = Walk { mode, memory, events: Vec::new(), tables: 0 };
    if let Some(needed) = mode.places(range.0, range.1) {
        let link = Link { raw: cr3, entry: None };
        walk.table(mode.levels(), mode.root(cr3), 0, link, Rights::ALL, needed);
    }
    walk.events
}

/// The same below one table, given by its level and the address of its span's start.
pub(super) fn below(
    mode: &Mode,
    memory: &impl Physical,
    level: u8,
    table: u64,
    va: u64,
    range: (u64, u64),
) -> Vec<Event> {
    let mut walk = Walk { mode, memory, events: Vec::new(), tables: 0 };
    if let (Some(needed), Some(start)) = (mode.places(range.0, range.1), mode.place(va)) {
        walk.table(level, table, start, Link { raw: 0, entry: None }, Rights::ALL, needed);
    }
    walk.events
}

struct Walk<'a, M> {
    mode: &'a Mode,
    memory: &'a M,
    events: Vec<Event>,
    tables: u32,
}

impl<M: Physical> Walk<'_, M> {
    /// A table at `level` whose span starts at place `start`; `needed` are places too.
    fn table(&mut self, level: u8, table: u64, start: u64, link: Link, rights: Rights, needed: (u64, u64)) {
        let (mode, space) = (self.mode, 0);
        let va = mode.canonical(start);
        let entries = match self.memory.table(table, mode.entries(level), mode.entry_bytes()) {
            Ok(entries) => entries,
            Err(why) => return self.events.push(Event::Unreadable { space, level, va, table, link, why }),
        };
        let id = self.tables;
        self.tables += 1;
        self.events.push(Event::Table {
            space,
            id,
            level,
            address: table,
            va,
            link,
            rights,
            first_met: None,
        });
        let span = mode.entry_span(level);
        for (index, &raw) in (0..).zip(&entries) {
            if raw == 0 {
                continue;
            }
            let first = start + index * span;
            let last = first + (span - 1);
            if last < needed.0 || needed.1 < first {
                continue;
            }
            let va = mode.canonical(first);
            let entry = table + index * mode.entry_bytes();
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
                    self.table(level - 1, child, first, Link { raw, entry: Some(entry) }, below, needed);
                }
            }
        }
    }
}
