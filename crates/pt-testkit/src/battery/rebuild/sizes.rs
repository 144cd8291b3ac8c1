//! Pages that change their sizes: split, promoted, merged.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use pt_core::Encode;
use pt_rebuild::{Pages, Rebuilt};

use super::known::Known;
use super::random::written;
use super::{Flip, Placing, Way, check_commit, check_way, flip};
use crate::battery::check_cases;
use crate::generate::{Case, Kind, compose, sized};
use crate::naive::{
    Event, Frames, Meaning, Mode, Physical, accessed_dirty, attributes, decode, flat, small_attributes,
};

/// Random graphs whose pages change their sizes: they show the same, what was split is large again when promoted, and
/// frames are merged if and only if they are alike.
pub fn resizing<F: Encode<Rights: Hash>>(kind: Kind, format: impl Fn(&Mode) -> F) {
    let pages =
        [Pages::Keep, Pages::Split, Pages::Promote { shared: false }, Pages::Promote { shared: true }];
    let ways = Way::with(&pages, &[Placing::Keep, Placing::Move, Placing::Compact, Placing::Dedup]);
    let resizing: Vec<Way> = ways.into_iter().filter(|way| !way.is_plain()).collect();
    let chosen = (select(resizing), any::<Index>());
    check_cases(24, sized(kind), chosen, |case, (way, bit)| {
        let format = format(&case.mode);
        let Some(rebuilt) = check_way(case, &format, &way) else { return };
        check_commit(case, &format, &way, &rebuilt);
        flip(case, &format, &way, &rebuilt, Flip::Table(bit.index(usize::MAX) as u64));
        if way.pages == Pages::Split && way.placing == Placing::Keep {
            check_promoted(case, &format, &way, &rebuilt);
        }
        if way.placing == Placing::Dedup {
            check_merged(case, &rebuilt);
        }
        check_maximal(case, &way, &rebuilt);
    });
}

/// What was split, promoted: every page that was large is as it was, or even larger.
fn check_promoted<F: Encode<Rights: Hash>>(case: &Case, format: &F, way: &Way, rebuilt: &Rebuilt) {
    let split = written(case, rebuilt);
    let way = Way { pages: Pages::Promote { shared: false }, placing: Placing::Keep, ..*way };
    let old = Known::new(case);
    // A page that the range cuts has only a part of its pieces in range, and an entry that is read twice stays as it is.
    if case.range != (0, u64::MAX) || old.ambiguous {
        return;
    }
    let Some(promoted) = check_way(&split, format, &way) else { return };
    let promoted = written(&split, &promoted);
    for (before, after) in case.roots.iter().zip(&promoted.roots) {
        let leaves = |case: &Case, root: u64| -> BTreeMap<u64, (u8, u64, u64)> {
            let leaf = |event: Event| match event {
                Event::Leaf { va, level, pa, raw, .. } => Some((va, (level, pa, raw))),
                _ => None,
            };
            flat(&case.mode, &case.memory, root, case.range).into_iter().filter_map(leaf).collect()
        };
        let now = leaves(&promoted, *after);
        for (va, (level, _, raw)) in leaves(case, *before) {
            if level > 1 {
                let (&first, &(new_level, pa, new_raw)) =
                    now.range(..=va).next_back().expect("nothing is lost");
                assert!(
                    va - first < case.mode.entry_span(new_level) && new_level >= level,
                    "{va:#x}: {now:x?}"
                );
                let same = attributes(&case.mode, level, raw) == attributes(&case.mode, level, new_raw);
                assert!(new_level > level || same, "{va:#x}: {raw:#x} is {new_raw:#x} at {pa:#x}");
            }
        }
    }
}

/// Every table is gone that could have become a page: it has one link, or may have several; it has pages alone, alike and
/// one behind the other; and no page shows it.
pub fn check_maximal(case: &Case, way: &Way, rebuilt: &Rebuilt) {
    let Pages::Promote { shared } = way.pages else { return };
    if case.range != (0, u64::MAX) || Known::new(case).ambiguous {
        return;
    }
    let new = written(case, rebuilt);
    let mode = &new.mode;
    let events: Vec<Event> =
        new.roots.iter().flat_map(|&root| flat(mode, &new.memory, root, new.range)).collect();
    let shown = |table: u64| {
        events.iter().any(|event| match *event {
            Event::Leaf { level, pa, .. } => table >= pa && table - pa < mode.entry_span(level),
            _ => false,
        })
    };
    let mut links: BTreeMap<(u64, u8), BTreeSet<u64>> = BTreeMap::new();
    for event in &events {
        if let Event::Table { level, address, link, .. } = *event {
            links.entry((address, level)).or_default().extend(link.entry);
        }
    }
    for ((table, level), links) in links {
        let may = level < mode.levels() && (links.len() == 1 || shared) && !(way.live && shown(table));
        let page = page_of(mode, &new.memory, table, level);
        assert!(!may || page.is_none(), "{way:?}: the table at {table:#x} could be {page:x?}\n{new:?}");
    }
}

/// The page that shows the same as a table.
fn page_of(mode: &Mode, memory: &Frames, table: u64, level: u8) -> Option<u64> {
    let entries = memory.table(table, mode.entries(level), mode.entry_bytes()).ok()?;
    let marks = accessed_dirty(mode);
    let Meaning::Leaf(first) = decode(mode, level, entries[0]) else { return None };
    let all = small_attributes(mode, level, entries[0]) & !marks;
    let mut joined = all;
    for (index, &raw) in (0..).zip(&entries) {
        let attributes = small_attributes(mode, level, raw);
        let next = Meaning::Leaf(first + index * mode.entry_span(level));
        if decode(mode, level, raw) != next || attributes & !marks != all {
            return None;
        }
        joined |= attributes;
    }
    let fits = first % mode.entry_span(level + 1) == 0;
    compose(mode, level + 1, first, joined).filter(|_| fits)
}

/// As many frames are left of those that the memory holds as there are different ones.
fn check_merged(case: &Case, rebuilt: &Rebuilt) {
    let tables: BTreeSet<u64> =
        rebuilt.tables().iter().map(|table| table.address & !(Frames::SIZE - 1)).collect();
    let mut places: BTreeMap<Vec<u8>, BTreeSet<u64>> = BTreeMap::new();
    for (address, bytes) in case.memory.iter() {
        let to = rebuilt.frames().get(address).filter(|to| !tables.contains(to));
        if let (Some(_), Some(to)) = (bytes, to) {
            let bytes = case.memory.bytes(address, Frames::SIZE).expect("it is held");
            places.entry(bytes).or_default().insert(to);
        }
    }
    for (bytes, places) in places {
        assert_eq!(places.len(), 1, "{:x?}.. is at {places:x?}", &bytes[..16]);
    }
}
