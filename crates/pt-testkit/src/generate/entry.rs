//! What can stand in a slot.

use proptest::prelude::*;

use super::Slot;
use super::mode::{free_bits, ignored_bits, page_mask};
use crate::naive::{Meaning, Mode, decode};

/// A choice of what stands in a slot, or from that slot on.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// Not present; bit 0 is cleared.
    Absent(u64),
    /// A page or a run of them.
    Pages(Pages),
    /// A link to a frame, whatever level that makes it, in as many slots.
    Link { frame: u8, attributes: u64, ignored: bool, count: usize },
    /// A link with one more bit, which may be reserved.
    Spoiled { frame: u8, bit: u8 },
    /// A link to wherever: hardly ever memory.
    Dangling(u64),
    /// Any value.
    Raw(u64),
}

#[derive(Clone, Debug)]
pub(super) struct Pages {
    /// 0, 1 or 2: 4 KiB, 2 or 4 MiB, 1 GiB.
    size: u8,
    from: Start,
    attributes: u64,
    pat: bool,
    ignored: bool,
    count: u16,
    /// From which page on something changes, and what.
    change: (u16, Change),
    /// How A and D vary along the run: added to the page's number, two bits of it are the bits.
    accessed_dirty: Option<u8>,
}

/// The first page's address.
#[derive(Clone, Debug)]
enum Start {
    Anywhere(u64),
    /// So many pages below the highest address, so that a run wraps.
    Top(u8),
    /// So many pages below 4 GiB, so that a run crosses.
    FourGib(u8),
    Low(u8),
}

#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Software,
    Write,
    Address,
    Ignored,
    Absent,
}

pub(super) fn slots() -> impl Strategy<Value = Slot> {
    (0..10_u8, any::<u16>()).prop_map(|(usual, anywhere)| Slot { usual, anywhere })
}

fn attributes() -> impl Strategy<Value = u64> {
    const WRITE: u64 = 2;
    const USER: u64 = 4;
    const NO_EXECUTE: u64 = 1 << 63;
    prop_oneof![
        5 => Just(WRITE | USER),
        2 => Just(WRITE),
        2 => Just(USER),
        1 => Just(0),
        2 => Just(WRITE | USER | NO_EXECUTE),
        1 => Just(NO_EXECUTE),
        2 => any::<u64>(),
    ]
}

fn pages() -> impl Strategy<Value = Pages> {
    let size = prop_oneof![5 => Just(0), 3 => Just(1), 1 => Just(2)];
    let from = prop_oneof![
        3 => any::<u64>().prop_map(Start::Anywhere),
        1 => any::<u8>().prop_map(|pages| Start::Top(pages % 24)),
        1 => any::<u8>().prop_map(|pages| Start::FourGib(pages % 24)),
        1 => any::<u8>().prop_map(Start::Low),
    ];
    let count = prop_oneof![6 => Just(1), 3 => 2..40_u16, 1 => Just(1024)];
    let change = prop_oneof![
        4 => Just(Change::None),
        1 => Just(Change::Software),
        1 => Just(Change::Write),
        1 => Just(Change::Address),
        1 => Just(Change::Ignored),
        1 => Just(Change::Absent),
    ];
    let accessed_dirty = prop::option::weighted(0.3, any::<u8>());
    (size, from, attributes(), any::<(bool, bool)>(), count, (0..40_u16, change), accessed_dirty).prop_map(
        |(size, from, attributes, (pat, ignored), count, change, accessed_dirty)| Pages {
            size,
            from,
            attributes,
            pat,
            ignored,
            count,
            change,
            accessed_dirty,
        },
    )
}

/// Large pages that cross 4 GiB, where PSE-36 splits an address, and where most often nothing or everything changes at
/// the crossing.
fn crossing() -> impl Strategy<Value = Pages> {
    (pages(), 1..12_u16, prop::bool::weighted(0.4)).prop_map(|(pages, before, changes)| Pages {
        size: 1,
        from: Start::FourGib(before as u8),
        count: before * 2,
        change: (before - 1, if changes { pages.change.1 } else { Change::None }),
        ..pages
    })
}

