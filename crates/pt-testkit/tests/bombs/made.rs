//! Memory that is made up when it is read, and counts its reads.

use std::cell::Cell;

use pt_core::{Encode, Format, Geometry, Level, Memory, MemoryMut, Unreadable};
use pt_i686::{Pae, PaeFeatures};

/// PAE whose root can be any table: reserved bits of PDPTEs are not looked at.
pub(crate) fn pae() -> Pae {
    Pae::new(PaeFeatures { strict_pdpte: false, ..PaeFeatures::default() })
}

/// Memory whose entries are a function of table and index; no table where that says so.
pub(crate) struct Made<'a> {
    entry: Box<dyn Fn(u64, u64) -> Option<u64> + 'a>,
    width: usize,
    reads: Cell<u64>,
}

impl<'a> Made<'a> {
    /// Entries as `entry` gives them, of tables by number: that at `n << 12` is the `n`th. The width is the format's.
    pub(crate) fn new<F: Format>(_: &F, entry: impl Fn(u64, u64) -> Option<u64> + 'a) -> Self {
        Self { entry: Box::new(entry), width: F::ENTRY_BYTES, reads: Cell::new(0) }
    }

    /// How many reads there were since this was asked last.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.take()
    }
}

impl Memory for Made<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.reads.set(self.reads.get() + 1);
        let (table, within) = (address >> 12, (address & 0xfff) / self.width as u64);
        for (index, bytes) in (within..).zip(into.chunks_exact_mut(self.width)) {
            let raw = (self.entry)(table, index).ok_or(Unreadable::Outside)?;
            bytes.copy_from_slice(&raw.to_le_bytes()[..self.width]);
        }
        Ok(())
    }
}

/// It can be edited as far as nothing is written.
impl MemoryMut for Made<'_> {
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), Unreadable> {
        Err(Unreadable::Failed)
    }
}

/// A link at that level to the table of that number.
pub(crate) fn link<F: Encode>(format: &F, level: Level, table: u64) -> u64 {
    format.link(level, table << 12).expect("a table's address")
}

/// A page at level 1.
pub(crate) fn page<F: Encode>(format: &F, number: u64) -> u64 {
    format.leaf(Level::LEAF, number << 12, 6).expect("a page")
}

/// The level of the table of that number in [`bomb`].
pub(crate) fn level<F: Format>(number: u64) -> Level {
    Level::at_depth::<F>(number as usize).expect("a depth")
}

/// A table of each level, numbered from the root, all of whose entries link the next; those of the page table are pages.
/// What `differ` says of an index is changed in each entry.
pub(crate) fn bomb<'a, F: Encode + 'a>(format: &F, differ: fn(u64) -> u64) -> Made<'a> {
    let own = format.clone();
    Made::new(format, move |table, index| {
        let depth = table.checked_sub(1).filter(|&depth| depth < u64::from(F::LEVELS))?;
        let level = level::<F>(depth);
        let raw = if level == Level::LEAF { page(&own, 0x100 + index) } else { link(&own, level, table + 1) };
        Some(raw ^ differ(index))
    })
}

/// The root of [`bomb`].
pub(crate) const ROOT: u64 = 0x1000;

/// How many entries all tables of [`bomb`] have that are links.
pub(crate) fn links<F: Format>() -> u64 {
    (0..u64::from(F::LEVELS) - 1).map(|depth| F::entries(level::<F>(depth)) as u64).sum()
}
