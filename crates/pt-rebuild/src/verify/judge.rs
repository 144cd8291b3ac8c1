//! What the descent meets, checked pair by pair.

use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};
use pt_core::raw::LinkRights;
use pt_core::{Cause, Encode, Geometry, Judge, Level, Link, Mapped, Node, Permissions};

use super::intervals::Intervals;
use super::{Count, Mismatch, Proof, Verified};
use crate::{Faults, FrameMap};

/// What merged frames leave of rights.
const READ_ONLY: LinkRights = LinkRights { writable: false, executable: true, user_accessible: true };

/// What is known of the pairs that were met.
pub(super) struct Findings<'a, F: Encode> {
    format: &'a F,
    pub(super) proof: &'a Proof<'a>,
    /// Old tables to new ones, with the size in bytes.
    pub(super) tables: HashMap<u64, (u64, u64)>,
    back: HashMap<u64, u64>,
    /// Tables of one side that a page of the other stands for.
    only_old: HashSet<u64>,
    only_new: HashSet<u64>,
    /// Old frames to new ones, and back.
    pub(super) frames: Intervals,
    frames_back: Intervals,
    /// New frames that stand for several.
    merged: Intervals,
    /// New frames that can be written; those that could be, and cannot any more.
    writable: Intervals,
    narrowed: Intervals,
    first: Option<Mismatch<F::Rights>>,
}

impl<'a, F: Encode> Findings<'a, F> {
    pub(super) fn new(format: &'a F, proof: &'a Proof<'a>) -> Self {
        Self {
            format,
            proof,
            tables: HashMap::new(),
            back: HashMap::new(),
            only_old: HashSet::new(),
            only_new: HashSet::new(),
            frames: Intervals::default(),
            frames_back: Intervals::default(),
            merged: Intervals::default(),
            writable: Intervals::default(),
            narrowed: Intervals::default(),
            first: None,
        }
    }

    /// The totals, or the first mismatch.
    pub(super) fn verified(&self) -> Result<Verified, Mismatch<F::Rights>> {
        self.first.map_or(Ok(()), Err)?;
        for (first, last, _) in self.merged.iter() {
            if let Some(new) = self.writable.first_within(first, last) {
                return Err(Mismatch::Writable { new });
            }
        }
        for (first, last, _) in self.narrowed.iter() {
            // All of it is merged if no stretch between merged ones is left.
            let mut at = first;
            while let Some((_, end, _)) = self.merged.at(at) {
                if end >= last {
                    at = last;
                    break;
                }
                at = end + 1;
            }
            if self.merged.at(at).is_none() {
                return Err(Mismatch::NotWritable { new: at });
            }
        }
        if let Some(expected) = self.proof.frames {
            self.as_expected(expected)?;
        }
        let tables = |own: &HashSet<u64>| (self.tables.len() + own.len()) as u64;
        Ok(Verified {
            tables: Count { old: tables(&self.only_old), new: tables(&self.only_new) },
            mapped: Count { old: self.frames.bytes(), new: self.frames_back.bytes() },
            ..Verified::default()
        })
    }

