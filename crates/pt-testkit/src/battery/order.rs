//! What holds of the engine's events whatever the oracle says: order, ownership, numbers, the bound on visits.

use std::collections::BTreeSet;

use pt_core::{Format, Leaves, Walk};

use super::check;
use super::compare::{events, options, segments};
use crate::generate::{Case, Kind};
use crate::naive::{Event, Mode};

/// Spaces in root order and ascending inside; tables numbered without gaps; aliases only of earlier tables, at the same
/// level and address; no more than four visits per table and level.
pub fn order<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    check(kind, 96, |case| {
        let memory = segments(&case.memory);
        let walk = Walk::new(format(&case.mode), &memory, &case.roots, options(case, Leaves::Runs, true));
        check_order(case, &events(walk));
    });
}

pub(super) fn check_order(case: &Case, events: &[Event]) {
    let mode = &case.mode;
    let mut tables: Vec<(u32, u8, u64, u64)> = Vec::new();
    // The space, and the next place that an event of it may be about.
    let mut now: Option<(u32, u64)> = None;
    for event in events {
        let place = mode.place(event.va()).expect("addresses are canonical");
        match now {
            Some((space, next)) if space == event.space() => assert!(place >= next, "{event:x?} goes back"),
            Some((space, _)) => assert_eq!(event.space(), space + 1, "{event:x?} skips a space"),
            None => assert_eq!(event.space(), 0, "{event:x?} is not of the first space"),
        }
        let extent = match *event {
            Event::Table { space, id, level, address, va, first_met, .. } => {
                assert_eq!(id as usize, tables.len(), "table numbers are dense");
                let first = tables.iter().position(|table| table.2 == address);
                assert_eq!(first_met.map(|first| first as usize), first, "the first visit of {address:#x}");
                tables.push((space, level, address, va));
                0
            }
            Event::Alias { space, owner, table, level, address, their_va, .. } => {
                let known = tables.get(table as usize).expect("an alias is of an earlier table");
                assert_eq!(*known, (owner, level, address, their_va), "{event:x?}");
                assert!(owner <= space, "{event:x?} is owned by a later space");
                mode.table_span(level)
            }
            Event::Leaf { level, pages, .. } => u64::from(pages) * mode.entry_span(level),
            Event::Absent { level, .. } | Event::Malformed { level, .. } => mode.entry_span(level),
            Event::Unreadable { level, .. } => mode.table_span(level),
        };
        now = Some((event.space(), place + extent));
    }
    let distinct: BTreeSet<u64> = tables.iter().map(|table| table.2).collect();
    assert!(tables.len() <= 4 * distinct.len() * usize::from(mode.levels()), "too many visits");
    let everything = mode.places(case.range.0, case.range.1).is_some();
    let spaces = now.map_or(0, |(space, _)| space as usize + 1);
    assert_eq!(spaces, if everything { case.roots.len() } else { 0 }, "every root has an event");
}
