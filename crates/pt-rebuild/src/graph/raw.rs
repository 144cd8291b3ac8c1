//! From a raw result, which tells mappings and references but no tables: tables are made where they must have been.
//!
//! ```text
//! ThisSpace        a page in the table of its depth, below links that restrict nothing
//! AnotherSpace,    a link to the owner's table of that depth: the same node, made with what leads to it if it is empty
//! SameSpace
//! Fault            the entry, in the table of its level
//! ```
//!
//! What the shape cannot carry is the links above pages. So a page gets no more than its effective rights, and a link to
//! a shared table no more than those of its path: the new spaces never grant more than the old ones did, and less only
//! where an owner's own link withheld what another path to the same table grants.

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;
use pt_core::raw::{Mapping, MappingKind, RawFormat, SpaceAwareMapping, SpaceId, SpaceReferenceMapping};
use pt_core::{Cause, Entry, Fault, Geometry, Level};

use super::{Frames, Graph, GraphError, Node, NodeId, Root, Visit, raw_entry, store_entry};

impl<F: RawFormat> Graph<F> {
    /// Takes a result of `walk_va_spaces`, whose `F` it was bound to.
    ///
    /// A space that is given twice is what it was the first time. Where tables were is not known: pages that map them
    /// show the old bytes, and non-zero absent entries are not there.
    ///
    /// ```
    /// use pt_amd64::FourLevel;
    /// use pt_core::raw::{BasicMapping, Mapping, MappingKind, SpaceAwareMapping};
    /// use pt_rebuild::Graph;
    ///
    /// let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: false });
    /// let page = SpaceAwareMapping::ThisSpace(Mapping::new(0x9000, 0x40_0000, 0x1000, kind));
    /// let graph = Graph::from_raw(FourLevel::default(), &[(0x1000, vec![page])])?;
    /// assert_eq!(graph.tables(), 4);
    /// # Ok::<(), pt_rebuild::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`GraphError::Misplaced`]: something that no table of the format can hold there, or two things in one place;
    /// - [`GraphError::NoSuchSpace`]: a reference to a space that does not come before it.
    pub fn from_raw(format: F, spaces: &[(SpaceId, Vec<SpaceAwareMapping>)]) -> Result<Self, GraphError> {
        let graph = Self { format, nodes: Vec::new(), roots: Vec::new(), frames: Vec::new() };
        let mut builder = Builder { graph, tables: HashMap::new(), spaces: HashMap::new() };
        for (id, mappings) in spaces {
            if let Some(&root) = builder.spaces.get(id) {
                builder.graph.roots.push(Root { register: *id, to: Ok((root, 0)) });
                continue;
            }
            let root = builder.make(*id, F::ROOT, 0);
            builder.spaces.insert(*id, root);
            builder.graph.roots.push(Root { register: *id, to: Ok((root, 0)) });
            mappings.iter().try_for_each(|mapping| builder.take(*id, mapping))?;
        }
        for visit in builder.graph.nodes.iter_mut().flat_map(|node| &mut node.visits) {
            visit.links.sort_unstable_by_key(|&(index, _)| index);
            visit.faults.sort_unstable_by_key(|&(index, _)| index);
        }
        Ok(builder.graph)
    }
}

struct Builder<F> {
    graph: Graph<F>,
    /// By space, level and first virtual address.
    tables: HashMap<(SpaceId, Level, u64), NodeId>,
    /// Roots of spaces so far.
    spaces: HashMap<SpaceId, NodeId>,
}

impl<F: RawFormat> Builder<F> {
    fn take(&mut self, space: SpaceId, mapping: &SpaceAwareMapping) -> Result<(), GraphError> {
        match mapping {
            SpaceAwareMapping::ThisSpace(page) => self.page(space, page),
            SpaceAwareMapping::AnotherSpace(reference) | SpaceAwareMapping::SameSpace(reference) => {
                self.reference(space, reference)
            }
            SpaceAwareMapping::Fault(fault) => self.fault(space, fault),
        }
    }

    fn page(&mut self, space: SpaceId, page: &Mapping) -> Result<(), GraphError> {
        if page.kind == MappingKind::Unmapped {
            return Ok(());
        }
        let (level, format) = (page.level, &self.graph.format);
        let raw =
            page.attributes(format).and_then(|attributes| format.leaf(level, page.phys_base, attributes));
        let one =
            level <= F::ROOT && page.len == F::entry_span(level) && page.virt_base.is_multiple_of(page.len);
        let misplaced = GraphError::Misplaced { space, va: page.virt_base, what: "this page" };
        let raw = raw.filter(|_| one).ok_or(misplaced)?;
        self.store(space, level, page.virt_base, raw, "this page")?;
        self.graph.frames.push(Frames { first: page.phys_base, size: page.len, pages: 1 });
        Ok(())
    }

