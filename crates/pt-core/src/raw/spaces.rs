//! `walk_va_spaces`: the event stream, projected on upstream's result.

use alloc::vec::Vec;

use crate::raw::memory::{Borrowed, RawMemory};
use crate::raw::{
    LinkRights, Mapping, RawFormat, SpaceAwareMapping, SpaceId, SpaceReferenceMapping, TableReadOps, pages_of,
};
use crate::{Event, Geometry, Leaf, Options, RepeatedRoots, Walk};

/// Walks several spaces together, in order of primacy: the first root to reach a table at a depth owns it, and later
/// links to it are references instead of its leaves.
///
/// The result is in root order, and so topologically sorted: every [`AnotherSpace`](SpaceAwareMapping::AnotherSpace)
/// refers to a space before it. Within a space, mappings ascend by virtual address.
///
/// A root given twice is walked again as a space of the same [`SpaceId`]: its links are references at depth 1, its
/// leaves are leaves. Whoever keeps spaces by id keeps the first.
///
/// # Safety
///
/// During the call, [`TableReadOps::read_entry`] can be called on every entry of the roots and of every table that a
/// present entry reached from them links, and nothing writes those tables.
pub unsafe fn walk_va_spaces<F: RawFormat, Op: TableReadOps>(
    format: F,
    op: &Op,
    roots: &[Op::TableAddr],
    address: u64,
    len: u64,
) -> Vec<(SpaceId, Vec<SpaceAwareMapping>)> {
    let ids: Vec<SpaceId> = roots.iter().map(|&root| Op::to_phys(root)).collect();
    // SAFETY: the caller promises what `RawMemory` asks for, for the time of this call.
    let memory = unsafe { RawMemory::<F, Op, _>::new(Borrowed(op)) };
    let range = pages_of::<F>(address, len);
    let options = Options { range, repeated_roots: RepeatedRoots::Read, ..Options::default() };

    let spaces: Vec<(SpaceId, Vec<SpaceAwareMapping>)> = ids.iter().map(|&id| (id, Vec::new())).collect();
    // No limits were set, and the numbers' own (2^32 tables) are past what `ids` and the map of tables can hold.
    Walk::new(format, &memory, &ids, options).fold_stretches(
        spaces,
        |mut spaces, leaves| {
            let space = leaves.space as usize;
            leaves.extend(&mut spaces[space].1, this_space::<F>);
            spaces
        },
        |mut spaces, event| {
            if let Ok(event) = event {
                push::<F>(&event, &ids, &mut spaces[event.space() as usize].1);
            }
            spaces
        },
    )
}

/// Tried, and slower: leaves like their neighbour copied from it (116 instructions a page instead of 103), kinds from a table
/// of 16 (111), an option for each through `Vec::extend`.
#[inline(always)]
fn this_space<F: RawFormat>(leaf: Leaf<F::Rights>) -> SpaceAwareMapping {
    let len = F::entry_span(leaf.level);
    SpaceAwareMapping::ThisSpace(Mapping::of_leaf::<F>(
        leaf.pa,
        leaf.va,
        len,
        (leaf.raw, leaf.level),
        leaf.rights,
    ))
}

/// What stands for an event.
#[inline(never)]
fn push<F: RawFormat>(event: &Event<F::Rights>, ids: &[SpaceId], into: &mut Vec<SpaceAwareMapping>) {
    match event {
        Event::Alias(alias) => {
            let reference = SpaceReferenceMapping {
                depth: alias.level.depth::<F>(),
                space: ids[alias.owner as usize],
                our_va: alias.our_va,
                their_va: alias.their_va,
                entry: alias.link.raw,
                rights: LinkRights::of(alias.rights),
            };
            let within = alias.owner == alias.space;
            let kind = if within { SpaceAwareMapping::SameSpace } else { SpaceAwareMapping::AnotherSpace };
            into.push(kind(reference));
        }
        Event::Fault(fault) => into.push(SpaceAwareMapping::Fault(*fault)),
        Event::Leaf(leaf) => into.push(this_space::<F>(*leaf)),
        Event::Table(_) | Event::Absent(_) => {}
    }
}
