//! The tables that lead to one page, in every mode, and which of their entries are on its way.
//!
//! The table at level `n` is at `n << 12`; PAE's root is 0x20 further. The page is at 0x8000, or is the one of the large
//! page's size at 0.

use anyhow::Result;
use pt_vcpu::Mode;

use crate::compare::Comparison;

const USER_WRITABLE: u64 = 7;
const LARGE: u64 = 1 << 7;

/// A path of entries, root first, that permits everything.
#[derive(Clone)]
pub(crate) struct Path {
    pub(crate) mode: Mode,
    /// By level, level 1 first: what is there, down to the leaf.
    pub(crate) entries: Vec<u64>,
    /// The level of the leaf.
    pub(crate) leaf: u8,
}

pub(crate) fn levels(mode: Mode) -> u8 {
    match mode {
        Mode::Unpaged => 0,
        Mode::TwoLevel => 2,
        Mode::Pae => 3,
        Mode::FourLevel => 4,
        Mode::FiveLevel => 5,
    }
}

pub(crate) fn width(mode: Mode) -> usize {
    if mode == Mode::TwoLevel { 4 } else { 8 }
}

pub(crate) fn cr3(mode: Mode) -> u64 {
    u64::from(levels(mode)) << 12 | if mode == Mode::Pae { 0x20 } else { 0 }
}

/// An address with index 3 at every level.
pub(crate) fn address(mode: Mode) -> u64 {
    let bits: &[u32] = match mode {
        Mode::TwoLevel => &[12, 22],
        Mode::Pae => &[12, 21, 30],
        Mode::FourLevel => &[12, 21, 30, 39],
        Mode::FiveLevel | Mode::Unpaged => &[12, 21, 30, 39, 48],
    };
    bits.iter().fold(0x123, |address, bit| address | 3 << bit)
}

impl Path {
    /// The path to a page whose leaf is at that level.
    pub(crate) fn to(mode: Mode, leaf: u8) -> Self {
        let link = |level: u8| {
            // A PDPTE of PAE has no rights.
            let rights = if mode == Mode::Pae && level == 3 { 1 } else { USER_WRITABLE };
            u64::from(level - 1) << 12 | rights
        };
        let page = if leaf == 1 { 0x8000 | USER_WRITABLE } else { LARGE | USER_WRITABLE };
        let entry = |level: u8| if level == leaf { page } else { link(level) };
        Self { mode, entries: (leaf..=levels(mode)).map(entry).collect(), leaf }
    }

    /// Those to pages of all sizes.
    pub(crate) fn all(mode: Mode) -> impl Iterator<Item = Self> {
        let largest = if levels(mode) > 3 { 3 } else { 2 };
        (1..=largest).map(move |leaf| Self::to(mode, leaf))
    }

    /// The same with another entry at a place from the leaf up.
    pub(crate) fn with(&self, place: usize, change: impl FnOnce(u64) -> u64) -> Self {
        let mut changed = self.clone();
        let mask = if self.mode == Mode::TwoLevel { 0xffff_ffff } else { u64::MAX };
        changed.entries[place] = change(changed.entries[place]) & mask;
        changed
    }

    /// Puts it into both memories.
    pub(crate) fn store(&self, both: &mut Comparison) -> Result<()> {
        let width = width(self.mode);
        for (level, raw) in (self.leaf..).zip(&self.entries) {
            let root = if self.mode == Mode::Pae && level == 3 { 0x20 } else { 0 };
            let at = (u64::from(level) << 12 | root) + 3 * width as u64;
            both.store(at, &raw.to_le_bytes()[..width])?;
        }
        Ok(())
    }
}