    fn reference(&mut self, space: SpaceId, reference: &SpaceReferenceMapping) -> Result<(), GraphError> {
        let va = reference.our_va;
        let misplaced = GraphError::Misplaced { space, va, what: "this reference" };
        let level = reference.depth.checked_sub(1).and_then(|above| Level::at_depth::<F>(above));
        let (level, below) = level.and_then(|level| Some((level, level.below()?))).ok_or(misplaced)?;
        if !self.spaces.contains_key(&reference.space) {
            return Err(GraphError::NoSuchSpace { space, va, owner: reference.space });
        }
        let to = self.table(reference.space, below, reference.their_va)?;
        let format = &self.graph.format;
        let link = format
            .relocate(level, reference.entry, 0)
            .and_then(|raw| reference.rights.narrow(format, level, raw));
        let raw = link.filter(|&raw| format.decode(level, raw) == Entry::Table(0)).ok_or(misplaced)?;
        let (node, index) = self.store(space, level, va, raw, "this reference")?;
        self.graph.nodes[node as usize].visits[0].links.push((index, to));
        Ok(())
    }

    fn fault(&mut self, space: SpaceId, fault: &Fault) -> Result<(), GraphError> {
        let (level, raw) = match fault.cause {
            Cause::Malformed { level, raw, .. } => (level, raw),
            Cause::Unreadable { level, link, .. } => match Level::new(level.number() + 1) {
                Some(above) if link.entry.is_some() => (above, link.raw),
                _ => {
                    let root = self.spaces[&space];
                    self.graph.roots.iter_mut().filter(|known| known.to == Ok((root, 0))).for_each(|known| {
                        known.to = Err(*fault);
                    });
                    return Ok(());
                }
            },
            _ => return Err(GraphError::Misplaced { space, va: fault.va, what: "this fault" }),
        };
        let (node, index) = self.store(space, level, fault.va, raw, "this fault")?;
        self.graph.nodes[node as usize].visits[0].faults.push((index, *fault));
        Ok(())
    }

    /// Stores the entry that `va` has at `level`. Returns the node and the entry's number.
    fn store(
        &mut self,
        space: SpaceId,
        level: Level,
        va: u64,
        raw: u64,
        what: &'static str,
    ) -> Result<(NodeId, usize), GraphError> {
        let misplaced = GraphError::Misplaced { space, va, what };
        if !F::is_canonical(va) || level > F::ROOT {
            return Err(misplaced);
        }
        let table = self.table(space, level, va)?;
        let node = &mut self.graph.nodes[table as usize];
        let index = F::index(level, va);
        if raw_entry::<F>(&node.bytes, index) != 0 {
            return Err(misplaced);
        }
        store_entry::<F>(&mut node.bytes, index, raw);
        node.visits[0].see(index);
        Ok((table, index))
    }

    /// The table at `level` that `va` has in a space, made with all that leads to it where it is not there yet.
    fn table(&mut self, space: SpaceId, level: Level, va: u64) -> Result<NodeId, GraphError> {
        let base = va & F::VA_MASK & !F::table_span_last(level);
        if let Some(&table) = self.tables.get(&(space, level, base)) {
            return Ok(table);
        }
        let misplaced = GraphError::Misplaced { space, va, what: "a table" };
        let above = Level::new(level.number() + 1).filter(|&above| above <= F::ROOT).ok_or(misplaced)?;
        let link = self.graph.format.link(above, 0).ok_or(misplaced)?;
        let (holder, index) = self.store(space, above, F::canonical(base), link, "a table")?;
        let table = self.make(space, level, base);
        self.graph.nodes[holder as usize].visits[0].links.push((index, table));
        Ok(table)
    }

    fn make(&mut self, space: SpaceId, level: Level, base: u64) -> NodeId {
        let id = self.graph.nodes.len() as NodeId;
        let visits = vec![Visit::new(level, 0)];
        self.graph.nodes.push(Node { old: None, bytes: vec![0; F::table_bytes(level)], visits });
        self.tables.insert((space, level, base), id);
        id
    }
}
