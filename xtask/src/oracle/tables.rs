//! The tables of a guest, listed by a walk of its own: as plain as can be, and independent of what is being checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use super::pages::Mode;
use crate::qemu::Paging;

const PRESENT: u64 = 1;
const PS: u64 = 1 << 7;
const CR4_PSE: u64 = 1 << 4;

/// What a walk needs to know of a mode.
struct Shape {
    entry_bytes: usize,
    /// Entries per table, from the root down.
    entries: &'static [usize],
    /// Which bits of an entry address a table.
    address: u64,
    /// The heights above a page table at which PS makes a page: 1 is a directory.
    large: &'static [usize],
}

impl Shape {
    fn of(mode: Mode, paging: Paging) -> Self {
        let address = 0x000f_ffff_ffff_f000;
        let wide = |entries, large| Self { entry_bytes: 8, entries, address, large };
        match mode {
            Mode::TwoLevel => Self {
                entry_bytes: 4,
                entries: &[1024; 2],
                address: 0xffff_f000,
                large: if paging.cr4 & CR4_PSE != 0 { &[1] } else { &[] },
            },
            Mode::Pae => wide(&[4, 512, 512], &[1]),
            Mode::FourLevel => wide(&[512; 4], &[1, 2]),
            Mode::FiveLevel => wide(&[512; 5], &[1, 2]),
        }
    }
}

/// A table: where it is and how long, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Table {
    pub(super) address: u64,
    pub(super) bytes: u64,
}

/// What a walk has found.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) all: BTreeSet<Table>,
    /// Whether some entry is a link and, met at another depth, a page: then that page is a table.
    pub(super) map_themselves: bool,
}

/// All tables that these roots reach in flat memory, each once however often it is met.
pub(super) fn tables(raw: &File, mode: Mode, paging: Paging, roots: &[u64]) -> Result<Tables> {
    let shape = Shape::of(mode, paging);
    let mut depths = BTreeMap::<u64, BTreeSet<usize>>::new();
    let mut open: Vec<(usize, u64)> = roots.iter().map(|root| (0, root & mode.root_mask())).collect();
    let mut found = Tables::default();
    while let Some((depth, address)) = open.pop() {
        let known = depths.entry(address).or_default();
        if !known.insert(depth) {
            continue;
        }
        let table = Table { address, bytes: (shape.entries[depth] * shape.entry_bytes) as u64 };
        for entry in shape.present(raw, table)? {
            let is_link = |depth| shape.is_link(entry, depth);
            if is_link(depth) {
                open.push((depth + 1, entry & shape.address));
            }
            found.map_themselves |= known.iter().any(|&other| is_link(other) != is_link(depth));
        }
        found.all.insert(table);
    }
    Ok(found)
}

impl Shape {
    /// The present entries of a table.
    fn present(&self, raw: &File, table: Table) -> Result<Vec<u64>> {
        let mut bytes = vec![0; table.bytes as usize];
        let read = raw.read_exact_at(&mut bytes, table.address);
        read.with_context(|| format!("a table at {:#x}", table.address))?;
        let entries = bytes.chunks(self.entry_bytes);
        let entries =
            entries.map(|bytes| bytes.iter().rev().fold(0, |entry, &byte| entry << 8 | u64::from(byte)));
        Ok(entries.filter(|entry| entry & PRESENT != 0).collect())
    }

    /// Whether a present entry links a table, in a table at that depth.
    fn is_link(&self, entry: u64, depth: usize) -> bool {
        let height = self.entries.len() - 1 - depth;
        height > 0 && !(entry & PS != 0 && self.large.contains(&height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flat memory of 16 pages with these entries.
    fn memory(entries: &[(u64, u64)], bytes: usize) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(0x10000).expect("a length");
        for (address, entry) in entries {
            file.write_all_at(&entry.to_le_bytes()[..bytes], *address).expect("written");
        }
        file
    }

    fn found(mode: Mode, cr4: u64, entries: &[(u64, u64)], roots: &[u64]) -> Vec<(u64, u64)> {
        let raw = memory(entries, if mode == Mode::TwoLevel { 4 } else { 8 });
        let tables = tables(&raw, mode, Paging { cr4, efer: 0 }, roots).expect("tables");
        tables.all.iter().map(|table| (table.address, table.bytes)).collect()
    }

    #[test]
    fn tables_are_met_once_and_pages_are_none() {
        let (page, large) = (0x1000, 0xe081);
        // A table of the upper levels twice, a self-map, and pages that would be read as tables.
        let entries =
            [(0x1000, 0x2001), (0x1008, 0x2001), (0x1010, 0x1001), (0x2000, 0x3001), (0x2008, large)];
        let entries = [&entries[..], &[(0x3000, 0x4001), (0x3008, large), (0x4000, 0xf001)]].concat();
        let four = [0x1000, 0x2000, 0x3000, 0x4000].map(|address| (address, page));
        assert_eq!(
            found(Mode::FourLevel, 0, &entries, &[0x1000, 0x1018]),
            four.map(|(address, _)| (address, page))
        );
    }

    #[test]
    fn a_self_map_is_noticed() {
        let themselves = |link: u64| {
            let raw = memory(&[(0x1000, 0x2001), (0x2000, 0x3001), (0x3000, 0x4001), (0x4000, link)], 8);
            let paging = Paging { cr4: 0, efer: 0 };
            tables(&raw, Mode::FourLevel, paging, &[0x1000]).expect("tables").map_themselves
        };
        // A page that maps a table is no self-map: nothing but that page reads it otherwise.
        assert!(!themselves(0x3001) && !themselves(0xf001));
        let raw = memory(&[(0x1000, 0x1001)], 8);
        let paging = Paging { cr4: 0, efer: 0 };
        assert!(tables(&raw, Mode::FourLevel, paging, &[0x1000]).expect("tables").map_themselves);
    }

    #[test]
    fn modes_differ_in_shape() {
        let entries = [(0x1020, 0x2001), (0x2000, 0x3001), (0x2008, 0xe081), (0x3000, 0xf001)];
        assert_eq!(
            found(Mode::Pae, 0, &entries, &[0x1020]),
            [(0x1020, 32), (0x2000, 0x1000), (0x3000, 0x1000)]
        );
        let entries = [(0x1000, 0x2081), (0x1004, 0x3001), (0x3000, 0xf001)];
        assert_eq!(found(Mode::TwoLevel, CR4_PSE, &entries, &[0x1000]), [(0x1000, 0x1000), (0x3000, 0x1000)]);
        let all = [0x1000, 0x2000, 0x3000].map(|address| (address, 0x1000));
        assert_eq!(found(Mode::TwoLevel, 0, &entries, &[0x1000]), all);
        let entries = [(0x1000, 0x2001), (0x2000, 0x3081), (0x3000, 0x4081), (0x4000, 0x5001)];
        assert_eq!(found(Mode::FiveLevel, 0, &entries, &[0x1000]), all);
    }

    #[test]
    fn a_table_outside_memory_is_an_error() {
        let raw = memory(&[(0x1000, 0x20001)], 8);
        let paging = Paging { cr4: 0, efer: 0 };
        assert!(tables(&raw, Mode::FourLevel, paging, &[0x1000]).is_err());
    }
}
