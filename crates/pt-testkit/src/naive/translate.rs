//! One address, from the root down.

use super::{Event, Link, Meaning, Mode, Physical, Rights, decode, restrict};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The physical address of that very byte.
    pub pa: u64,
    /// The level of the leaf.
    pub level: u8,
    /// The leaf.
    pub raw: u64,
    /// The leaf's physical address.
    pub entry: u64,
    /// The rights of the path.
    pub rights: Rights,
}

/// Why it leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The space has no such address.
    NoSuchAddress,
    /// The entry on the path is not present; zero entries too.
    Absent {
        /// The level of the entry.
        level: u8,
        /// The raw entry.
        raw: u64,
        /// Its physical address.
        entry: u64,
    },
    /// [`Event::Malformed`] or [`Event::Unreadable`], of space 0; its `va` is the first address that is lost.
    Fault(Event),
}

/// The path of `va` through the tables of the root in `cr3`.
///
/// # Errors
///
/// The first entry or table of the path that ends it other than in a page.
pub fn translate(mode: &Mode, memory: &impl Physical, cr3: u64, va: u64) -> Result<Found, Lost> {
    let place = mode.place(va).ok_or(Lost::NoSuchAddress)?;
    let (space, mut level, mut table) = (0, mode.levels(), mode.root(cr3));
    let mut link = Link { raw: cr3, entry: None };
    let mut rights = Rights::ALL;
    loop {
        let index = place / mode.entry_span(level) % mode.entries(level);
        let entry = table + index * mode.entry_bytes();
        let raw = match memory.table(entry, 1, mode.entry_bytes()) {
            Ok(entries) => entries[0],
            Err(why) => {
                let va = mode.canonical(place - place % mode.table_span(level));
                return Err(Lost::Fault(Event::Unreadable { space, level, va, table, link, why }));
            }
        };
        rights = restrict(mode, rights, level, raw);
        let within = place % mode.entry_span(level);
        match decode(mode, level, raw) {
            Meaning::Absent => return Err(Lost::Absent { level, raw, entry }),
            Meaning::Malformed(reserved) => {
                let va = mode.canonical(place - within);
                return Err(Lost::Fault(Event::Malformed { space, level, va, raw, entry, reserved }));
            }
            Meaning::Leaf(pa) => return Ok(Found { pa: pa + within, level, raw, entry, rights }),
            Meaning::Table(child) => {
                level -= 1;
                table = child;
                link = Link { raw, entry: Some(entry) };
            }
        }
    }
}
