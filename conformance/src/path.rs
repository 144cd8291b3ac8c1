//! The tables that lead to one page, in every mode, and which of their entries are on its way.

use pt_vcpu::Mode;

const USER_WRITABLE: u64 = 7;
const LARGE: u64 = 1 << 7;

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The page table. The tables of higher levels follow, a page each.
    pub tables: u64,
    /// Pages by level of their leaf, level 1 first.
    pub pages: [u64; 3],
}

/// A path of entries that permits everything.
#[derive(Clone, Debug)]
pub struct Path {
    /// The mode.
    pub mode: Mode,
    /// By level, the leaf first.
    pub entries: Vec<u64>,
    /// The level of the leaf.
    pub leaf: u8,
    layout: Layout,
}

/// How many levels a mode has.
pub fn levels(mode: Mode) -> u8 {
    match mode {
        Mode::Unpaged => 0,
        Mode::TwoLevel => 2,
        Mode::Pae => 3,
        Mode::FourLevel => 4,
        Mode::FiveLevel => 5,
    }
}

/// The bytes of an entry.
pub fn width(mode: Mode) -> usize {
    if mode == Mode::TwoLevel { 4 } else { 8 }
}

/// The slot of the path, the same at every level. First slots of a root stay free for others.
fn slot(mode: Mode) -> u64 {
    if mode == Mode::TwoLevel { 768 } else { 3 }
}

/// The address that the path is of: its slot at every level, and an offset.
pub fn address(mode: Mode) -> u64 {
    let bits = if mode == Mode::TwoLevel { 10 } else { 9 };
    let index = |level: u8| slot(mode) << (12 + bits * (u32::from(level) - 1));
    (1..=levels(mode)).fold(0x123, |address, level| address | index(level))
}

impl Layout {
    /// CR3.
    pub fn root(&self, mode: Mode) -> u64 {
        self.tables + (u64::from(levels(mode) - 1) << 12)
    }

    /// Where the path's entry of a level is.
    pub fn entry(&self, mode: Mode, level: u8) -> u64 {
        self.tables + (u64::from(level - 1) << 12) + slot(mode) * width(mode) as u64
    }
}

impl Path {
    /// The path to a page whose leaf is at that level.
    pub fn to(mode: Mode, leaf: u8, layout: Layout) -> Self {
        let link = |level: u8| {
            // A PDPTE of PAE has no rights.
            let rights = if mode == Mode::Pae && level == 3 { 1 } else { USER_WRITABLE };
            layout.entry(mode, level - 1) & !0xfff | rights
        };
        let large = if leaf == 1 { 0 } else { LARGE };
        let page = layout.pages[usize::from(leaf - 1)] | large | USER_WRITABLE;
        let entry = |level: u8| if level == leaf { page } else { link(level) };
        Self { mode, entries: (leaf..=levels(mode)).map(entry).collect(), leaf, layout }
    }

    /// Those to pages of all sizes.
    pub fn all(mode: Mode, layout: Layout) -> impl Iterator<Item = Self> {
        let largest = if levels(mode) > 3 { 3 } else { 2 };
        (1..=largest).map(move |leaf| Self::to(mode, leaf, layout))
    }

    /// The same with another entry at a place from the leaf up.
    pub fn with(&self, place: usize, change: impl FnOnce(u64) -> u64) -> Self {
        let mut changed = self.clone();
        let mask = if self.mode == Mode::TwoLevel { 0xffff_ffff } else { u64::MAX };
        changed.entries[place] = change(changed.entries[place]) & mask;
        changed
    }

    /// The same with up to four bits of every entry changed, by chance.
    pub fn spoiled(&self) -> Self {
        let bits = width(self.mode) as u32 * 8;
        let mut path = self.clone();
        for place in 0..path.entries.len() {
            for _ in 0..fastrand::u32(..6).saturating_sub(1) {
                // Address bits lead away, flags decide.
                let bit = if fastrand::bool() { fastrand::u32(..9) } else { fastrand::u32(..bits) };
                path = path.with(place, |raw| raw ^ 1 << bit);
            }
        }
        path
    }

    /// Every entry, and where it is.
    pub fn stores(&self) -> impl Iterator<Item = (u64, u64)> {
        let at = |level| self.layout.entry(self.mode, level);
        (self.leaf..).map(at).zip(self.entries.iter().copied())
    }
}
