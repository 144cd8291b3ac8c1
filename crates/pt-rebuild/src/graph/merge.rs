//! From visits to nodes: tables that overlap in memory are one.

use alloc::vec;
use alloc::vec::Vec;

use pt_core::Format;

use super::record::Recorded;
use super::{GraphError, Node, NodeId, raw_entry, store_entry};

/// The nodes in the order of their first visits; and where each visit's table is, with the offset in bytes.
pub(super) type Merged = (Vec<Node>, Vec<(NodeId, u64)>);

/// Merges visits of one place.
pub(super) fn merge<F: Format>(mut tables: Vec<Recorded>) -> Result<Merged, GraphError> {
    let mut by_address: Vec<usize> = (0..tables.len()).collect();
    by_address.sort_by_key(|&table| tables[table].address);

    // Per table: the first address of the stretch that it is part of; and per stretch, its length.
    let mut starts = vec![(0, 0); tables.len()];
    let overlaps = |stretch: &(u64, u64), table: &Recorded| table.address - stretch.0 < stretch.1;
    let mut stretch = (0, 0);
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for &table in &by_address {
        let recorded = &tables[table];
        if stretches.is_empty() || !overlaps(&stretch, recorded) {
            stretches.push((recorded.address, 0));
        }
        let end = recorded.address - stretches[stretches.len() - 1].0 + recorded.bytes.len() as u64;
        if let Some(open) = stretches.last_mut() {
            open.1 = open.1.max(end);
            stretch = *open;
        }
        starts[table].0 = stretches.len() - 1;
    }

    let mut numbers: Vec<Option<NodeId>> = vec![None; stretches.len()];
    let mut nodes: Vec<Node> = Vec::with_capacity(stretches.len());
    for (table, recorded) in tables.iter_mut().enumerate() {
        let (start, len) = stretches[starts[table].0];
        let bytes = core::mem::take(&mut recorded.bytes);
        let offset = recorded.address - start;
        recorded.visit.shift((offset / F::ENTRY_BYTES as u64) as usize);
        let number = *numbers[starts[table].0].get_or_insert(nodes.len() as NodeId);
        starts[table] = (number as usize, offset);
        if number as usize == nodes.len() {
            let bytes = if bytes.len() as u64 == len { bytes } else { padded(&bytes, offset, len) };
            nodes.push(Node { old: Some(start), bytes, visits: Vec::new() });
        } else {
            overlay::<F>(&mut nodes[number as usize], &recorded.visit, &bytes)?;
        }
    }

    let place: Vec<(NodeId, u64)> = starts.iter().map(|&(node, offset)| (node as NodeId, offset)).collect();
    for (recorded, &(node, _)) in tables.into_iter().zip(&place) {
        let mut visit = recorded.visit;
        for (_, to) in &mut visit.links {
            *to = place[*to as usize].0;
        }
        nodes[node as usize].visits.push(visit);
    }
    Ok((nodes, place))
}

fn padded(bytes: &[u8], offset: u64, len: u64) -> Vec<u8> {
    let mut all = vec![0; len as usize];
    all[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
    all
}

/// Adds what one more visit read.
fn overlay<F: Format>(node: &mut Node, visit: &super::Visit, bytes: &[u8]) -> Result<(), GraphError> {
    for index in visit.seen.clone() {
        let (raw, other) = (raw_entry::<F>(bytes, index - visit.base), node.raw::<F>(index));
        if raw != 0 && other != 0 && raw != other {
            return Err(GraphError::Changed { entry: node.entry::<F>(index), raw, other });
        }
        if raw != 0 {
            store_entry::<F>(&mut node.bytes, index, raw);
        }
    }
    Ok(())
}

impl super::Visit {
    /// Counts entries from the start of the node instead of from that of the table.
    fn shift(&mut self, by: usize) {
        self.base = by;
        self.seen = self.seen.start + by..self.seen.end + by;
        let links = self.links.iter_mut().map(|(index, _)| index);
        links.chain(self.faults.iter_mut().map(|(index, _)| index)).for_each(|index| *index += by);
    }
}
