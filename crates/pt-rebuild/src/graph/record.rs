//! From the events of a walk to visits.

use alloc::vec;
use alloc::vec::Vec;

use pt_core::{Cause, Event, Fault, Format, Geometry, Level, LimitReached, Link, TableId};

use super::{Frames, Graph, GraphError, Root, Visit, store_entry};

/// A table as one visit met it. Links are to visits, until these are merged into nodes.
pub(super) struct Recorded {
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) visit: Visit,
}

/// A root: of which visit it is the table.
pub(super) struct RecordedRoot {
    pub(super) register: u64,
    pub(super) to: Result<TableId, Fault>,
}

impl<F: Format> Graph<F> {
    /// Keeps what a walk meets.
    ///
    /// It must be one with [`absent`](pt_core::Options::absent) entries, or these become zero; pages come one by one or
    /// in runs of equal attributes. [`read`](Self::read) does all of that.
    ///
    /// # Errors
    ///
    /// - [`GraphError::Limit`]: the walk ended in that way;
    /// - [`GraphError::Disordered`]: events are missing, or not those of one walk;
    /// - [`GraphError::Changed`]: one entry was read twice and has changed in between.
    pub fn record(
        format: F,
        walk: impl IntoIterator<Item = Result<Event<F::Rights>, LimitReached>>,
    ) -> Result<Self, GraphError> {
        let mut recorder =
            Recorder { format, tables: Vec::new(), open: Vec::new(), roots: Vec::new(), frames: Vec::new() };
        for (index, event) in walk.into_iter().enumerate() {
            recorder.take(&event?).ok_or(GraphError::Disordered { index: index as u64 })?;
        }
        let Recorder { format, tables, roots, frames, .. } = recorder;
        let (nodes, place) = super::merge::merge::<F>(tables)?;
        let roots = roots
            .into_iter()
            .map(|RecordedRoot { register, to }| Root { register, to: to.map(|table| place[table.index()]) });
        Ok(Self { format, nodes, roots: roots.collect(), frames })
    }
}

struct Recorder<F> {
    format: F,
    tables: Vec<Recorded>,
    /// The tables above the next event, the root first.
    open: Vec<usize>,
    roots: Vec<RecordedRoot>,
    frames: Vec<Frames>,
}

impl<F: Format> Recorder<F> {
    /// None where the event cannot come here.
    fn take(&mut self, event: &Event<F::Rights>) -> Option<()> {
        match event {
            Event::Table(table) => {
                (table.id.index() == self.tables.len()).then_some(())?;
                self.link(table.level, table.link, table.id)?;
                self.open.push(self.tables.len());
                let bytes = vec![0; F::table_bytes(table.level)];
                self.tables.push(Recorded {
                    address: table.address,
                    bytes,
                    visit: Visit::new(table.level, 0),
                });
            }
            Event::Alias(alias) => {
                (alias.table.index() < self.tables.len()).then_some(())?;
                self.link(alias.level, alias.link, alias.table)?;
            }
            Event::Leaf(leaf) => {
                self.close_to(leaf.level.depth::<F>() + 1)?;
                let size = F::entry_span(leaf.level);
                self.frames.push(Frames { first: leaf.pa, size, pages: leaf.pages });
                for page in 0..u64::from(leaf.pages) {
                    let entry = leaf.entry.wrapping_add(page * F::ENTRY_BYTES as u64);
                    let raw = match page {
                        0 => leaf.raw,
                        _ => self.format.relocate(leaf.level, leaf.raw, leaf.pa.checked_add(page * size)?)?,
                    };
                    self.meet(entry, raw)?;
                }
            }
            Event::Absent(absent) => {
                self.close_to(absent.level.depth::<F>() + 1)?;
                self.meet(absent.entry, absent.raw)?;
            }
            Event::Fault(fault) => match fault.cause {
                Cause::Malformed { level, entry, raw, .. } => {
                    self.close_to(level.depth::<F>() + 1)?;
                    self.fault(entry, raw, *fault)?;
                }
                Cause::Unreadable { level, link: Link { raw, entry: Some(entry) }, .. } => {
                    self.close_to(level.depth::<F>())?;
                    self.fault(entry, raw, *fault)?;
                }
                Cause::Unreadable { link, .. } => {
                    self.open.clear();
                    self.roots.push(RecordedRoot { register: link.raw, to: Err(*fault) });
                }
                _ => return None,
            },
        }
        Some(())
    }

    /// Leaves as many tables open as an event has above it.
    fn close_to(&mut self, above: usize) -> Option<()> {
        self.open.truncate(above);
        (self.open.len() == above).then_some(())
    }

    fn link(&mut self, level: Level, link: Link, to: TableId) -> Option<()> {
        self.close_to(level.depth::<F>())?;
        match link.entry {
            None => self.roots.push(RecordedRoot { register: link.raw, to: Ok(to) }),
            Some(entry) => {
                let index = self.meet(entry, link.raw)?;
                self.holder()?.visit.links.push((index, to.0));
            }
        }
        Some(())
    }

    fn fault(&mut self, entry: u64, raw: u64, fault: Fault) -> Option<()> {
        let index = self.meet(entry, raw)?;
        self.holder()?.visit.faults.push((index, fault));
        Some(())
    }

    /// The table that holds the event's entry.
    fn holder(&mut self) -> Option<&mut Recorded> {
        self.tables.get_mut(*self.open.last()?)
    }

    /// Stores an entry; returns its index.
    fn meet(&mut self, entry: u64, raw: u64) -> Option<usize> {
        let table = self.holder()?;
        let index = usize::try_from(entry.wrapping_sub(table.address)).ok()? / F::ENTRY_BYTES;
        (index < F::entries(table.visit.level)).then_some(())?;
        table.visit.see(index);
        store_entry::<F>(&mut table.bytes, index, raw);
        Some(index)
    }
}
