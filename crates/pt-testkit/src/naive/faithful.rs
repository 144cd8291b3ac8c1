//! What a faithful rebuild is: both sides walked flat, path by path, and laid beside each other.
//!
//! Nothing is known of how the new spaces came to be. Which table became which, and which frame, is what the paths say;
//! that both are one-to-one is found by writing every entry and every page down.

use std::collections::{BTreeMap, BTreeSet};

use super::frames::{self, Went};
use super::pieces::{self, Piece};
use super::{Event, Link, Mode, Physical, Rights, attributes, flat, right_bits, small_attributes};

/// What was asked of a rebuild.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Terms<'a> {
    /// Pages that map tables show the new ones, and not the old bytes.
    pub live: bool,
    /// Entries that cannot be followed have become zero.
    pub cleared: bool,
    /// Pages may have become smaller or larger.
    pub sizes: bool,
    /// Frames may have been merged, and the pages that map them made read-only.
    pub merged: bool,
    /// Where frames had to go, ascending by old address; none if that is open.
    pub went: Option<&'a [Went]>,
}

/// Two memories, and which parts of the old one hold bytes (first and last address).
#[derive(Debug)]
pub struct Sides<'a, O, N> {
    /// The old memory.
    pub old: &'a O,
    /// The new memory.
    pub new: &'a N,
    /// The parts of the old one.
    pub held: &'a [(u64, u64)],
}

/// How many tables there are on each side, each place in memory counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Before.
    pub old: usize,
    /// After.
    pub new: usize,
}

/// Whether the spaces under the new roots are those under the old ones.
///
/// # Errors
///
/// What is not.
pub fn faithful<O: Physical, N: Physical>(
    mode: &Mode,
    sides: &Sides<'_, O, N>,
    roots: &[(u64, u64)],
    range: (u64, u64),
    terms: &Terms<'_>,
) -> Result<Tables, String> {
    let mut found = Found::new(mode, terms);
    for &(old, new) in roots {
        let (old, new) = (
            Walked::new(mode, flat(mode, sides.old, old, range)),
            Walked::new(mode, flat(mode, sides.new, new, range)),
        );
        found.spaces(&old, &new, range)?;
    }
    found.frames()?;
    found.contents(sides)?;
    Ok(Tables { old: distinct(&found.old_tables), new: distinct(&found.new_tables) })
}

/// How many places tables are in, given by first and last address: those that overlap are one.
pub fn distinct(tables: &BTreeSet<(u64, u64)>) -> usize {
    let (mut count, mut end) = (0, None);
    for &(first, last) in tables {
        count += usize::from(end.is_none_or(|end| end < first));
        end = end.max(Some(last));
    }
    count
}

/// One space, by place (the address counted from the start of the space) and level.
struct Walked {
    tables: BTreeMap<(u64, u8), Table>,
    leaves: Vec<Piece>,
    /// What is neither: place, level, table and raw entry of what is absent or cannot be followed.
    absent: Vec<(u64, u8, u64)>,
    faults: Vec<(u64, u8, u64, u64)>,
}

struct Table {
    address: u64,
    link: Link,
    rights: Rights,
}

impl Walked {
    fn new(mode: &Mode, events: Vec<Event>) -> Self {
        let mut walked =
            Self { tables: BTreeMap::new(), leaves: Vec::new(), absent: Vec::new(), faults: Vec::new() };
        for event in events {
            let place = mode.place(event.va()).expect("addresses are canonical");
            match event {
                Event::Table { level, address, link, rights, .. } => {
                    walked.tables.insert((place, level), Table { address, link, rights });
                }
                Event::Leaf { level, pa, raw, rights, .. } => {
                    let len = mode.entry_span(level);
                    walked.leaves.push(Piece { place, len, pa, level, raw, rights, expected: None });
                }
                Event::Absent { level, raw, .. } => walked.absent.push((place, level, raw)),
                Event::Malformed { level, raw, .. } => walked.faults.push((place, level, 0, raw)),
                Event::Unreadable { level, table, link, .. } => {
                    walked.faults.push((place, level, table, link.raw));
                }
                Event::Alias { .. } => unreachable!("a flat walk has none"),
            }
        }
        walked
    }

