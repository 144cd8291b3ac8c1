//! The plan: everything is decided, nothing is written.
//!
//! ```text
//! Graph ──▶ extents ──▶ placement ──▶ frame map ──▶ pages split or joined ──▶ every entry checked ──▶ Plan
//! ```

use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use hashbrown::HashSet;
use pt_core::{Encode, Geometry, Level, TableRequest};

use crate::encode::{Encoder, Overrides};
use crate::extent::{LiveTable, extents};
use crate::frames::FrameMap;
use crate::graph::{Graph, NodeId};
use crate::layout::{Claims, frame_map};
use crate::{Faults, Pages, Placement, PlanError, RebuildOptions, TableFrames, pages};

/// What a rebuild needs, decided before anything is written.
#[derive(Debug)]
pub struct Plan<F> {
    pub(crate) graph: Graph<F>,
    pub(crate) options: RebuildOptions,
    pub(crate) frames: FrameMap,
    pub(crate) overrides: Overrides,
    /// Per node: where it goes, for tables that live in frames.
    pub(crate) addresses: Vec<Option<u64>>,
    /// Nodes that are no more: tables that have become pages.
    pub(crate) gone: HashSet<NodeId>,
    /// How many of the nodes there were before pages were split.
    pub(crate) old_tables: usize,
    pub(crate) claims: Claims,
}

impl<F: Encode> Plan<F> {
    /// Decides what becomes of everything.
    ///
    /// # Errors
    ///
    /// [`PlanError`]: see its variants. [`OutOfTables`](PlanError::OutOfTables) and [`BadTable`](PlanError::BadTable) do
    /// not occur here.
    pub fn new(
        mut graph: Graph<F>,
        options: RebuildOptions,
        mut placement: impl Placement,
    ) -> Result<Self, PlanError> {
        for root in &graph.roots {
            root.to.map_err(PlanError::Fault)?;
        }
        let live = match options.table_frames {
            TableFrames::Live => live_tables(&graph),
            TableFrames::Data => Vec::new(),
        };
        let smallest = F::entry_span(Level::LEAF);
        let grain = if options.pages == Pages::Split { Some(smallest) } else { placement.pieces() };
        let extents = extents(&graph.frames, grain, &live);
        let (frames, mut claims) = frame_map(&extents, &mut placement)?;
        if options.faults == Faults::Keep {
            // One table that is not there can be linked more than once; and where a frame stays, nothing new comes.
            let unused: HashSet<_> = graph.unreadable().map(RangeInclusive::into_inner).collect();
            let unused = unused.into_iter().filter(|&(first, _)| frames.get(first) != Some(first));
            unused.for_each(|(first, last)| claims.add(first, last));
        }
        claims.check()?;

        let old_tables = graph.nodes.len();
        let mut overrides = if grain.is_some() {
            pages::split(&mut graph, &frames, options.pages == Pages::Split, options.limit)?
        } else {
            Overrides::default()
        };
        let mut addresses = vec![None; graph.nodes.len()];
        if options.table_frames == TableFrames::Live {
            for (node, address) in graph.nodes.iter().zip(&mut addresses) {
                *address = node.old.and_then(|old| frames.get(old));
            }
        }
        let gone = match options.pages {
            Pages::Promote { shared } => {
                pages::promote(&graph, &frames, &mut overrides, &addresses, options.faults, shared)
            }
            Pages::Keep | Pages::Split => HashSet::new(),
        };
        let plan = Self { graph, options, frames, overrides, addresses, gone, old_tables, claims };
        if plan.new_tables() as u64 > options.limit {
            return Err(PlanError::Limit { limit: options.limit });
        }
        let encoder = plan.encoder();
        plan.nodes().try_for_each(|id| encoder.check(id))?;
        Ok(plan)
    }

    /// How many tables there were.
    pub fn old_tables(&self) -> usize {
        self.old_tables
    }

    /// How many tables there will be.
    pub fn new_tables(&self) -> usize {
        self.graph.nodes.len() - self.gone.len()
    }

    /// What has to be allocated: one request per table that does not live in a frame, in the order in which they are made.
    pub fn requests(&self) -> impl Iterator<Item = TableRequest> {
        self.to_allocate().map(|id| self.request(id))
    }

    /// How many bytes all new tables have, those that live in frames included.
    pub fn table_bytes(&self) -> u64 {
        self.nodes().map(|id| self.graph.nodes[id as usize].bytes.len() as u64).sum()
    }

    /// Where the frames go.
    pub fn frames(&self) -> &FrameMap {
        &self.frames
    }

    /// The tables that there will be.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.graph.nodes.len() as NodeId).filter(|id| !self.gone.contains(id))
    }

    pub(crate) fn to_allocate(&self) -> impl Iterator<Item = NodeId> {
        self.nodes().filter(|&id| self.addresses[id as usize].is_none())
    }

    pub(crate) fn request(&self, id: NodeId) -> TableRequest {
        self.graph.nodes[id as usize].request(&self.graph.format)
    }

    pub(crate) fn encoder(&self) -> Encoder<'_, F> {
        Encoder {
            graph: &self.graph,
            frames: &self.frames,
            overrides: &self.overrides,
            faults: self.options.faults,
            addresses: &self.addresses,
        }
    }
}

/// The tables, where their places are known.
fn live_tables<F: Encode>(graph: &Graph<F>) -> Vec<LiveTable> {
    let live = graph.nodes.iter().filter_map(|node| {
        let (first, last) = (node.old?, node.last()?);
        Some(LiveTable { first, last, highest: node.request(&graph.format).highest })
    });
    live.collect()
}
