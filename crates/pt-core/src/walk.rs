//! The walk: every table once, whatever the number of roots and paths that reach it.
//!
//! ```text
//! for each root, in order:                        for each entry of an open table, in order:
//!     meet its table                                  absent  → nothing, or an event on request
//!                                                     leaf    → Leaf (or a run of them)
//! meet(table, level, window):                         table   → meet it one level below
//!     met before          → Alias                     malformed → Fault
//!     unreadable          → Fault
//!     otherwise: read it  → Table, and open it
//! ```
//!
//! Invariants:
//! - The stack holds one open table per depth. An alias therefore never points at a table that is still open at its
//!   own depth, and everything below an alias was reported before it.
//! - A table is read once, when it is introduced, and decisions are made on that copy (or loan) alone.
//! - Virtual addresses inside are without sign extension, so that the range is one interval; events have it.

mod fold;
mod frame;
mod options;
#[cfg(test)]
mod tests;

use core::fmt;
use core::iter::FusedIterator;

#[cfg(feature = "alloc")]
pub(crate) use frame::Stretch;
use frame::{Frame, Target, largest_table};
pub use options::{Leaves, LimitReached, Limits, Options, RepeatedRoots, Resource};

use crate::visited::{Key, Known, Remember, Unremembered};
use crate::{
    Absent, Alias, Cause, Entry, Event, Fault, Format, Geometry, Level, Link, MAX_LEVELS, Memory, Space,
    Table, TableBuffer, TableId,
};

/// The roots in order: one that the walk holds itself, or those of a slice.
#[derive(Clone, Copy)]
struct Roots<'r> {
    held: Option<u64>,
    lent: &'r [u64],
}

/// The walk of one or many spaces: an iterator of [`Event`]s.
///
/// It ends after the last event, or with [`LimitReached`] as its last item. `fold`, and what the standard library
/// builds on it (`for_each`, `count`, `sum`), is quicker than `next`.
pub struct Walk<'a, F: Format, M: Memory + ?Sized, V> {
    format: F,
    memory: &'a M,
    roots: Roots<'a>,
    /// The range without sign extension; none where the address space has no part of it.
    range: Option<(u64, u64)>,
    leaves: Leaves,
    absent: bool,
    repeated_roots: RepeatedRoots,
    limits: Limits,
    visited: V,
    /// Tables read, those that could not be included.
    reads: u64,
    /// Tables introduced.
    tables: u32,
    /// How many more events there may be.
    room: u64,
    /// The index of the next root.
    next_root: usize,
    /// The current space.
    space: Space,
    /// How many frames are open.
    open: usize,
    frames: [Frame<'a, M::Buffer, F::Rights>; MAX_LEVELS],
}

impl<F: Format, M: Memory + ?Sized, V> fmt::Debug for Walk<'_, F, M, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("range", &self.range)
            .field("tables", &self.tables)
            .field("room", &self.room)
            .field("next_root", &self.next_root)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "alloc")]
impl<'a, F: Format, M: Memory + ?Sized> Walk<'a, F, M, crate::Visited> {
    /// Walks all spaces under `roots`, in order of primacy: the first to reach a table owns it.
    ///
    /// Roots are as the register holds them (CR3): the format strips what is not address.
    ///
    /// ```
    /// use pt_amd64::FourLevel;
    /// use pt_core::{Event, Leaves, Options, Walk};
    ///
    /// // One PDPT (0x2000), linked twice, with two 1 GiB pages that continue each other.
    /// let mut memory = vec![0; 0x3000];
    /// for (at, raw) in [(0x1000, 0x2003_u64), (0x1ff8, 0x2003), (0x2000, 0x83), (0x2008, 0x4000_0083)] {
    ///     memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    /// }
    ///
    /// let options = Options { leaves: Leaves::Runs, ..Options::default() };
    /// let events: Vec<_> = Walk::new(FourLevel::default(), &memory, &[0x1000], options).collect::<Result<_, _>>()?;
    /// let [Event::Table(root), Event::Table(pdpt), Event::Leaf(run), Event::Alias(alias)] = &events[..] else {
    ///     panic!("{events:#x?}");
    /// };
    /// assert_eq!((root.address, pdpt.address), (0x1000, 0x2000));
    /// assert_eq!((run.va, run.pa, run.pages), (0, 0, 2));
    /// assert_eq!((alias.our_va, alias.their_va), (0xffff_ff80_0000_0000, 0));
    /// # Ok::<(), pt_core::LimitReached>(())
    /// ```
    pub fn new(format: F, memory: &'a M, roots: &'a [u64], options: Options) -> Self {
        Self::with_visited(
            format,
            memory,
            Roots { held: None, lent: roots },
            options,
            crate::Visited::default(),
        )
    }
}

