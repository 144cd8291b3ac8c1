//! A format so small that all graphs of a few tables can be walked.
//!
//! Three levels, one index bit: two entries of 8 bytes per table, tables at 32-byte steps, eight pages in all, four of
//! them above a hole. Everything that makes walking hard is there: links to any table at any level, large pages,
//! rights, reserved bits, a hole.
//!
//! ```text
//!      63 62   …   31:5     4   3       2          1  0
//!  link  D  A      address      0 or 1  reserved   W  P     bit 3 is reserved at level 3,
//!  large D  A      31:13        1       reserved   W  P     a large page at level 2 (bit 12 reserved),
//!  page  D  A      31:12                reserved   W  P     and nothing at level 1
//! ```
//!
//! [`Mode::Toy`](crate::naive::Mode::Toy) is the oracle's own description of the same.

use pt_core::{Encode, Entry, Format, Level, Permissions};

use crate::naive::Frames;

/// The format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Toy;

/// Its only right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Writable(bool);

impl Permissions for Writable {
    fn readable(self) -> bool {
        true
    }
    fn writable(self) -> bool {
        self.0
    }
    fn executable(self) -> bool {
        true
    }
    fn user(self) -> bool {
        true
    }
}

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const RESERVED: u64 = 1 << 2;
const LARGE: u64 = 1 << 3;
const ACCESSED: u64 = 1 << 62;
const DIRTY: u64 = 1 << 63;
const LINK_ADDRESS: u64 = 0xffff_ffe0;
const PAGE_ADDRESS: u64 = 0xffff_f000;
const LARGE_ADDRESS: u64 = 0xffff_e000;

/// Reserved bits, address bits, and whether it is a leaf.
fn shape(level: Level, raw: u64) -> (u64, u64, bool) {
    match level.number() {
        1 => (RESERVED, PAGE_ADDRESS, true),
        2 if raw & LARGE != 0 => (RESERVED | 1 << 12, LARGE_ADDRESS, true),
        2 => (RESERVED, LINK_ADDRESS, false),
        _ => (RESERVED | LARGE, LINK_ADDRESS, false),
    }
}

impl Format for Toy {
    type Rights = Writable;

    const LEVELS: u8 = 3;
    const INDEX_BITS: [u8; 5] = [1, 1, 1, 0, 0];
    const ENTRY_BYTES: usize = 8;
    const SIGN_EXTENDED: bool = true;
    const ACCESSED_DIRTY: u64 = ACCESSED | DIRTY;

    fn decode(&self, level: Level, raw: u64) -> Entry {
        let (reserved, address, leaf) = shape(level, raw);
        match (raw & PRESENT != 0, raw & reserved, leaf) {
            (false, ..) => Entry::Absent,
            (_, 0, true) => Entry::Leaf(raw & address),
            (_, 0, false) => Entry::Table(raw & address),
            (_, reserved, _) => Entry::Malformed { reserved },
        }
    }

    fn root(&self, register: u64) -> u64 {
        register & LINK_ADDRESS
    }

    fn unrestricted(&self) -> Writable {
        Writable(true)
    }

    fn restrict(&self, above: Writable, _: Level, raw: u64) -> Writable {
        Writable(above.0 && raw & WRITE != 0)
    }

    fn relocate(&self, level: Level, raw: u64, to: u64) -> Option<u64> {
        let (_, address, _) = shape(level, raw);
        let sound = matches!(self.decode(level, raw), Entry::Leaf(_) | Entry::Table(_));
        (sound && to & !address == 0).then_some(raw & !address | to)
    }

    fn mark(&self, level: Level, raw: u64, written: bool) -> u64 {
        let (.., leaf) = shape(level, raw);
        raw | ACCESSED | if leaf && written { DIRTY } else { 0 }
    }

    fn contiguous(&self, level: Level, raw: u64) -> u64 {
        let (_, address, _) = shape(level, raw);
        let size = 1_u64 << (11 + level.number());
        ((1 << 32) - (raw & address)).div_ceil(size).max(1)
    }

    fn table_name(level: Level) -> &'static str {
        ["low", "middle", "high", "-", "-"][usize::from(level.number()) - 1]
    }
}

/// Attributes are W, A and D: they are at the same place at every level.
impl Encode for Toy {
    const RESTRICTED: u64 = 0;

    fn link(&self, level: Level, table: u64) -> Option<u64> {
        (level > Level::LEAF && table & !LINK_ADDRESS == 0).then_some(table | WRITE | PRESENT)
    }

    fn leaf(&self, level: Level, page: u64, attributes: u64) -> Option<u64> {
        let large = if level == Level::LEAF { 0 } else { LARGE };
        let (reserved, address, leaf) = shape(level, large);
        let raw = page | attributes & !(address | large) | large | PRESENT;
        (leaf && page & !address == 0 && raw & reserved == 0).then_some(raw)
    }

    fn attributes(&self, level: Level, raw: u64) -> u64 {
        let (_, address, _) = shape(level, raw);
        let marks = PRESENT | if level == Level::LEAF { 0 } else { LARGE };
        raw & !(address | marks)
    }

    fn widen(&self, _: Level, raw: u64, attributes: u64) -> u64 {
        raw | attributes & WRITE
    }

