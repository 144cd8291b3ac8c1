//! What stands against a rebuild that keeps the sizes of pages: found by writing down what every reading of every entry
//! has to become.

use std::collections::BTreeMap;

use super::{Event, Mode, Physical, attributes, flat, frames::Went};
use crate::generate::{hold, page_mask};

/// What happens to entries that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Faulty {
    Refused,
    Cleared,
    Kept,
}

/// A reason why nothing can be rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// A root cannot be read.
    Root,
    /// An entry cannot be followed.
    Fault {
        /// Its level.
        level: u8,
        /// The raw entry.
        raw: u64,
    },
    /// Two readings of an entry have to become different things.
    Conflict {
        /// The physical address of the entry.
        entry: u64,
        /// The levels of the two.
        levels: (u8, u8),
    },
    /// An entry cannot hold the address that it has to.
    Unencodable {
        /// The physical address of the entry.
        entry: u64,
        /// The address.
        to: u64,
    },
}

/// What an entry has to become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Raw(u64),
    /// A link to wherever the table at that address goes.
    Link(u64),
}

/// Why the spaces cannot be rebuilt if frames go where `went` says (what it does not name stays). `live` tables go where
/// the pages that map them go.
pub fn refusals(
    mode: &Mode,
    memory: &impl Physical,
    roots: &[u64],
    range: (u64, u64),
    (live, faulty): (bool, Faulty),
    went: &[Went],
) -> Vec<Refusal> {
    let events: Vec<Event> = roots.iter().flat_map(|&root| flat(mode, memory, root, range)).collect();
    let place = |old: u64| {
        let home = went.iter().find(|went| went.first <= old && old <= went.last);
        home.map_or(Some(old), |home| home.to.map(|to| to + (old - home.first)))
    };
    let shown = |table: u64| {
        events.iter().any(|event| match *event {
            Event::Leaf { level, pa, .. } => table >= pa && table - pa < mode.entry_span(level),
            _ => false,
        })
    };
    let mut refusals = Vec::new();
    let mut known: BTreeMap<u64, Vec<(u8, Becomes)>> = BTreeMap::new();
    for event in &events {
        let (entry, level, becomes) = match *event {
            Event::Table { level, address, link, .. } => {
                let Some(entry) = link.entry else { continue };
                let to = if live && shown(address) { place(address) } else { None };
                let becomes = match to {
                    Some(to) => relocated(mode, level + 1, link.raw, to, 4096).ok_or(to),
                    None => Ok(Becomes::Link(address)),
                };
                (entry, level + 1, becomes)
            }
            Event::Leaf { level, pa, raw, entry, .. } => {
                let becomes = match place(pa) {
                    Some(to) => relocated(mode, level, raw, to, mode.entry_span(level)).ok_or(to),
                    None => Ok(Becomes::Raw(0)),
                };
                (entry, level, becomes)
            }
            Event::Absent { level, raw, entry, .. } => (entry, level, Ok(Becomes::Raw(raw))),
            Event::Malformed { level, raw, entry, .. } => {
                refusals.extend((faulty == Faulty::Refused).then_some(Refusal::Fault { level, raw }));
                (entry, level, Ok(fault(faulty, raw)))
            }
            Event::Unreadable { level, link, .. } => {
                let Some(entry) = link.entry else {
                    refusals.push(Refusal::Root);
                    continue;
                };
                let raw = link.raw;
                refusals.extend((faulty == Faulty::Refused).then_some(Refusal::Fault { level, raw }));
                (entry, level + 1, Ok(fault(faulty, raw)))
            }
            Event::Alias { .. } => unreachable!("a flat walk has none"),
        };
        match becomes {
            Ok(becomes) => {
                let readings = known.entry(entry).or_default();
                if !readings.contains(&(level, becomes)) {
                    readings.push((level, becomes));
                }
            }
            Err(to) => refusals.push(Refusal::Unencodable { entry, to }),
        }
    }
    for (entry, readings) in known {
        for (index, one) in readings.iter().enumerate() {
            let others = readings[index..].iter().filter(|other| other.1 != one.1);
            refusals.extend(others.map(|other| Refusal::Conflict { entry, levels: (one.0, other.0) }));
        }
    }
    refusals
}

fn fault(faulty: Faulty, raw: u64) -> Becomes {
    Becomes::Raw(if faulty == Faulty::Cleared { 0 } else { raw })
}

/// The entry with another address; none where it cannot hold it.
fn relocated(mode: &Mode, level: u8, raw: u64, to: u64, size: u64) -> Option<Becomes> {
    let mask = if matches!(mode, Mode::Toy) { u64::from(u32::MAX) } else { page_mask(mode, size) };
    (to & !mask == 0).then(|| Becomes::Raw(attributes(mode, level, raw) + hold(mode, size, to)))
}