#[cfg(feature = "alloc")]
impl<'a, F: Format, M: Memory + ?Sized, S: core::hash::BuildHasher> Walk<'a, F, M, crate::Visited<S>> {
    /// As [`new`](Walk::new), with the hasher for the table addresses that the guest chooses.
    ///
    /// ```
    /// use pt_amd64::FourLevel;
    /// use pt_core::{Options, Walk};
    ///
    /// let keyed = std::collections::hash_map::RandomState::new();
    /// let memory = vec![0; 0x2000];
    /// assert_eq!(Walk::with_hasher(FourLevel::default(), &memory, &[0x1000], Options::default(), keyed).count(), 1);
    /// ```
    pub fn with_hasher(format: F, memory: &'a M, roots: &'a [u64], options: Options, hasher: S) -> Self {
        Self::with_visited(
            format,
            memory,
            Roots { held: None, lent: roots },
            options,
            crate::Visited::with_hasher(hasher),
        )
    }
}

impl<'a, F: Format, M: Memory + ?Sized> Walk<'a, F, M, Unremembered> {
    /// Walks one space along every path, without remembering tables and so without an allocator: nothing is an alias,
    /// and a shared table is reported as often as it is reached. A hostile root makes that exponential, so `limits`
    /// are asked for; those in `options` are ignored.
    ///
    /// ```
    /// use pt_amd64::FourLevel;
    /// use pt_core::{Limits, Options, Walk};
    ///
    /// // A root whose every entry points to itself: 512 ^ 4 paths.
    /// let mut memory = vec![0; 0x1000];
    /// memory.chunks_exact_mut(8).for_each(|entry| entry[0] = 1);
    /// let limits = Limits { tables: 1000, events: 10_000 };
    /// let last = Walk::single(FourLevel::default(), &memory, 0, Options::default(), limits).last();
    /// assert!(last.unwrap().is_err(), "the limit was reached, and said");
    /// ```
    pub fn single(format: F, memory: &'a M, root: u64, options: Options, limits: Limits) -> Self {
        let options = Options { limits, ..options };
        Self::with_visited(format, memory, Roots { held: Some(root), lent: &[] }, options, Unremembered)
    }
}

impl<'a, F: Format, M: Memory + ?Sized, V: Remember> Walk<'a, F, M, V> {
    fn with_visited(format: F, memory: &'a M, roots: Roots<'a>, options: Options, visited: V) -> Self {
        const { assert!(M::Buffer::BYTES >= largest_table::<F>(), "the buffer holds no whole table") };
        let Options { range, leaves, absent, repeated_roots, limits } = options;
        let rights = format.unrestricted();
        Self {
            format,
            memory,
            roots,
            range: F::clip(&range),
            leaves,
            absent,
            repeated_roots,
            // Table numbers are 32 bits wide, and the last one ends the chains of visits.
            limits: Limits { tables: limits.tables.min(u64::from(u32::MAX)), ..limits },
            visited,
            reads: 0,
            tables: 0,
            room: limits.events,
            next_root: 0,
            space: 0,
            open: 0,
            frames: core::array::from_fn(|_| Frame::empty(rights)),
        }
    }

    fn limit_reached(&mut self, resource: Resource, limit: u64, va: u64) -> LimitReached {
        self.open = 0;
        self.range = None;
        LimitReached { resource, limit, space: self.space, va: F::canonical(va) }
    }

    /// The next event, whatever the limit on events.
    fn advance(&mut self) -> Option<Result<Event<F::Rights>, LimitReached>> {
        loop {
            let Some(top) = self.open.checked_sub(1) else {
                let root = self.next_root()?;
                return Some(root.and_then(|root| self.meet(root)));
            };
            let level = Level::at_depth::<F>(top)?;
            let (space, frame) = (self.space, &mut self.frames[top]);
            let entries = frame.entries();
            let at = entries.next_used::<F>(frame.next);
            if at >= entries.count::<F>() {
                self.open = top;
                continue;
            }
            let raw = entries.raw::<F>(at);
            frame.next = at + 1;
            let (va, entry) = (frame.va::<F>(level, at), frame.entry::<F>(at));
            return Some(match self.format.decode(level, raw) {
                Entry::Absent if self.absent => {
                    Ok(Event::Absent(Absent { space, level, va: F::canonical(va), raw, entry }))
                }
                Entry::Absent => continue,
                Entry::Leaf(_) => {
                    frame.next = at;
                    Ok(Event::Leaf(frame.next_leaf(&self.format, (space, level), self.leaves)?))
                }
                Entry::Malformed { reserved } => {
                    let cause = Cause::Malformed { level, entry, raw, reserved };
                    Ok(Event::Fault(Fault { space, va: F::canonical(va), cause }))
                }
                Entry::Table(address) => {
                    let rights = self.format.restrict(frame.rights, level, raw);
                    let link = Link { raw, entry: Some(entry) };
                    // Level 1 has no links: a law of formats.
                    let Some(level) = level.below() else { continue };
                    self.meet(Target { level, link, address, va, rights })
                }
            });
        }
    }