    fn narrow(&self, _: Level, raw: u64, most: impl Permissions) -> Option<u64> {
        let raw = if most.writable() { raw } else { raw & !WRITE };
        (most.user() && most.executable()).then_some(raw)
    }

    fn with_root(&self, register: u64, root: u64) -> Option<u64> {
        (root & !LINK_ADDRESS == 0).then_some(register & !LINK_ADDRESS | root)
    }

    fn highest_table_address(&self, _: Level) -> u64 {
        0xffff_ffff
    }
}

/// The distance between tables in [`graphs`], in bytes.
pub const STEP: u64 = 32;

/// What can stand in a slot of the graphs that [`graphs`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Zero.
    Zero,
    /// Not present, not zero.
    Absent,
    /// A large page at level 2 and a page at level 1, contiguous with its neighbours; malformed at level 3.
    Large {
        /// W.
        write: bool,
    },
    /// A page at level 1, contiguous with its neighbours; above a link to what is no memory.
    Page,
    /// Reserved bits.
    Malformed,
    /// A link to a table at any level.
    Link {
        /// Its number.
        table: u64,
        /// W.
        write: bool,
    },
}

impl Slot {
    /// Everything that there is, for graphs of so many tables.
    pub fn all(tables: u64) -> Vec<Self> {
        let mut all = vec![
            Self::Zero,
            Self::Absent,
            Self::Large { write: true },
            Self::Large { write: false },
            Self::Page,
            Self::Malformed,
        ];
        all.extend((0..tables).map(|table| Self::Link { table, write: true }));
        all.extend((0..tables).map(|table| Self::Link { table, write: false }));
        all
    }

    /// What differs in more than an address: absent, a page that can be written and one that cannot, malformed, and
    /// links of both kinds.
    pub fn kinds(tables: u64) -> Vec<Self> {
        Self::all(tables).into_iter().filter(|slot| !matches!(slot, Self::Zero | Self::Page)).collect()
    }

    /// Only what shapes a graph.
    pub fn shapes(tables: u64) -> Vec<Self> {
        let links = (0..tables).map(|table| Self::Link { table, write: true });
        [Self::Zero, Self::Page].into_iter().chain(links).collect()
    }

    fn raw(self, number: u64) -> u64 {
        let writable = |write: bool| if write { WRITE } else { 0 };
        match self {
            Self::Zero => 0,
            Self::Absent => 0x5a0,
            Self::Large { write } => ((number + 2) * 0x2000) | LARGE | writable(write) | PRESENT,
            Self::Page => ((number + 2) * 0x1000) | WRITE | PRESENT,
            Self::Malformed => RESERVED | WRITE | PRESENT,
            Self::Link { table, write } => (table * STEP) | writable(write) | PRESENT,
        }
    }
}

/// Every graph of `tables` tables whose slots are filled from `alphabet`, as memory from address 0 on.
pub fn graphs(tables: u64, alphabet: &[Slot]) -> impl Iterator<Item = Vec<u8>> {
    (0..(alphabet.len() as u64).pow(tables as u32 * 2)).map(move |number| graph(tables, alphabet, number))
}

/// The graph of that number among all [`graphs`].
pub fn graph(tables: u64, alphabet: &[Slot], mut number: u64) -> Vec<u8> {
    let slots: Vec<Slot> = (0..tables * 2)
        .map(|_| {
            let slot = alphabet[(number % alphabet.len() as u64) as usize];
            number /= alphabet.len() as u64;
            slot
        })
        .collect();
    lay_out(&slots, &(0..tables).collect::<Vec<_>>())
}

/// Tables with these slots, two each, as memory from address 0 on; `names` says which table is the how manieth there.
pub fn lay_out(slots: &[Slot], names: &[u64]) -> Vec<u8> {
    let mut memory = vec![0; names.len() * STEP as usize];
    for (slots, name) in slots.chunks_exact(2).zip(names) {
        for (&slot, index) in slots.iter().zip(0..) {
            let slot = match slot {
                Slot::Link { table, write } => Slot::Link { table: names[table as usize], write },
                other => other,
            };
            let at = (name * STEP + index * 8) as usize;
            memory[at..at + 8].copy_from_slice(&slot.raw(name * 2 + index).to_le_bytes());
        }
    }
    memory
}

/// Memory for [`graphs`] with bytes in every frame that their pages map. What is in it is not present in any entry, and
/// every fifth frame is like the first.
pub fn data() -> Frames {
    let mut memory = Frames::new();
    for frame in 0..24 {
        memory.add(frame * Frames::SIZE);
        if frame > 0 {
            memory.write(frame * Frames::SIZE + 8, 8, frame % 5 * 0x10);
            memory.write(frame * Frames::SIZE + 0xff8, 8, frame % 5);
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_all_different_and_of_the_number_they_must_have() {
        let all: std::collections::BTreeSet<_> = graphs(2, &Slot::all(2)).collect();
        assert_eq!(all.len(), 10_usize.pow(4));
        assert!(all.iter().all(|memory| memory.len() == 64));
        assert_eq!(graphs(3, &Slot::shapes(3)).count(), 5_usize.pow(6));
    }
}