pub(super) fn entries() -> impl Strategy<Value = Plan> {
    prop_oneof![
        10 => (any::<u8>(), attributes(), prop::bool::weighted(0.2), prop_oneof![3 => Just(1), 1 => 2..=4_usize])
            .prop_map(|(frame, attributes, ignored, count)| Plan::Link { frame, attributes, ignored, count }),
        6 => pages().prop_map(Plan::Pages),
        1 => crossing().prop_map(Plan::Pages),
        1 => any::<u64>().prop_map(Plan::Absent),
        1 => (any::<u8>(), 1..64_u8).prop_map(|(frame, bit)| Plan::Spoiled { frame, bit }),
        1 => any::<u64>().prop_map(Plan::Dangling),
        1 => any::<u64>().prop_map(Plan::Raw),
    ]
}

/// The raw values that a plan puts into the slots from its own on. `frame` gives the address of a frame.
pub(super) fn raw_values(mode: &Mode, plan: &Plan, frame: impl Fn(u8) -> u64) -> Vec<u64> {
    let free = free_bits(mode);
    let ignored = |wanted: bool| if wanted { ignored_bits(mode) } else { 0 };
    match *plan {
        Plan::Absent(raw) => vec![raw & !1],
        Plan::Raw(raw) => vec![raw],
        Plan::Link { frame: to, attributes, ignored: bit, count } => {
            vec![frame(to) | attributes & free | ignored(bit) | 1; count]
        }
        Plan::Spoiled { frame: to, bit } => vec![frame(to) | 1 << bit | 1],
        Plan::Dangling(address) => vec![address & page_mask(mode, 4096) | 7 & (free | 1)],
        Plan::Pages(ref pages) => pages.raw_values(mode, free),
    }
}

impl Pages {
    fn raw_values(&self, mode: &Mode, free: u64) -> Vec<u64> {
        let size = if self.size == 0 { 4096 } else { mode.entry_span(self.size.min(mode.levels() - 1) + 1) };
        let start = match self.from {
            Start::Anywhere(address) => address,
            Start::Top(pages) => page_mask(mode, size).wrapping_sub(u64::from(pages) * size),
            Start::FourGib(pages) => (1_u64 << 32).wrapping_sub(u64::from(pages) * size),
            Start::Low(pages) => u64::from(pages) * size,
        };
        (0..u64::from(self.count))
            .map(|number| {
                let changed = number > u64::from(self.change.0);
                let change = if changed { self.change.1 } else { Change::None };
                let number = if matches!(change, Change::Address) { number + 1 } else { number };
                let address = start.wrapping_add(number * size) & page_mask(mode, size);
                let mut raw = self.attributes & free;
                if let Some(phase) = self.accessed_dirty {
                    raw = raw & !0x60 | (u64::from(phase).wrapping_add(number / 3) & 3) << 5;
                }
                raw |= if self.ignored { ignored_bits(mode) } else { 0 };
                raw |=
                    if size == 4096 { u64::from(self.pat) << 7 } else { 1 << 7 | u64::from(self.pat) << 12 };
                raw |= hold(mode, size, address) | 1;
                match change {
                    Change::None | Change::Address => raw,
                    Change::Software => raw ^ 1 << 9,
                    Change::Write => raw ^ 1 << 1,
                    Change::Ignored => raw ^ ignored_bits(mode),
                    Change::Absent => raw & !1,
                }
            })
            .collect()
    }
}

/// A page's address as its entry holds it.
pub(crate) fn hold(mode: &Mode, size: u64, address: u64) -> u64 {
    if matches!(mode, Mode::TwoLevel { .. }) && size > 4096 {
        address % (1 << 32) + ((address >> 32) << 13)
    } else {
        address
    }
}

/// The entry of a page with these attributes (in the layout of level 1), put together as the manual draws it; none where the level has no such page.
pub(crate) fn compose(mode: &Mode, number: u8, page: u64, attributes: u64) -> Option<u64> {
    let size = mode.entry_span(number);
    let (mark, pat) = match mode {
        _ if number == 1 => (0, 0),
        Mode::Toy => (1 << 3, 0),
        _ => (1 << 7, 1 << 12),
    };
    let width = if mode.entry_bytes() == 4 { u64::from(u32::MAX) } else { u64::MAX };
    let moved = if pat != 0 && attributes & mark != 0 { pat } else { 0 };
    // The address, P and the mark are none of the attributes, and bit 12 is not where PAT comes from.
    let rest = attributes & width & !(hold(mode, size, page_mask(mode, size)) | mark | pat | 1);
    let raw = hold(mode, size, page) | rest | moved | mark | 1;
    matches!(decode(mode, number, raw), Meaning::Leaf(_)).then_some(raw)
}
