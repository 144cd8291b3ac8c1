//! Pages that change their size: large ones in pieces, small ones joined.

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashSet;
use pt_core::{Encode, Entry, Geometry, Level};

use crate::encode::{Encoder, Override, Overrides, Replacement, Value};
use crate::frames::{FrameMap, Span};
use crate::graph::{Graph, Node, NodeId, Visit, store_entry};
use crate::{Faults, PlanError};

/// Gives every large page that is to be split (all, or those whose frames do not stay together) a table of its pieces.
pub(crate) fn split<F: Encode>(
    graph: &mut Graph<F>,
    frames: &FrameMap,
    all: bool,
    limit: u64,
) -> Result<Overrides, PlanError> {
    let mut overrides = Overrides::default();
    let mut id = 0;
    // Tables that are made here come behind those that are there, and may be split in turn.
    while id < graph.nodes.len() {
        for visit in 0..graph.nodes[id].visits.len() {
            let pages = large_pages(graph, id, visit, frames, all);
            for (index, level, pa, raw) in pages {
                if graph.nodes.len() as u64 >= limit {
                    return Err(PlanError::Limit { limit });
                }
                let Some(node) = pieces(&graph.format, level, pa, raw) else {
                    let entry = graph.nodes[id].entry::<F>(index);
                    return Err(PlanError::Torn { entry, level, raw });
                };
                // Another visit that met the same page has the same table; whether that suits it is checked later.
                let table = graph.nodes.len() as NodeId;
                if let hashbrown::hash_map::Entry::Vacant(place) = overrides.entry((id as NodeId, index)) {
                    place.insert(Override { level, by: Replacement::Link(table) });
                    graph.nodes.push(node);
                }
            }
        }
        id += 1;
    }
    Ok(overrides)
}

/// The large pages of a visit that are to be split: number, level, address and entry.
fn large_pages<F: Encode>(
    graph: &Graph<F>,
    id: usize,
    visit: usize,
    frames: &FrameMap,
    all: bool,
) -> Vec<(usize, Level, u64, u64)> {
    let node = &graph.nodes[id];
    let visit = &node.visits[visit];
    if visit.level == Level::LEAF {
        return Vec::new();
    }
    let (mut pages, mut hint) = (Vec::new(), 0);
    for index in visit.seen.clone() {
        let raw = node.raw::<F>(index);
        let Entry::Leaf(pa) = graph.format.decode(visit.level, raw) else { continue };
        let last = pa.saturating_add(F::entry_span(visit.level) - 1);
        if all || frames.span(pa, last, &mut hint) == Span::Torn {
            pages.push((index, visit.level, pa, raw));
        }
    }
    pages
}

/// The table that stands for a large page: its pieces, where they were.
fn pieces<F: Encode>(format: &F, level: Level, pa: u64, raw: u64) -> Option<Node> {
    let below = level.below()?;
    let attributes = format.attributes(level, raw);
    let mut bytes = vec![0; F::table_bytes(below)];
    for index in 0..F::entries(below) {
        let piece = format.leaf(below, pa.checked_add(index as u64 * F::entry_span(below))?, attributes)?;
        store_entry::<F>(&mut bytes, index, piece);
    }
    let visit = Visit { seen: 0..F::entries(below), ..Visit::new(below, 0) };
    Some(Node { old: None, bytes, visits: vec![visit] })
}

/// One reading of a link.
#[derive(Clone, Copy)]
struct Way {
    node: NodeId,
    index: usize,
    level: Level,
    raw: u64,
}

/// Makes tables whose pages follow one another large pages, from the smallest up. Returns the nodes that are no more.
/// Tables at `addresses` are live in the guest's sight, and stay.
pub(crate) fn promote<F: Encode>(
    graph: &Graph<F>,
    frames: &FrameMap,
    overrides: &mut Overrides,
    addresses: &[Option<u64>],
    faults: Faults,
    shared: bool,
) -> HashSet<NodeId> {
    let ways = ways(graph);
    let mut gone = HashSet::new();
    for level in 1..F::LEVELS {
        for (id, ways) in ways.iter().enumerate() {
            let node = &graph.nodes[id];
            let [visit] = &node.visits[..] else { continue };
            let id = id as NodeId;
            let few = ways.len() == 1 || (shared && !ways.is_empty());
            // A table that is read at several levels has entries that are, too: none of them can become a page at one.
            let plain = ways.iter().all(|way| graph.nodes[way.node as usize].visits.len() == 1);
            if visit.level.number() != level || !few || !plain || addresses[id as usize].is_some() {
                continue;
            }
            let encoder = Encoder { graph, frames, overrides, faults, addresses };
            let Some((pa, attributes)) = alike(&encoder, id, visit) else { continue };
            let pages: Option<Vec<_>> =
                ways.iter().map(|way| large(&graph.format, way, pa, attributes)).collect();
            let Some(pages) = pages else { continue };
            for (way, page) in ways.iter().zip(pages) {
                let by = Override { level: way.level, by: Replacement::Page(page) };
                overrides.insert((way.node, way.index), by);
            }
            gone.insert(id);
        }
    }
    gone
}

/// Per node: the links that lead to it. (None leads to a root that is nothing else; those have no place that a page
/// could take.)
fn ways<F: Encode>(graph: &Graph<F>) -> Vec<Vec<Way>> {
    let mut ways: Vec<Vec<Way>> = vec![Vec::new(); graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate() {
        for visit in &node.visits {
            for &(index, to) in &visit.links {
                let way = Way { node: id as NodeId, index, level: visit.level, raw: node.raw::<F>(index) };
                ways[to as usize].push(way);
            }
        }
    }
    ways
}

/// The first new address and the attributes of a table whose entries are pages that follow one another and are alike,
/// accessed and dirty bits joined.
fn alike<F: Encode>(encoder: &Encoder<'_, F>, id: NodeId, visit: &Visit) -> Option<(u64, u64)> {
    if !visit.is_whole::<F>() {
        return None;
    }
    let (format, level) = (&encoder.graph.format, visit.level);
    let mut joined: Option<(u64, u64)> = None;
    let (mut next, mut met, mut fits) = (0, 0, true);
    encoder
        .visit(id, visit, |_, _, value| {
            met += 1;
            let page = match value {
                Value::Raw(raw) => Some((format.decode(level, raw), format.attributes(level, raw))),
                Value::Link(_) => None,
            };
            let Some((Entry::Leaf(pa), attributes)) = page.filter(|_| fits) else {
                fits = false;
                return;
            };
            joined = match joined {
                None => Some((pa, attributes)),
                Some((first, all)) => {
                    fits = pa == next && (all ^ attributes) & !F::ACCESSED_DIRTY == 0;
                    Some((first, all | attributes & F::ACCESSED_DIRTY))
                }
            };
            next = pa.wrapping_add(F::entry_span(level));
        })
        .ok()?;
    joined.filter(|_| fits && met == F::entries(level))
}

/// The large page in the place of a link: with the attributes of its pages, and no more rights than the link leaves.
fn large<F: Encode>(format: &F, way: &Way, pa: u64, attributes: u64) -> Option<u64> {
    let raw = format.leaf(way.level, pa, attributes)?;
    let rights = format.restrict(format.unrestricted(), way.level, way.raw);
    // What a large page has no place for was left out.
    let same = format.attributes(way.level, raw) == attributes;
    format.narrow(way.level, raw, rights).filter(|_| same)
}