    /// The next space's root.
    fn next_root(&mut self) -> Option<Result<Target<F::Rights>, LimitReached>> {
        let (first, _) = self.range?;
        let Roots { held, lent } = self.roots;
        let root = *held.iter().chain(lent).nth(self.next_root)?;
        self.space = self.next_root as Space;
        self.next_root += 1;
        if self.next_root > Space::MAX as usize {
            return Some(Err(self.limit_reached(Resource::Spaces, u64::from(Space::MAX), first)));
        }
        let link = Link { raw: root, entry: None };
        let (address, rights) = (self.format.root(root), self.format.unrestricted());
        Some(Ok(Target { level: F::ROOT, link, address, va: 0, rights }))
    }

    /// Follows a link: introduces its table, or says why there is nothing to introduce.
    fn meet(&mut self, target: Target<F::Rights>) -> Result<Event<F::Rights>, LimitReached> {
        let Target { level, link, address, va, rights } = target;
        let (space, our_va) = (self.space, F::canonical(va));
        let unreadable = |why| {
            let cause = Cause::Unreadable { level, table: address, link, why };
            Ok(Event::Fault(Fault { space, va: our_va, cause }))
        };
        let (first, last) = self.range.unwrap_or((0, F::VA_MASK));
        let (cut_at_start, cut_at_end) = (first > va, last < va + F::table_span_last(level));
        let key = Key { address, level, cut: u8::from(cut_at_start) | u8::from(cut_at_end) << 1 };
        let known = self.visited.look_up(key);
        let read_again = link.entry.is_none() && self.repeated_roots == RepeatedRoots::Read;
        let first_met = match known {
            Known::Unreadable(why) => return unreadable(why),
            Known::New { first_met } => first_met,
            Known::Met { first_met, .. } if read_again => Some(first_met),
            Known::Met { id: table, owner, va: their_va, .. } => {
                let alias = Alias { space, owner, table, level, address, our_va, their_va, link, rights };
                return Ok(Event::Alias(alias));
            }
        };
        if self.reads >= self.limits.tables {
            return Err(self.limit_reached(Resource::Tables, self.limits.tables, va));
        }
        self.reads += 1;
        let from = if cut_at_start { F::index(level, first) } else { 0 };
        let to = if cut_at_end { F::index(level, last) } else { F::entries(level) - 1 };
        let depth = level.depth::<F>();
        if let Err(why) = self.frames[depth].read::<F, M>(self.memory, &target, from, to) {
            self.visited.refuse(key, why);
            return unreadable(why);
        }
        self.open = depth + 1;
        let id = TableId(self.tables);
        self.tables += 1;
        match known {
            Known::Met { .. } => self.visited.introduce_apart(key, space, our_va),
            _ => self.visited.introduce(key, first_met, space, our_va),
        }
        Ok(Event::Table(Table { space, id, level, address, va: our_va, link, rights, first_met }))
    }

    /// The next event that is not made where it is used.
    ///
    /// It is left in `into` rather than returned: `next` then has a result of its own, whose leaves stay in registers.
    /// (Returned, it shared memory with them, and each leaf waited for stores narrower than its loads.)
    #[inline(never)]
    fn next_other(&mut self, into: &mut Option<<Self as Iterator>::Item>) {
        if let Some(top) = self.open.checked_sub(1)
            && let Some(level) = Level::at_depth::<F>(top)
            && let Some(room) = self.room.checked_sub(1)
            && let Some(leaf) = self.frames[top].next_leaf(&self.format, (self.space, level), self.leaves)
        {
            self.room = room;
            *into = Some(Ok(Event::Leaf(leaf)));
            return;
        }
        *into = self.advance().map(|event| event.and_then(|event| self.admit(event)));
    }

    /// Counts an event, or says that there was room for none.
    fn admit(&mut self, event: Event<F::Rights>) -> Result<Event<F::Rights>, LimitReached> {
        match self.room.checked_sub(1) {
            Some(room) => self.room = room,
            None => return Err(self.limit_reached(Resource::Events, self.limits.events, event.va())),
        }
        Ok(event)
    }
}

impl<F: Format, M: Memory + ?Sized, V: Remember> Iterator for Walk<'_, F, M, V> {
    type Item = Result<Event<F::Rights>, LimitReached>;

    /// Nearly all events are leaves of one page table that follow one another: those are made here, by the caller, and
    /// all else elsewhere.
    ///
    /// A second way of this kind, for large pages and runs, makes all of them go through memory: 98 instructions a leaf at
    /// least, 63 as it is.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let page_table = F::LEVELS as usize - 1;
        if self.leaves == Leaves::Each && self.open == page_table + 1 && self.room > 0 {
            let frame = &mut self.frames[page_table];
            if let Some(leaf) = frame.next_leaf(&self.format, (self.space, Level::LEAF), Leaves::Each) {
                self.room -= 1;
                return Some(Ok(Event::Leaf(leaf)));
            }
        }
        let mut other = None;
        self.next_other(&mut other);
        other
    }

    fn fold<A, G: FnMut(A, Self::Item) -> A>(self, init: A, give: G) -> A {
        self.fold_events(init, give)
    }
}

impl<F: Format, M: Memory + ?Sized, V: Remember> FusedIterator for Walk<'_, F, M, V> {}