    /// Whether a page is where a table at that place and level would be.
    fn has_page(&self, place: u64, level: u8) -> bool {
        let after = self.leaves.partition_point(|leaf| leaf.place <= place);
        let page = after.checked_sub(1).map(|index| &self.leaves[index]);
        page.is_some_and(|page| page.level > level && place - page.place < page.len)
    }
}

/// What all spaces together say.
struct Found<'a> {
    mode: &'a Mode,
    terms: &'a Terms<'a>,
    /// Where every entry of a table went, and where it comes from.
    entries: BTreeMap<u64, u64>,
    back: BTreeMap<u64, u64>,
    paired: BTreeSet<(u64, u64, u8)>,
    /// Entries of new tables that stand for pages.
    instead: BTreeSet<u64>,
    /// First and last address of every table on each side.
    old_tables: BTreeSet<(u64, u64)>,
    new_tables: BTreeSet<(u64, u64)>,
    pages: BTreeSet<(Piece, Piece)>,
}

impl<'a> Found<'a> {
    fn new(mode: &'a Mode, terms: &'a Terms<'a>) -> Self {
        Self {
            mode,
            terms,
            entries: BTreeMap::new(),
            back: BTreeMap::new(),
            paired: BTreeSet::new(),
            instead: BTreeSet::new(),
            old_tables: BTreeSet::new(),
            new_tables: BTreeSet::new(),
            pages: BTreeSet::new(),
        }
    }

    fn spaces(&mut self, old: &Walked, new: &Walked, range: (u64, u64)) -> Result<(), String> {
        for (&(place, level), table) in &old.tables {
            self.old_tables.insert(self.extent(table.address, level));
            match new.tables.get(&(place, level)) {
                Some(to) => self.pair(level, table, to)?,
                None if self.terms.sizes && new.has_page(place, level) => {}
                None => return Err(format!("no table of level {level} at {place:#x}")),
            }
        }
        for (&(place, level), table) in &new.tables {
            self.new_tables.insert(self.extent(table.address, level));
            if !old.tables.contains_key(&(place, level)) {
                if !self.terms.sizes || !old.has_page(place, level) {
                    return Err(format!("a table of level {level} at {place:#x}"));
                }
                self.instead.extend(self.addresses(table.address, level));
            }
        }
        if old.absent != new.absent {
            return Err(format!("absent: {:x?} became {:x?}", old.absent, new.absent));
        }
        let faults = if self.terms.cleared { &[][..] } else { &old.faults };
        if faults != new.faults {
            return Err(format!("faults: {faults:x?} became {:x?}", new.faults));
        }
        let sizes = self.terms.sizes;
        // A page that the range cuts is met whole. Of the small ones instead of it, only those in range are.
        let (mut leaves, mut others) = (old.leaves.clone(), new.leaves.clone());
        if let Some(places) = self.mode.places(range.0, range.1).filter(|_| sizes) {
            (leaves, others) =
                (pieces::clip(&leaves, &others, places), pieces::clip(&others, &leaves, places));
        }
        if let Some(went) = self.terms.went {
            leaves = pieces::cut(&leaves, went, sizes)?;
        }
        self.pages.extend(pieces::beside(leaves, others, sizes)?);
        Ok(())
    }

    /// First and last address of a table.
    fn extent(&self, address: u64, level: u8) -> (u64, u64) {
        (address, address + (self.mode.table_bytes(level) - 1))
    }

    /// The addresses of a table's entries.
    fn addresses(&self, table: u64, level: u8) -> impl Iterator<Item = u64> + use<> {
        let width = self.mode.entry_bytes();
        (0..self.mode.entries(level)).map(move |index| table + index * width)
    }

    /// A table that became another: its link kept every other bit, and each of its entries is in one place.
    fn pair(&mut self, level: u8, old: &Table, new: &Table) -> Result<(), String> {
        let rest = |raw: u64| match old.link.entry {
            None => raw & !self.mode.root(u64::MAX),
            Some(_) => attributes(self.mode, level + 1, raw),
        };
        if rest(old.link.raw) != rest(new.link.raw) || old.rights != new.rights {
            return Err(format!("link {:#x} became {:#x}", old.link.raw, new.link.raw));
        }
        if self.paired.insert((old.address, new.address, level)) {
            for (old, new) in self.addresses(old.address, level).zip(self.addresses(new.address, level)) {
                let to = *self.entries.entry(old).or_insert(new);
                let from = *self.back.entry(new).or_insert(old);
                if (to, from) != (new, old) {
                    return Err(format!("entry {old:#x} is {new:#x} and {to:#x}, which is {from:#x}, too"));
                }
            }
        }
        Ok(())
    }

