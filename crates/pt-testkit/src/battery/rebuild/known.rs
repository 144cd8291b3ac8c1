//! What the oracle knows of a case before it is rebuilt.

use std::collections::{BTreeMap, BTreeSet};

use crate::generate::Case;
use crate::naive::{Event, Frames, Mode, Repeated, distinct, flat, graph, overlap, union};

/// A case, as far as rebuilding is concerned.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The roots; none where the range is empty.
    pub(super) roots: &'a [u64],
    /// How many tables there are, those that overlap as one.
    pub(super) tables: usize,
    /// How many different addresses they have.
    pub(super) addresses: u64,
    /// How many of these a page maps.
    pub(super) shown: u64,
    /// Where tables would be that cannot be read: first and last address.
    pub(super) unreadable: Vec<(u64, u64)>,
    /// What pages map, ascending and disjoint.
    pub(super) pages: Vec<(u64, u64)>,
    /// How many bytes that is.
    pub(super) mapped: u64,
    /// How many of them the memory has.
    pub(super) bytes: u64,
    /// The frames that the memory has.
    pub(super) held: Vec<(u64, u64)>,
    /// Whether any entry is read at more than one level.
    pub(super) ambiguous: bool,
    /// Whether any page is not of the smallest size.
    pub(super) large: bool,
}

impl<'a> Known<'a> {
    /// Walks the case.
    pub(super) fn new(case: &'a Case) -> Self {
        let Case { mode, memory, roots, range } = case;
        let mut tables = BTreeSet::new();
        let (mut unreadable, mut pages, mut large) = (BTreeSet::new(), Vec::new(), false);
        for event in graph(mode, memory, roots, *range, Repeated::Alias) {
            match event {
                Event::Table { level, address, .. } => {
                    tables.insert((address, address + (mode.table_bytes(level) - 1)));
                }
                Event::Unreadable { level, table, .. } => {
                    unreadable.insert((table, table + (mode.table_bytes(level) - 1)));
                }
                Event::Leaf { level, pa, .. } => {
                    large |= level > 1;
                    pages.push((pa, pa + (mode.entry_span(level) - 1)));
                }
                _ => {}
            }
        }
        let addresses: BTreeSet<u64> = tables.iter().map(|table| table.0).collect();
        let (pages, held) = (union(pages), held(memory));
        Self {
            roots: if mode.places(range.0, range.1).is_some() { roots } else { &[] },
            tables: distinct(&tables),
            addresses: addresses.len() as u64,
            shown: addresses.iter().filter(|&&table| overlap(&pages, table, 1).0).count() as u64,
            unreadable: unreadable.into_iter().collect(),
            mapped: pages.iter().map(|(first, last)| last - first + 1).sum(),
            bytes: common(&pages, &held),
            pages,
            held,
            ambiguous: ambiguous(case),
            large,
        }
    }
}

/// The frames that a memory holds: first and last address.
pub(super) fn held(memory: &Frames) -> Vec<(u64, u64)> {
    let frames = memory.iter().filter(|(_, bytes)| bytes.is_some());
    frames.map(|(address, _)| (address, address + (Frames::SIZE - 1))).collect()
}

/// How many bytes lie in a range of both lists, each of which is disjoint.
fn common(one: &[(u64, u64)], other: &[(u64, u64)]) -> u64 {
    let pairs =
        one.iter().flat_map(|range| other.iter().map(move |with| (range.0.max(with.0), range.1.min(with.1))));
    pairs.filter(|(first, last)| first <= last).map(|(first, last)| last - first + 1).sum()
}

fn ambiguous(case: &Case) -> bool {
    let mut levels: BTreeMap<u64, u8> = BTreeMap::new();
    let mut events = case.roots.iter().flat_map(|&root| flat(&case.mode, &case.memory, root, case.range));
    events.any(|event| {
        let read = match event {
            Event::Leaf { level, entry, .. }
            | Event::Absent { level, entry, .. }
            | Event::Malformed { level, entry, .. } => Some((entry, level)),
            Event::Table { level, link, .. } | Event::Unreadable { level, link, .. } => {
                link.entry.map(|entry| (entry, level + 1))
            }
            Event::Alias { .. } => None,
        };
        read.is_some_and(|(entry, level)| *levels.entry(entry).or_insert(level) != level)
    })
}

/// The highest physical address of what is free in the arenas of these tests: every kind of table can be there.
pub(super) fn top(mode: &Mode) -> u64 {
    match mode {
        Mode::Toy => 0xf_ffff,
        // Bit 31 can be one that is not address.
        Mode::TwoLevel { .. } => 0x7fff_ffff,
        Mode::Pae { .. } => 0xffff_ffff,
        // Bits from 33 on can be such.
        Mode::FourLevel(long) | Mode::FiveLevel(long) => (1 << long.phys_bits.min(33)) - 1,
    }
}
