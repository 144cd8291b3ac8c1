//! From old entries to new ones: each reading of each entry.

use alloc::vec::Vec;

use hashbrown::HashMap;
use pt_core::raw::LinkRights;
use pt_core::{Encode, Entry, Fault, Geometry, Level};

use crate::frames::{FrameMap, Span};
use crate::graph::{Graph, Node, NodeId, Visit, store_entry};
use crate::{Becomes, Faults, PlanError};

/// What takes the place of an entry, read at one level, whose page changes its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Override {
    pub(crate) level: Level,
    pub(crate) by: Replacement,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Replacement {
    /// A link to the table that splits its page.
    Link(NodeId),
    /// The large page that its table has become.
    Page(u64),
}

/// Entries that are overridden, by node and number.
pub(crate) type Overrides = HashMap<(NodeId, usize), Override>;

/// What is known of the new spaces.
pub(crate) struct Encoder<'a, F> {
    pub(crate) graph: &'a Graph<F>,
    pub(crate) frames: &'a FrameMap,
    pub(crate) overrides: &'a Overrides,
    pub(crate) faults: Faults,
    /// Where nodes go, as far as that is decided.
    pub(crate) addresses: &'a [Option<u64>],
}

/// What one reading makes of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Raw(u64),
    Link(NodeId),
}

/// Takes away the right to write.
const READ_ONLY: LinkRights = LinkRights { writable: false, executable: true, user_accessible: true };

