//! From a plan to memory.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::entry::{self, raw_values};
use super::mode::{ignored_bits, page_mask};
use super::{Case, Slot, range};
use crate::naive::{Frames, Meaning, Mode, Physical, decode, flat};

/// The most tables and other events that the flat walks of all roots together may have.
pub(super) const MOST_TABLES: u64 = 300;
pub(super) const MOST_EVENTS: u64 = 6000;

/// Where the frames are.
#[derive(Clone, Debug)]
pub(super) enum Placement {
    /// From address 0 on without a gap.
    Dense(usize),
    /// Anywhere.
    Scattered(Vec<Place>),
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    near: Near,
    page: u8,
    held: bool,
}

#[derive(Clone, Copy, Debug)]
enum Near {
    Zero,
    FourGib,
    Top,
}

pub(super) fn frames() -> impl Strategy<Value = Placement> {
    let near = prop_oneof![Just(Near::Zero), Just(Near::FourGib), Just(Near::Top)];
    let place = (near, any::<u8>(), prop::bool::weighted(0.92)).prop_map(|(near, page, held)| Place {
        near,
        page,
        held,
    });
    prop_oneof![(3..=12_usize).prop_map(Placement::Dense), vec(place, 3..=12).prop_map(Placement::Scattered)]
}

impl Placement {
    /// The memory of these frames, all zero, and their addresses.
    fn memory(&self, mode: &Mode) -> (Frames, Vec<u64>) {
        let mut memory = Frames::new();
        let mut addresses = Vec::new();
        match self {
            Self::Dense(count) => {
                addresses.extend((0..*count as u64).map(|frame| frame * Frames::SIZE));
                for &frame in &addresses {
                    memory.add(frame);
                }
            }
            Self::Scattered(places) => {
                for place in places {
                    let mask = match mode {
                        // The first frame holds PAE roots, which are below 4 GiB.
                        Mode::Pae { .. } if addresses.is_empty() => page_mask(mode, 4096) & 0xffff_ffff,
                        _ => page_mask(mode, 4096),
                    };
                    let near: u64 = match place.near {
                        Near::Zero => 0,
                        Near::FourGib => (1 << 32) - 8 * Frames::SIZE,
                        Near::Top => mask.wrapping_sub(15 * Frames::SIZE),
                    };
                    let mut address = near.wrapping_add(u64::from(place.page % 16) * Frames::SIZE) & mask;
                    while addresses.contains(&address) {
                        address = address.wrapping_add(Frames::SIZE) & mask;
                    }
                    if place.held {
                        memory.add(address);
                    } else {
                        memory.add_not_held(address);
                    }
                    addresses.push(address);
                }
            }
        }
        (memory, addresses)
    }
}

/// A root: a frame, for PAE also one of its 32-byte steps, and CR3's other bits.
#[derive(Clone, Debug)]
pub(super) struct Root {
    frame: u8,
    step: Slot,
    others: u64,
    wild: bool,
}

pub(super) fn roots() -> impl Strategy<Value = Vec<Root>> {
    let others = prop_oneof![Just(0), any::<u64>()];
    let root = (any::<u8>(), entry::slots(), others, prop::bool::weighted(0.05))
        .prop_map(|(frame, step, others, wild)| Root { frame, step, others, wild });
    vec(root, 1..=5)
}

impl Root {
    fn register(&self, mode: &Mode, frames: &[u64]) -> u64 {
        if self.wild {
            return self.others;
        }
        // Only a third of the frames are roots, so that the same one is given twice often enough.
        let frame = frames[usize::from(self.frame) % frames.len().div_ceil(3)];
        match mode {
            Mode::TwoLevel { .. } => frame | self.others & 0x18,
            Mode::Pae { .. } => {
                let table = frames[usize::from(self.frame) % frames.len().div_ceil(8)]
                    + self.step.index(512) / 4 * 32;
                table | self.others & 0x18
            }
            _ => frame | self.others & (0xe000_0000_0000_0fff | ignored_bits(mode)),
        }
    }
}

pub(super) fn lay_out(
    mode: Mode,
    placement: &Placement,
    entries: &[(u8, Slot, entry::Plan)],
    roots: &[Root],
    range: &range::Plan,
) -> Case {
    let (empty, frames) = placement.memory(&mode);
    let roots: Vec<u64> = roots.iter().map(|root| root.register(&mode, &frames)).collect();
    let mut kept = entries.len();
    loop {
        let memory = fill(&mode, empty.clone(), &frames, &entries[..kept]);
        if kept == 0 || is_small(&mode, &memory, &roots) {
            let landmarks = landmarks(&mode, &memory, &roots);
            return Case { mode, memory, roots, range: range.range(&mode, &landmarks) };
        }
        kept = kept * 9 / 10;
    }
}

/// The addresses of everything that the first two roots reach.
fn landmarks(mode: &Mode, memory: &Frames, roots: &[u64]) -> Vec<u64> {
    let reached = roots.iter().take(2).flat_map(|&root| flat(mode, memory, root, (0, u64::MAX)));
    reached.map(|event| event.va()).collect()
}

fn fill(mode: &Mode, mut memory: Frames, frames: &[u64], entries: &[(u8, Slot, entry::Plan)]) -> Frames {
    let width = mode.entry_bytes();
    for (frame, slot, plan) in entries {
        let to = |frame: u8| frames[usize::from(frame) % frames.len()];
        let is_pae_root = matches!(mode, Mode::Pae { .. }) && usize::from(*frame) % frames.len() == 0;
        let index = slot.index(Frames::SIZE / width);
        for (index, raw) in (index..Frames::SIZE / width).zip(raw_values(mode, plan, to)) {
            // Rights make a PDPTE malformed. That is worth having, but not always.
            let strip = is_pae_root && matches!(plan, entry::Plan::Link { .. }) && frame % 8 != 7;
            let raw = if strip { raw & !(1 << 63 | 0x1e6) } else { raw };
            memory.write(to(*frame) + index * width, width, raw);
        }
    }
    memory
}

/// Whether flat walks of all roots stay within bounds. Paths are counted without going all of them.
fn is_small(mode: &Mode, memory: &Frames, roots: &[u64]) -> bool {
    let mut known = BTreeMap::new();
    let sums = roots.iter().map(|&root| paths(mode, memory, mode.root(root), mode.levels(), &mut known));
    let (tables, events) =
        sums.fold((0_u64, 0_u64), |sum, (tables, events)| (sum.0 + tables, sum.1 + events));
    tables <= MOST_TABLES && events <= MOST_EVENTS
}

/// The tables and the other events of the flat walk below a table; no more than 2^32 of each are told apart.
fn paths(
    mode: &Mode,
    memory: &Frames,
    table: u64,
    level: u8,
    known: &mut BTreeMap<(u64, u8), (u64, u64)>,
) -> (u64, u64) {
    if let Some(&sum) = known.get(&(table, level)) {
        return sum;
    }
    let Ok(entries) = memory.table(table, mode.entries(level), mode.entry_bytes()) else { return (0, 1) };
    let (mut tables, mut events) = (1_u64, 0_u64);
    for raw in entries.into_iter().filter(|&raw| raw != 0) {
        let below = match decode(mode, level, raw) {
            Meaning::Table(child) => paths(mode, memory, child, level - 1, known),
            _ => (0, 1),
        };
        tables = (tables + below.0).min(1 << 32);
        events = (events + below.1).min(1 << 32);
    }
    known.insert((table, level), (tables, events));
    (tables, events)
}
