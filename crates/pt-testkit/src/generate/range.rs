//! Ranges: whole, cut at every level, one page, across and inside the hole, reversed, the last page.

use proptest::array::uniform5;
use proptest::prelude::*;

use super::Slot;
use super::entry::slots;
use crate::naive::Mode;

#[derive(Clone, Debug)]
pub(super) enum Plan {
    Whole,
    From(Address),
    To(Address),
    Between(Address, Address),
    Reversed(Address, Address),
    Page(Address),
    Byte(Address),
    /// The last page of the space.
    Last,
    /// From or to an address that need not exist.
    Raw(u64, u64),
    /// Inside the hole, if the mode has one.
    Hole,
}

/// An address.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// By its index at each level and where in the page it is.
    Slots {
        slots: [Slot; 5],
        within: u16,
        /// Up to this level, indices are those of the first or the last entry, so that ranges end where tables do.
        level: u8,
    },
    /// So many bytes after the address of something that the graph has.
    Near(usize, u64),
}

pub(super) fn ranges() -> impl Strategy<Value = Plan> {
    prop_oneof![
        5 => Just(Plan::Whole),
        3 => addresses().prop_map(Plan::From),
        3 => addresses().prop_map(Plan::To),
        6 => (addresses(), addresses()).prop_map(|(from, to)| Plan::Between(from, to)),
        1 => (addresses(), addresses()).prop_map(|(from, to)| Plan::Reversed(from, to)),
        1 => addresses().prop_map(Plan::Page),
        1 => addresses().prop_map(Plan::Byte),
        1 => Just(Plan::Last),
        1 => any::<(u64, u64)>().prop_map(|(from, to)| Plan::Raw(from, to)),
        1 => Just(Plan::Hole),
    ]
}

fn addresses() -> impl Strategy<Value = Address> {
    let within = prop_oneof![2 => Just(0), 2 => Just(0xfff), 1 => 0..0x1000_u16];
    let slots = (uniform5(slots()), within, 0..4_u8).prop_map(|(slots, within, level)| Address::Slots {
        slots,
        within,
        level,
    });
    let after = prop_oneof![
        2 => Just(0),
        2 => Just(u64::MAX),
        1 => Just(0xfff),
        3 => (0..20_u64).prop_map(|pages| pages << 12),
        3 => (0..20_u64).prop_map(|pages| (pages << 12).wrapping_sub(1)),
    ];
    prop_oneof![1 => slots, 2 => (any::<usize>(), after).prop_map(|(which, after)| Address::Near(which, after))]
}

impl Address {
    fn value(&self, mode: &Mode, landmarks: &[u64]) -> u64 {
        let (slots, within, limit) = match *self {
            Self::Near(_, after) if landmarks.is_empty() => return after,
            Self::Near(which, after) => return landmarks[which % landmarks.len()].wrapping_add(after),
            Self::Slots { slots, within, level } => (slots, within, level),
        };
        let mut place = u64::from(within);
        for level in 1..=mode.levels() {
            if level > limit {
                place += slots[usize::from(level) - 1].index(mode.entries(level)) * mode.entry_span(level);
            } else if within == 0xfff {
                place += (mode.entries(level) - 1) * mode.entry_span(level);
            }
        }
        mode.canonical(place)
    }
}

impl Plan {
    /// The range; `landmarks` are the addresses of what the graph has.
    pub(super) fn range(&self, mode: &Mode, landmarks: &[u64]) -> (u64, u64) {
        let value = |address: &Address| address.value(mode, landmarks);
        match self {
            Self::Whole => (0, u64::MAX),
            Self::From(from) => (value(from), u64::MAX),
            Self::To(to) => (0, value(to)),
            Self::Between(one, other) => (value(one).min(value(other)), value(one).max(value(other))),
            Self::Reversed(one, other) => (value(one).max(value(other)), value(one).min(value(other))),
            Self::Page(address) => (value(address) & !0xfff, value(address) | 0xfff),
            Self::Byte(address) => (value(address), value(address)),
            Self::Last => (mode.canonical(mode.space() - 4096), mode.canonical(mode.space() - 1)),
            Self::Raw(from, to) => (*from, *to),
            Self::Hole => (mode.space() / 2, mode.canonical(mode.space() / 2).wrapping_sub(1)),
        }
    }
}
