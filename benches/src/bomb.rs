//! Four tables that a walk of paths would never come out of: every entry of each links the next.
//!
//! A tree in them has 512⁴ leaves. A walk that visits each table once per depth and window is done after 64 visits at
//! most, however the links differ in bits that do not matter, and wherever the range is cut.

use crate::memory::PAGE;
use crate::{PhysicalMemory, Scene};

/// How the links of a bomb differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bomb {
    /// Not at all, and the last table maps pages.
    Chain,
    /// In bits that the processor ignores or sets itself.
    Ignored,
    /// As those, and the last table links the first: each is met at every depth.
    Ring,
    /// As those, and every entry of a table links another of the four.
    Mesh,
}

impl Bomb {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Chain, Self::Ignored, Self::Ring, Self::Mesh];
    /// How many visits are enough, whatever the range: four tables at four depths through four windows.
    pub const VISITS: u64 = 4 * 4 * 4;

    /// The name in benchmark identifiers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Ignored => "ignored",
            Self::Ring => "ring",
            Self::Mesh => "mesh",
        }
    }

    /// Its tables: one root, and three below it.
    pub fn scene(self) -> Scene {
        let mut memory = PhysicalMemory::new(5);
        memory.allocate();
        let tables: [u64; 4] = std::array::from_fn(|_| memory.allocate());
        for (number, table) in tables.into_iter().enumerate() {
            for index in 0..PAGE / 8 {
                let next = match self {
                    Self::Mesh => tables[(number + index) % 4],
                    Self::Ring => tables[(number + 1) % 4],
                    Self::Chain | Self::Ignored => {
                        tables.get(number + 1).copied().unwrap_or(index as u64 * 4096)
                    }
                };
                // Present, writable, user; then accessed and dirty by turns, and the bits from 52 on counting.
                let ignored = (index as u64 % 4) << 5 | (index as u64 % 128) << 52;
                let link = 0b111 | if self == Self::Chain { 0 } else { ignored };
                memory.set_amd64(table, index, next | link);
            }
        }
        Scene { memory, roots: vec![tables[0]] }
    }
}

/// The whole space, and ranges that cut it on both sides, each a level deeper.
pub fn cuts() -> [std::ops::RangeInclusive<u64>; 5] {
    std::array::from_fn(|level| {
        if level == 0 {
            return 0..=u64::MAX;
        }
        // One entry and a bit of the next on either side, at this level and all above it.
        let cut = (level as u64..=4).map(|above| 1u64 << (12 + 9 * (above - 1))).sum::<u64>();
        cut..=u64::MAX - cut
    })
}
