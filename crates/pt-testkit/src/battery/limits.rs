//! A limit ends a walk after exactly as much as it allows, and says what was reached.

use std::collections::BTreeSet;

use pt_core::{Format, Leaves, LimitReached, Limits, Options, Resource, Walk};

use super::check;
use super::compare::{assert_same, event, options, segments};
use crate::generate::{Case, Kind};
use crate::naive::{Event, Mode, Repeated, flat, graph};

/// Limits of both resources at, below and above what is needed, by `next` and by `fold`, of all roots and of one.
pub fn limits<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    check(kind, 64, |case| {
        let Case { mode, memory: frames, roots, range } = case;
        let (memory, format) = (segments(frames), format(mode));
        let all = graph(mode, frames, roots, *range, Repeated::Alias);
        let whole = options(case, Leaves::Each, true);
        for limits in choices(&all) {
            let walk = || Walk::new(format.clone(), &memory, roots, Options { limits, ..whole.clone() });
            compare(walk().map(|item| item.map(|ok| event(&ok))), &all, limits);
            let mut folded = Vec::new();
            walk().fold((), |(), item| folded.push(item.map(|ok| event(&ok))));
            compare(folded.into_iter(), &all, limits);
        }
        let all = flat(mode, frames, roots[0], *range);
        for limits in choices(&all) {
            let walk = Walk::single(format.clone(), &memory, roots[0], whole.clone(), limits);
            compare(walk.map(|item| item.map(|ok| event(&ok))), &all, limits);
        }
    });
}

fn choices(all: &[Event]) -> Vec<Limits> {
    let around = |whole: usize| {
        let whole = whole as u64;
        [0, 1, whole / 2, whole.saturating_sub(1), whole, whole + 1]
    };
    let tables =
        all.iter().filter(|event| event.is_table() || matches!(event, Event::Unreadable { .. })).count();
    let events = around(all.len()).map(|events| Limits { events, ..Limits::NONE });
    let tables = around(tables).map(|tables| Limits { tables, ..Limits::NONE });
    events.into_iter().chain(tables).collect()
}

/// What a walk with limits may give: so many of the events and then the limit, or all of them and none.
///
/// The limit on tables is on reads, and a table that cannot be read is read once per depth and window, which the events
/// do not show: it may have been new at each link to it but the first, or at none. So there is some play where tables
/// cannot be read, and none where all can.
fn cuts(all: &[Event], limits: Limits) -> Vec<(usize, Option<LimitReached>)> {
    let (mut least, mut most, mut unreadable, mut cuts) = (0, 0, BTreeSet::new(), Vec::new());
    for (events, event) in (0..).zip(all) {
        let reached =
            |resource, limit| Some(LimitReached { resource, limit, space: event.space(), va: event.va() });
        let refused = match event {
            Event::Unreadable { level, table, .. } => Some(unreadable.insert((*level, *table))),
            _ => None,
        };
        let surely_read = event.is_table() || refused == Some(true);
        let maybe_read = event.is_table() || refused.is_some();
        if maybe_read && (least..=most).contains(&limits.tables) {
            cuts.push((events, reached(Resource::Tables, limits.tables)));
        }
        if surely_read && least >= limits.tables {
            return cuts;
        }
        if events as u64 == limits.events {
            cuts.push((events, reached(Resource::Events, limits.events)));
            return cuts;
        }
        least += u64::from(surely_read);
        most += u64::from(maybe_read);
    }
    cuts.push((all.len(), None));
    cuts
}

fn compare(mut walk: impl Iterator<Item = Result<Event, LimitReached>>, all: &[Event], limits: Limits) {
    let mut given = Vec::new();
    let mut error = None;
    for item in walk.by_ref() {
        assert_eq!(error, None, "nothing follows the error");
        match item {
            Ok(event) => given.push(event),
            Err(reached) => error = Some(reached),
        }
    }
    assert_same(&given, all.get(..given.len()).unwrap_or(all), limits);
    let cuts = cuts(all, limits);
    assert!(
        cuts.contains(&(given.len(), error)),
        "{limits:?}: {} events, then {error:?}; not {cuts:?}",
        given.len()
    );
    assert!(walk.next().is_none(), "it stays at its end");
}
