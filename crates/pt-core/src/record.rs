//! A walk, kept: its events by space and by table, and the way back from an alias to what it stands for.
//!
//! Events come depth first, so that everything below a table is one stretch of them. Expanding an alias is replaying
//! its owner's stretch at another address and under another path's rights: no memory is read again, and nothing is
//! built. An alias found in a replayed stretch lies deeper than the alias before it, so that at most one replay per
//! level is open.

use alloc::vec::Vec;
use core::iter::FusedIterator;
use core::ops::Range;

use crate::{Event, Format, Geometry, Leaf, LimitReached, MAX_LEVELS, Space, TableId};

/// The events of a walk.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{Event, Options, Recording, Walk};
///
/// // One PDPT (0x2000) with a 1 GiB page, linked at both ends of the space; the second link forbids writes.
/// let mut memory = vec![0; 0x3000];
/// for (at, raw) in [(0x1000, 0x2003_u64), (0x1ff8, 0x2001), (0x2000, 0x83)] {
///     memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
/// }
///
/// let format = FourLevel::default();
/// let recording = Recording::new(format, Walk::new(format, &memory, &[0x1000], Options::default()))?;
/// let pages = recording.expand(0).map(|event| match event {
///     Event::Leaf(leaf) => (leaf.va, leaf.rights.contains(pt_x86::Rights::WRITE)),
///     other => panic!("{other:?}"),
/// });
/// assert_eq!(pages.collect::<Vec<_>>(), [(0, true), (0xffff_ff80_0000_0000, false)]);
/// # Ok::<(), pt_core::LimitReached>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recording<F: Format> {
    format: F,
    events: Vec<Event<F::Rights>>,
    /// Per space: its events.
    spaces: Vec<Range<usize>>,
    /// Per table number: the events below the table.
    below: Vec<Range<usize>>,
    /// Per table number: whether anything but tables hangs below it, on any path.
    fruitful: Vec<bool>,
}

impl<F: Format> Recording<F> {
    /// Records a walk of `format`: all of its events, in order. (What is made of others has no meaning.)
    ///
    /// # Errors
    ///
    /// [`LimitReached`] if that is how the walk ended.
    pub fn new(
        format: F,
        walk: impl IntoIterator<Item = Result<Event<F::Rights>, LimitReached>>,
    ) -> Result<Self, LimitReached> {
        let mut recording =
            Self { format, events: Vec::new(), spaces: Vec::new(), below: Vec::new(), fruitful: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        for event in walk {
            recording.push(event?, &mut open);
        }
        let end = recording.events.len();
        for table in open {
            recording.below[table].end = end;
        }
        Ok(recording)
    }

    fn push(&mut self, event: Event<F::Rights>, open: &mut Vec<usize>) {
        let here = self.events.len();
        let above = match &event {
            Event::Table(table) => table.level.depth::<F>(),
            Event::Alias(alias) => alias.level.depth::<F>(),
            Event::Leaf(leaf) => leaf.level.depth::<F>() + 1,
            Event::Absent(absent) => absent.level.depth::<F>() + 1,
            Event::Fault(fault) => fault.tables_above::<F>(),
        };
        while open.len() > above {
            if let Some(table) = open.pop() {
                self.below[table].end = here;
            }
        }
        let fruitful = match &event {
            Event::Table(_) => {
                open.push(self.below.len());
                // Its end is known when it is closed.
                self.below.push(here + 1..here);
                self.fruitful.push(false);
                false
            }
            Event::Alias(alias) => self.fruitful.get(alias.table.index()).is_some_and(|&fruitful| fruitful),
            Event::Leaf(_) | Event::Absent(_) | Event::Fault(_) => true,
        };
        if fruitful {
            // Whoever is open above a fruitful table is so already.
            for table in open.iter().rev() {
                if core::mem::replace(&mut self.fruitful[*table], true) {
                    break;
                }
            }
        }
        // Each space begins with an event of its root, so that they come one by one.
        let space = self.spaces.len().min(event.space() as usize);
        if space == self.spaces.len() {
            self.spaces.push(here..here);
        }
        self.spaces[space].end = here + 1;
        self.events.push(event);
    }

    /// The events of all spaces, as the walk gave them.
    pub fn events(&self) -> &[Event<F::Rights>] {
        &self.events
    }

    /// How many spaces there are.
    pub fn spaces(&self) -> usize {
        self.spaces.len()
    }

    /// How many tables were introduced.
    pub fn tables(&self) -> usize {
        self.below.len()
    }

    /// The events of one space; none where there is no such space.
    pub fn space(&self, space: Space) -> &[Event<F::Rights>] {
        self.spaces.get(space as usize).and_then(|range| self.events.get(range.clone())).unwrap_or_default()
    }

    /// The events below a table, as its owner met them; none where there is no such table.
    pub fn below(&self, table: TableId) -> &[Event<F::Rights>] {
        self.below.get(table.index()).and_then(|range| self.events.get(range.clone())).unwrap_or_default()
    }

    /// Everything that one space maps, in ascending order, aliases followed as they are reached: its own events, with
    /// each alias replaced by what hangs below it, at the address and with the rights of this path.
    ///
    /// A few shared tables can hold billions of paths, which is why this is lazy. Aliases with nothing below are skipped:
    /// no replay is in vain.
    pub fn expand(&self, space: Space) -> Expand<'_, F> {
        let first = Replay {
            events: self.space(space).iter(),
            moved: 0,
            rights: [self.format.unrestricted(); DEPTHS],
        };
        let mut replays: [Option<Replay<'_, F>>; DEPTHS] = Default::default();
        replays[0] = Some(first);
        Expand { recording: self, space, replays, open: 1 }
    }
}

/// How many replays can be open: the space's own events, and a table's at every level.
const DEPTHS: usize = MAX_LEVELS + 1;

/// A stretch of events, and how this path differs from its owner's.
#[derive(Clone, Debug)]
struct Replay<'a, F: Format> {
    events: core::slice::Iter<'a, Event<F::Rights>>,
    /// What to add to its owner's addresses.
    moved: u64,
    /// The rights of this path by depth: of the links to the tables at that depth.
    rights: [F::Rights; DEPTHS],
}

