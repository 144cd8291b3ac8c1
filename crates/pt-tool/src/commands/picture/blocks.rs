//! What each space has, as blocks along the address axis.
//!
//! Addresses are without sign extension, so that they ascend. Neighbouring blocks of one kind are one block. A picture
//! cannot show a million of them: past [`MOST_BLOCKS`] they are made coarser, until they fit.

use pt_core::{Event, Format, Geometry, LimitReached, Permissions, Space};

/// How many blocks there may be before they are made coarser.
const MOST_BLOCKS: usize = 1 << 18;

/// What a stretch of addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A link to a table of an earlier space.
    Shared { owner: Space },
    /// A link to a table that this space has elsewhere.
    Within,
    /// Pages of its own.
    Pages { writable: bool, executable: bool, user: bool },
    /// Something that cannot be followed.
    Fault,
}

/// A stretch of addresses, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) kind: Kind,
}

/// The blocks of each space.
pub(super) fn columns<F: Format>(
    walk: impl IntoIterator<Item = Result<Event<F::Rights>, LimitReached>>,
    spaces: usize,
) -> Result<Vec<Vec<Block>>, LimitReached> {
    let mut columns = vec![Vec::new(); spaces];
    let (mut blocks, mut grain) = (0, 1 << F::PAGE_SHIFT);
    for event in walk {
        let event = event?;
        let (len, kind) = match &event {
            Event::Leaf(leaf) => {
                let (writable, executable) = (leaf.rights.writable(), leaf.rights.executable());
                let kind = Kind::Pages { writable, executable, user: leaf.rights.user() };
                (u64::from(leaf.pages) * F::entry_span(leaf.level), kind)
            }
            Event::Alias(alias) if alias.owner == alias.space => {
                (F::table_span_last(alias.level) + 1, Kind::Within)
            }
            Event::Alias(alias) => (F::table_span_last(alias.level) + 1, Kind::Shared { owner: alias.owner }),
            Event::Fault(_) => (1 << F::PAGE_SHIFT, Kind::Fault),
            Event::Table(_) | Event::Absent(_) => continue,
        };
        let first = event.va() & F::VA_MASK;
        let column: &mut Vec<Block> = &mut columns[event.space() as usize];
        let before = column.len();
        push(column, Block { first, last: first + (len - 1), kind }, grain);
        blocks += column.len() - before;
        if blocks > MOST_BLOCKS {
            grain <<= 3;
            columns = columns.into_iter().map(|column| coarser(&column, grain)).collect();
            blocks = columns.iter().map(Vec::len).sum();
        }
    }
    Ok(columns)
}

/// Adds a block behind the others, joined to the last one if they are of a kind and no more than a grain apart.
fn push(column: &mut Vec<Block>, block: Block, grain: u64) {
    match column.last_mut() {
        Some(last) if last.kind == block.kind && block.first <= last.last.saturating_add(grain) => {
            last.last = last.last.max(block.last);
        }
        _ => column.push(block),
    }
}

/// The blocks with their ends moved out to multiples of a grain. Where several kinds meet in one grain, the last of
/// them in the order of [`Kind`] stands for all: what is shared gives way to pages, and what is harmless to what is not.
pub(super) fn coarser(column: &[Block], grain: u64) -> Vec<Block> {
    let mut coarse: Vec<Block> = Vec::new();
    for block in column {
        let block = Block { first: block.first & !(grain - 1), last: block.last | (grain - 1), ..*block };
        match coarse.last_mut() {
            Some(last) if last.last >= block.first && last.kind != block.kind => {
                // Both reach into the same grain: it goes to the one that matters more.
                if last.kind > block.kind {
                    let rest = Block { first: last.last + 1, ..block };
                    coarse.extend((rest.first <= rest.last).then_some(rest));
                } else if last.first >= block.first {
                    *last = block;
                } else {
                    last.last = block.first - 1;
                    coarse.push(block);
                }
            }
            _ => push(&mut coarse, block, 1),
        }
    }
    coarse
}