    /// Whether frames went where they were to go.
    fn as_expected(&self, expected: &FrameMap) -> Result<(), Mismatch<F::Rights>> {
        for (first, last, to) in self.frames.iter() {
            let mut at = first;
            loop {
                let new = to + (at - first);
                let known = expected.get(at);
                if known != Some(new) {
                    return Err(Mismatch::Frame { va: 0, old: at, new, known });
                }
                match expected.end_of(at).filter(|&end| end < last) {
                    Some(end) => at = end + 1,
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, mismatch: Mismatch<F::Rights>) {
        self.first.get_or_insert(mismatch);
    }

    /// Whether new frames stand for the old ones, and for no others.
    fn frames(&mut self, va: u64, old: u64, new: u64, len: u64) -> bool {
        let known = self.frames.add(old, old.saturating_add(len - 1), new);
        if let Err((at, known)) = known {
            self.note(Mismatch::Frame { va, old: at, new: new.wrapping_add(at - old), known: Some(known) });
            return false;
        }
        let last = new.saturating_add(len - 1);
        let mut at = new;
        while let Err((taken, known)) = self.frames_back.add(at, last, old.wrapping_add(at - new)) {
            if !self.proof.merged {
                let from = old.wrapping_add(taken - new);
                self.note(Mismatch::Frame { va, old: from, new: taken, known: Some(known) });
                return false;
            }
            // Up to the end of what stands for others, too.
            let end = self.frames_back.at(taken).map_or(taken, |(_, end, _)| end.min(last));
            let _ = self.merged.add(taken, end, taken);
            if end == last {
                break;
            }
            at = end + 1;
        }
        true
    }

    /// Whether a page became another as it must.
    fn page(&mut self, va: u64, len: u64, old: Page<F::Rights>, new: Page<F::Rights>) -> bool {
        let narrowed = self.proof.merged && old.rights.writable() && !new.rights.writable();
        let same_rights = old.rights == new.rights || (narrowed && equal_but_writes(old.rights, new.rights));
        let format = self.format;
        let same_entry = if old.level == new.level {
            let moved = format.relocate(old.level, old.raw, new.pa);
            let read_only = || format.narrow(old.level, moved?, READ_ONLY);
            moved == Some(new.raw) || (self.proof.merged && read_only() == Some(new.raw))
        } else {
            self.proof.sizes && self.without_rights(&old) == self.without_rights(&new)
        };
        if !(same_rights && same_entry) {
            return false;
        }
        if self.proof.merged {
            let last = new.pa.saturating_add(len - 1);
            // Both are sets: what an address goes to is itself, and never disagrees.
            let _ = new.rights.writable() && self.writable.add(new.pa, last, new.pa).is_err();
            let _ = narrowed && self.narrowed.add(new.pa, last, new.pa).is_err();
        }
        self.frames(va, old.pa, new.pa, len);
        true
    }

    /// Attributes without accessed and dirty bits, and without those that are rights: these can move between a page and
    /// the link above it.
    fn without_rights(&self, page: &Page<F::Rights>) -> Option<u64> {
        let least = |executable| LinkRights { writable: false, executable, user_accessible: false };
        let narrow = |executable| self.format.narrow(page.level, page.raw, least(executable));
        let raw = narrow(false).or_else(|| narrow(true))?;
        Some(self.format.attributes(page.level, raw) & !F::ACCESSED_DIRTY)
    }

    /// Whether a link became another as it must.
    fn link(&self, level: Level, old: Link, new: Link, to: u64) -> bool {
        match Level::new(level.number() + 1).filter(|_| old.entry.is_some()) {
            Some(above) => self.format.relocate(above, old.raw, to) == Some(new.raw),
            None => self.format.with_root(old.raw, to) == Some(new.raw),
        }
    }
}

/// A page, or a piece of one.
#[derive(Clone, Copy)]
struct Page<R> {
    pa: u64,
    rights: R,
    raw: u64,
    level: Level,
}

impl<F: Encode> Judge<F> for Findings<'_, F> {
    fn tables(&mut self, level: Level, va: u64, before: &Node<F::Rights>, after: &Node<F::Rights>) {
        let is_page = |node: &Node<F::Rights>| matches!(node, Node::End(Mapped::Page { .. }));
        match (before, after) {
            (&Node::Table { address: old, link, .. }, &Node::Table { address: new, link: new_link, .. }) => {
                if !self.link(level, link, new_link, new) {
                    self.note(Mismatch::Link { va, level, old: link.raw, new: new_link.raw });
                }
                let bytes = F::table_bytes(level) as u64;
                let entry = self.tables.entry(old).or_insert((new, bytes));
                entry.1 = entry.1.max(bytes);
                let (there, from) = (entry.0, *self.back.entry(new).or_insert(old));
                if there != new {
                    self.note(Mismatch::Sharing { va, level, old, new, known: there });
                } else if from != old {
                    self.note(Mismatch::Sharing { va, level, old, new, known: from });
                }
            }
            (&Node::Table { address, .. }, other) => {
                if self.proof.sizes && is_page(other) {
                    self.only_old.insert(address);
                } else {
                    self.note(Mismatch::Table { va, level, old: Some(address), new: None });
                }
            }
            (other, &Node::Table { address, .. }) => {
                if self.proof.sizes && is_page(other) {
                    self.only_new.insert(address);
                } else {
                    self.note(Mismatch::Table { va, level, old: None, new: Some(address) });
                }
            }
            (Node::End(_), Node::End(_)) => {}
        }
    }

    fn ends(&mut self, va: u64, last: u64, before: Mapped<F::Rights>, after: Mapped<F::Rights>) -> bool {
        let alike = match (before, after) {
            (Mapped::Absent { raw }, Mapped::Absent { raw: new }) => raw == new,
            (
                Mapped::Page { pa, rights, raw, level },
                Mapped::Page { pa: new_pa, rights: new_rights, raw: new_raw, level: new_level },
            ) => {
                let old = Page { pa, rights, raw, level };
                let new = Page { pa: new_pa, rights: new_rights, raw: new_raw, level: new_level };
                self.page(va, last - va + 1, old, new)
            }
            (Mapped::Page { pa, .. }, Mapped::Absent { raw: 0 }) => {
                self.proof.frames.is_some_and(|frames| frames.drops(pa))
            }
            (Mapped::Fault(_), Mapped::Absent { raw: 0 }) => self.proof.faults == Faults::Clear,
            (Mapped::Fault(old), Mapped::Fault(new)) => {
                self.proof.faults == Faults::Keep && same_fault(&old, &new)
            }
            _ => false,
        };
        if !alike {
            self.note(Mismatch::Mapped { va, last, old: before, new: after });
        }
        alike
    }
}

/// Whether rights differ in the right to write alone, if at all.
fn equal_but_writes<R: Permissions>(old: R, new: R) -> bool {
    (old.readable(), old.executable(), old.user()) == (new.readable(), new.executable(), new.user())
}

/// Whether two faults are the same, in tables at two places.
fn same_fault(old: &Cause, new: &Cause) -> bool {
    match (old, new) {
        (
            Cause::Malformed { level, raw, reserved, .. },
            Cause::Malformed { level: new_level, raw: new_raw, reserved: new_reserved, .. },
        ) => (level, raw, reserved) == (new_level, new_raw, new_reserved),
        (
            Cause::Unreadable { level, table, link, .. },
            Cause::Unreadable { level: new_level, table: new_table, link: new_link, .. },
        ) => (level, table, link.raw) == (new_level, new_table, new_link.raw),
        _ => false,
    }
}

/// Old tables, ascending: first and last address, and where they went.
pub(super) fn by_address<F: Encode>(findings: &Findings<'_, F>) -> Vec<(u64, u64, u64)> {
    let tables =
        findings.tables.iter().map(|(&old, &(new, bytes))| (old, old.saturating_add(bytes - 1), new));
    let mut tables: Vec<_> = tables.collect();
    tables.sort_unstable();
    tables
}