/// What one space maps, aliases expanded: an iterator made by [`Recording::expand`].
///
/// It gives [`Event::Leaf`], [`Event::Absent`] and [`Event::Fault`] as they stand on this space's paths.
#[derive(Clone, Debug)]
pub struct Expand<'a, F: Format> {
    recording: &'a Recording<F>,
    space: Space,
    replays: [Option<Replay<'a, F>>; DEPTHS],
    open: usize,
}

impl<F: Format> Iterator for Expand<'_, F> {
    type Item = Event<F::Rights>;

    fn next(&mut self) -> Option<Self::Item> {
        let format = &self.recording.format;
        loop {
            let replay = self.replays.get_mut(self.open.checked_sub(1)?)?.as_mut()?;
            let Some(event) = replay.events.next() else {
                self.open -= 1;
                continue;
            };
            let moved = |va: u64| F::canonical(va.wrapping_add(replay.moved) & F::VA_MASK);
            // The rights of the table that holds the event's entry; of nothing, for a root.
            let held_at = |depth: usize| replay.rights[depth];
            match *event {
                Event::Table(table) => {
                    let depth = table.level.depth::<F>();
                    if let Some(above) = depth.checked_sub(1) {
                        let entry_level = crate::Level::at_depth::<F>(above)?;
                        replay.rights[depth] = format.restrict(held_at(above), entry_level, table.link.raw);
                    }
                }
                Event::Leaf(leaf) => {
                    let rights = format.restrict(held_at(leaf.level.depth::<F>()), leaf.level, leaf.raw);
                    return Some(Event::Leaf(Leaf { space: self.space, va: moved(leaf.va), rights, ..leaf }));
                }
                Event::Absent(absent) => {
                    let va = moved(absent.va);
                    return Some(Event::Absent(crate::Absent { space: self.space, va, ..absent }));
                }
                Event::Fault(fault) => {
                    let va = moved(fault.va);
                    return Some(Event::Fault(crate::Fault { space: self.space, va, ..fault }));
                }
                Event::Alias(alias)
                    if !self
                        .recording
                        .fruitful
                        .get(alias.table.index())
                        .is_some_and(|&fruitful| fruitful) => {}
                Event::Alias(alias) => {
                    let depth = alias.level.depth::<F>();
                    let mut rights = replay.rights;
                    if let Some(above) = depth.checked_sub(1) {
                        let entry_level = crate::Level::at_depth::<F>(above)?;
                        rights[depth] = format.restrict(held_at(above), entry_level, alias.link.raw);
                    }
                    let moved = moved(alias.our_va).wrapping_sub(alias.their_va);
                    let events = self.recording.below(alias.table).iter();
                    *self.replays.get_mut(self.open)? = Some(Replay { events, moved, rights });
                    self.open += 1;
                }
            }
        }
    }
}

impl<F: Format> FusedIterator for Expand<'_, F> {}
