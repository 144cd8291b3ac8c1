//! What the descent meets, checked pair by pair.

use core::cell::Cell;

use hashbrown::{HashMap, HashSet};
use pt_core::raw::LinkRights;
use pt_core::{Cause, Encode, Geometry, Judge, Level, Link, Mapped, Node, Permissions};

use super::intervals::Intervals;
use super::{Mismatch, Proof};
use crate::frames::Span;
use crate::{Faults, FrameMap, NewRoot};

/// What merged frames leave of rights.
const READ_ONLY: LinkRights = LinkRights { writable: false, executable: true, user_accessible: true };

/// What is known of the pairs that were met.
pub(super) struct Findings<'a, F: Encode> {
    format: &'a F,
    pub(super) proof: &'a Proof<'a>,
    /// Pairs of an old table and a new one, each with the level at which they were met.
    pub(super) pairs: HashSet<(u64, u64, Level)>,
    /// The bytes of old tables to those of new ones, and back: tables that overlap do so on both sides.
    pub(super) tables: Intervals,
    pub(super) tables_back: Intervals,
    /// Tables of one side that a page of the other stands for: address, level and first virtual address.
    pub(super) only_old: HashMap<u64, (Level, u64)>,
    pub(super) only_new: HashMap<u64, (Level, u64)>,
    /// Old frames to new ones, and back.
    pub(super) frames: Intervals,
    pub(super) frames_back: Intervals,
    /// New frames that stand for several.
    pub(super) merged: Intervals,
    /// New frames that can be written; those of pages that were made read-only.
    pub(super) writable: Intervals,
    pub(super) narrowed: Intervals,
    /// The pair of roots that is descended.
    space: &'a Cell<Option<NewRoot>>,
    pub(super) first: Option<(Option<NewRoot>, Mismatch<F::Rights>)>,
}

impl<'a, F: Encode> Findings<'a, F> {
    pub(super) fn new(format: &'a F, proof: &'a Proof<'a>, space: &'a Cell<Option<NewRoot>>) -> Self {
        Self {
            format,
            proof,
            pairs: HashSet::new(),
            tables: Intervals::default(),
            tables_back: Intervals::default(),
            only_old: HashMap::new(),
            only_new: HashMap::new(),
            frames: Intervals::default(),
            frames_back: Intervals::default(),
            merged: Intervals::default(),
            writable: Intervals::default(),
            narrowed: Intervals::default(),
            space,
            first: None,
        }
    }

    fn note(&mut self, mismatch: Mismatch<F::Rights>) {
        self.first.get_or_insert((self.space.get(), mismatch));
    }

    /// Notes where an old table has become two, or a new one stands for two.
    fn table(&mut self, va: u64, level: Level, old: u64, new: u64) {
        let more = F::table_bytes(level) as u64 - 1;
        let there = self.tables.add(old, old.saturating_add(more), new);
        let from = self.tables_back.add(new, new.saturating_add(more), old);
        if let Err((at, known)) = there {
            self.note(Mismatch::Sharing { va, level, old: at, new: new.wrapping_add(at - old), known });
        } else if let Err((at, known)) = from {
            self.note(Mismatch::Sharing { va, level, old: old.wrapping_add(at - new), new: at, known });
        }
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
        let same = old.rights == new.rights;
        let narrowed = !new.rights.writable() && equal_but_writes(old.rights, new.rights);
        let (exact, read_only) = if old.level == new.level {
            let moved = self.format.relocate(old.level, old.raw, new.pa);
            let read_only = moved.and_then(|raw| self.format.narrow(old.level, raw, READ_ONLY));
            (moved == Some(new.raw), read_only == Some(new.raw))
        } else {
            let alike = self.proof.sizes && self.without_rights(&old) == self.without_rights(&new);
            (alike, alike)
        };
        let unchanged = same && exact;
        let may_be_narrowed = self.proof.merged && narrowed && read_only;
        if !unchanged && !may_be_narrowed {
            return false;
        }
        if self.proof.merged {
            let last = new.pa.saturating_add(len - 1);
            // Both are sets: what an address goes to is itself, and never disagrees.
            let _ = new.rights.writable() && self.writable.add(new.pa, last, new.pa).is_err();
            let _ = !unchanged && self.narrowed.add(new.pa, last, new.pa).is_err();
        }
        self.frames(va, old.pa, new.pa, len);
        true
    }

    /// Attributes without accessed and dirty bits, and without those that are rights: these can move between a page and
    /// the link above it.
    fn without_rights(&self, page: &Page<F::Rights>) -> u64 {
        let all = LinkRights { writable: true, executable: true, user_accessible: true };
        let least = [
            LinkRights { writable: false, ..all },
            LinkRights { executable: false, ..all },
            LinkRights { user_accessible: false, ..all },
        ];
        // What an entry cannot say is not in it.
        let without = |raw, least| self.format.narrow(page.level, raw, least).unwrap_or(raw);
        self.format.attributes(page.level, least.into_iter().fold(page.raw, without)) & !F::ACCESSED_DIRTY
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
                if self.pairs.insert((old, new, level)) {
                    self.table(va, level, old, new);
                }
            }
            (&Node::Table { address, .. }, other) => {
                if self.proof.sizes && is_page(other) {
                    self.only_old.insert(address, (level, va));
                } else {
                    self.note(Mismatch::Table { va, level, old: Some(address), new: None });
                }
            }
            (other, &Node::Table { address, .. }) => {
                if self.proof.sizes && is_page(other) {
                    self.only_new.insert(address, (level, va));
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
                let dropped = |frames: &FrameMap| frames.span(pa, pa + (last - va), &mut 0) == Span::Dropped;
                self.proof.frames.is_some_and(dropped)
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