impl<F: Encode> Encoder<'_, F> {
    /// Calls `each` with every entry of a visit and what becomes of it.
    pub(crate) fn visit(
        &self,
        id: NodeId,
        visit: &Visit,
        mut each: impl FnMut(usize, u64, Value),
    ) -> Result<(), PlanError> {
        let node = &self.graph.nodes[id as usize];
        let (mut links, mut faults) = (visit.links.iter().peekable(), visit.faults.iter().peekable());
        let mut hint = 0;
        for index in visit.seen.clone() {
            let raw = node.raw::<F>(index);
            if raw == 0 {
                continue;
            }
            let value = if let Some(&(_, to)) = links.next_if(|(at, _)| *at == index) {
                self.link(node, visit.level, index, raw, (id, to))?
            } else if let Some((_, fault)) = faults.next_if(|(at, _)| *at == index) {
                self.fault(fault, raw)?
            } else {
                self.page(id, node, visit.level, index, raw, &mut hint)?
            };
            each(index, raw, value);
        }
        Ok(())
    }

    fn link(
        &self,
        node: &Node,
        level: Level,
        index: usize,
        raw: u64,
        (id, to): (NodeId, NodeId),
    ) -> Result<Value, PlanError> {
        if let Some(Replacement::Page(raw)) = self.replacement(id, index, level) {
            return Ok(Value::Raw(raw));
        }
        match self.addresses[to as usize] {
            None => Ok(Value::Link(to)),
            Some(to) => self.relocated(node, level, index, raw, to).map(Value::Raw),
        }
    }

    fn fault(&self, fault: &Fault, raw: u64) -> Result<Value, PlanError> {
        match self.faults {
            Faults::Refuse => Err(PlanError::Fault(*fault)),
            Faults::Clear => Ok(Value::Raw(0)),
            Faults::Keep => Ok(Value::Raw(raw)),
        }
    }

    fn page(
        &self,
        id: NodeId,
        node: &Node,
        level: Level,
        index: usize,
        raw: u64,
        hint: &mut usize,
    ) -> Result<Value, PlanError> {
        let pa = match self.graph.format.decode(level, raw) {
            Entry::Absent => return Ok(Value::Raw(raw)),
            Entry::Leaf(pa) => pa,
            // Another visit met a link here, or a fault: the guest changed the entry in between.
            Entry::Table(_) | Entry::Malformed { .. } => {
                let other = (level, Becomes::Raw(raw));
                return Err(PlanError::Conflict { entry: node.entry::<F>(index), raw, one: other, other });
            }
        };
        if let Some(Replacement::Link(to)) = self.replacement(id, index, level) {
            return self.split_link(node, level, index, raw, to);
        }
        match self.frames.span(pa, pa.saturating_add(F::entry_span(level) - 1), hint) {
            Span::Dropped => Ok(Value::Raw(0)),
            Span::Torn => Err(PlanError::Torn { entry: node.entry::<F>(index), level, raw }),
            Span::Whole { to, shared } => {
                let moved = self.relocated(node, level, index, raw, to)?;
                let narrowed =
                    if shared { self.graph.format.narrow(level, moved, READ_ONLY) } else { Some(moved) };
                let entry = node.entry::<F>(index);
                narrowed.map(Value::Raw).ok_or(PlanError::Unrestrictable { entry, level, raw })
            }
        }
    }

    /// A link to the table that splits a page: it restricts nothing, the pieces do.
    fn split_link(
        &self,
        node: &Node,
        level: Level,
        index: usize,
        raw: u64,
        to: NodeId,
    ) -> Result<Value, PlanError> {
        let Some(to) = self.addresses[to as usize] else { return Ok(Value::Link(to)) };
        let link = self.graph.format.link(level, to);
        let unencodable = PlanError::Unencodable { entry: node.entry::<F>(index), level, raw, to };
        link.map(Value::Raw).ok_or(unencodable)
    }

    fn replacement(&self, id: NodeId, index: usize, level: Level) -> Option<Replacement> {
        let by = self.overrides.get(&(id, index)).filter(|by| by.level == level)?;
        Some(by.by)
    }

    fn relocated(
        &self,
        node: &Node,
        level: Level,
        index: usize,
        raw: u64,
        to: u64,
    ) -> Result<u64, PlanError> {
        let unencodable = || PlanError::Unencodable { entry: node.entry::<F>(index), level, raw, to };
        self.graph.format.relocate(level, raw, to).ok_or_else(unencodable)
    }

    /// Whether all readings of a node agree.
    pub(crate) fn check(&self, id: NodeId) -> Result<(), PlanError> {
        let node = &self.graph.nodes[id as usize];
        if let [visit] = &node.visits[..] {
            return self.visit(id, visit, |_, _, _| {});
        }
        self.readings(id).map(|_| ())
    }

    /// The new bytes of a node, once all addresses are decided.
    pub(crate) fn bytes(&self, id: NodeId) -> Result<Vec<u8>, PlanError> {
        let node = &self.graph.nodes[id as usize];
        let mut bytes = alloc::vec![0; node.bytes.len()];
        let mut store = |index, value| {
            if let Value::Raw(raw) = value {
                store_entry::<F>(&mut bytes, index, raw);
            }
        };
        if let [visit] = &node.visits[..] {
            self.visit(id, visit, |index, _, value| store(index, value))?;
        } else {
            self.readings(id)?.into_iter().for_each(|(index, (_, value))| store(index, value));
        }
        Ok(bytes)
    }

    /// What all visits of a node make of its entries together.
    fn readings(&self, id: NodeId) -> Result<HashMap<usize, (Level, Value)>, PlanError> {
        let node = &self.graph.nodes[id as usize];
        let mut readings: HashMap<usize, (Level, Value)> = HashMap::new();
        let mut conflict = None;
        for visit in &node.visits {
            self.visit(id, visit, |index, raw, value| {
                let &mut (level, known) = readings.entry(index).or_insert((visit.level, value));
                if known != value && conflict.is_none() {
                    let (one, other) = ((level, self.becomes(known)), (visit.level, self.becomes(value)));
                    let entry = node.entry::<F>(index);
                    conflict = Some(PlanError::Conflict { entry, raw, one, other });
                }
            })?;
        }
        conflict.map_or(Ok(readings), Err)
    }

    fn becomes(&self, value: Value) -> Becomes {
        match value {
            Value::Raw(raw) => Becomes::Raw(raw),
            Value::Link(node) => Becomes::Link { old: self.graph.nodes[node as usize].old },
        }
    }
}