    /// Whether every pair of pages is alike, and frames went one-to-one, or were merged as they may be.
    fn frames(&self) -> Result<(), String> {
        let went: BTreeSet<_> = self.pages.iter().map(|(old, new)| (old.pa, new.pa, old.len)).collect();
        let torn = frames::disagreements(went.iter().copied());
        if let Some(frame) = torn.first() {
            return Err(format!("frame {frame:x?} became two"));
        }
        let shared = frames::disagreements(went.iter().map(|&(old, new, len)| (new, old, len)));
        if let Some(frame) = shared.first().filter(|_| !self.terms.merged) {
            return Err(format!("frame {frame:x?} stands for two"));
        }
        let shared = frames::union(shared);
        self.pages.iter().try_for_each(|(old, new)| self.page(old, new, &shared))
    }

    fn page(&self, old: &Piece, new: &Piece, shared: &[(u64, u64)]) -> Result<(), String> {
        let told = || format!("page {old:x?} became {new:x?}");
        let (touched, covered) = frames::overlap(shared, new.pa, new.len);
        let same_entry = |changes: u64| {
            if old.level == new.level {
                let attributes = |piece: &Piece| attributes(self.mode, piece.level, piece.raw);
                attributes(old) & !changes == attributes(new)
            } else {
                // Rights can move between a page and the link above it; accessed and dirty bits are joined.
                let free = right_bits(self.mode) | super::accessed_dirty(self.mode);
                let attributes = |piece: &Piece| small_attributes(self.mode, piece.level, piece.raw) & !free;
                attributes(old) == attributes(new)
            }
        };
        let read_only = Rights { write: false, ..old.rights };
        let unchanged = same_entry(0) && old.rights == new.rights;
        let narrowed = covered && same_entry(1 << 1) && new.rights == read_only;
        if !(unchanged || narrowed) || (touched && new.rights.write) {
            return Err(told());
        }
        match old.expected {
            Some(expected) if expected != new.pa => Err(format!("{}, not {expected:#x}", told())),
            _ => Ok(()),
        }
    }

    /// Whether pages show what they showed, and no table but those that they are to show.
    fn contents<O: Physical, N: Physical>(&self, sides: &Sides<'_, O, N>) -> Result<(), String> {
        let went: BTreeSet<_> = self.pages.iter().map(|(old, new)| (old.pa, new.pa, old.len)).collect();
        for (old, new, len) in went {
            for (&entry, &from) in self.back.range(new..=new + (len - 1)) {
                if !self.terms.live || from != old + (entry - new) {
                    return Err(format!("frame {old:#x} shows the new table's entry at {entry:#x}"));
                }
            }
            if let Some(entry) = self.instead.range(new..=new + (len - 1)).next() {
                return Err(format!("frame {old:#x} shows the new table's entry at {entry:#x}"));
            }
            for &(first, last) in sides.held {
                let (first, last) = (first.max(old), last.min(old + (len - 1)));
                if first <= last {
                    self.content(sides, first, last, new + (first - old))?;
                }
            }
        }
        match self.instead.iter().find(|entry| self.back.contains_key(entry)) {
            Some(entry) => Err(format!("the entry at {entry:#x} stands for a page and for another entry")),
            None => Ok(()),
        }
    }

    fn content<O: Physical, N: Physical>(
        &self,
        sides: &Sides<'_, O, N>,
        first: u64,
        last: u64,
        to: u64,
    ) -> Result<(), String> {
        let Ok(mut old) = sides.old.bytes(first, last - first + 1) else { return Ok(()) };
        let new = sides
            .new
            .bytes(to, last - first + 1)
            .map_err(|why| format!("{first:#x} is lost at {to:#x}: {why:?}"))?;
        if self.terms.live {
            let width = self.mode.entry_bytes();
            for (&entry, &at) in self.entries.range(first..=last) {
                if at != to + (entry - first) {
                    return Err(format!("the entry at {entry:#x} is at {at:#x}, and is not shown"));
                }
                let bytes = (entry - first) as usize..(entry - first + width) as usize;
                old[bytes.clone()].copy_from_slice(&new[bytes]);
            }
        }
        if old == new { Ok(()) } else { Err(format!("{first:#x} is not what {to:#x} is")) }
    }
}
