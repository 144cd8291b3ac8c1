//! The kernel part of a table, as what others are compared with.
//!
//! ```text
//!             user part                         kernel part
//!  2-level    0 ─────────────────────────▶ 767  768 ──────▶ 1023
//!  4/5-level  0 ──────────────▶ 255  256 ─────────────────▶ 511
//!  PAE        PDPTEs 0 ───────▶ 2    PDPTE 3 and the directory that it links, which is all kernel
//! ```
//!
//! Accessed and dirty bits are not looked at. A slot through which the table maps itself differs between tables that are
//! alike: there each has to map itself, with equal flags.

use alloc::vec::Vec;
use core::ops::Range;

use pt_core::{Entry, Format, Geometry, Level};

use super::pages::entry;

/// The slots of the root that map the kernel's addresses: the upper half where addresses are sign-extended, else the top
/// quarter.
pub(super) fn kernel_slots<F: Format>() -> Range<usize> {
    let all = F::entries(F::ROOT);
    if F::SIGN_EXTENDED { all / 2..all } else { all - all / 4..all }
}

/// What a table must have in some of its slots to be like another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Likeness {
    level: Level,
    first: usize,
    /// Without accessed and dirty bits; links to the space's own tables also without address.
    expected: Vec<u64>,
    /// The slots that link a table of the space itself, and which one.
    own: Vec<(usize, usize)>,
    /// Present entries that are far apart: what a page is rejected by.
    probes: Vec<usize>,
}

/// An entry without what may differ.
#[inline(always)]
pub(super) fn settled<F: Format>(raw: u64) -> u64 {
    raw & !F::ACCESSED_DIRTY
}

/// Whether an entry is a link to `table`, and its other bits.
fn link_to<F: Format>(format: &F, level: Level, raw: u64, table: u64) -> Option<u64> {
    match format.decode(level, raw) {
        Entry::Table(address) if address == table => format.relocate(level, raw, 0).map(settled::<F>),
        _ => None,
    }
}

impl Likeness {
    /// The likeness of `slots` of a table, in a space whose `own` tables are where a self-map leads. None if no entry there is
    /// present but for self-maps: everything empty would be like it.
    pub(super) fn of<F: Format>(
        format: &F,
        level: Level,
        slots: Range<usize>,
        table: &[u8],
        own: &[u64],
    ) -> Option<Self> {
        let mut likeness = Self {
            level,
            first: slots.start,
            expected: Vec::with_capacity(slots.len()),
            own: Vec::new(),
            probes: Vec::new(),
        };
        let mut present = Vec::new();
        for slot in slots {
            let raw = entry::<F>(table, slot);
            let links = |which: &usize| link_to(format, level, raw, own[*which]);
            let which = (0..own.len()).find(|which| links(which).is_some());
            let free = which
                .filter(|&which| likeness.own.iter().all(|&(_, other)| other != which || own.len() == 1));
            if let Some((which, flags)) = free.and_then(|which| Some((which, links(&which)?))) {
                likeness.own.push((slot, which));
                likeness.expected.push(flags);
                continue;
            }
            if format.decode(level, raw) != Entry::Absent {
                present.push(slot);
            }
            likeness.expected.push(settled::<F>(raw));
        }
        let last = present.len().checked_sub(1)?;
        likeness.probes.extend([0, last, last / 2].map(|at| present[at]));
        Some(likeness)
    }

    /// Whether a table may be alike, by a few of its entries.
    #[inline(always)]
    pub(super) fn probe<F: Format>(&self, table: &[u8]) -> bool {
        self.probes
            .iter()
            .all(|&slot| settled::<F>(entry::<F>(table, slot)) == self.expected[slot - self.first])
    }

    /// Whether a table is alike, the slots aside that link the space's own tables.
    pub(super) fn matches_elsewhere<F: Format>(&self, table: &[u8]) -> bool {
        let mut own = self.own.iter().map(|&(slot, _)| slot).peekable();
        self.probe::<F>(table)
            && (self.first..).zip(&self.expected).all(|(slot, &expected)| {
                own.next_if_eq(&slot).is_some() || settled::<F>(entry::<F>(table, slot)) == expected
            })
    }

    /// Whether the remaining slots of a table link the `own` tables of its space: `raw` reads an entry by its slot.
    pub(super) fn matches_own<F: Format>(
        &self,
        format: &F,
        own: &[u64],
        mut raw: impl FnMut(usize) -> Option<u64>,
    ) -> bool {
        self.own.iter().all(|&(slot, which)| {
            let flags = raw(slot)
                .zip(own.get(which))
                .and_then(|(raw, &table)| link_to(format, self.level, raw, table));
            flags == Some(self.expected[slot - self.first])
        })
    }
}
