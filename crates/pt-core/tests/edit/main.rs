//! Edits of a few entries, of which everything is known: what becomes of them, what is read and written for that, and what
//! is left to be done.
#![cfg(feature = "alloc")]

mod decisions;
mod left;
mod memory;
mod shared;
mod sizes;

use pt_amd64::FourLevel;
use pt_core::{BumpTables, EditError, Editor, Flush, MemoryMut, Stale, StaleRange};
use pt_x86::EntryFlags;

const P: u64 = EntryFlags::PRESENT.bits();
const W: u64 = EntryFlags::WRITABLE.bits();
const U: u64 = EntryFlags::USER.bits();
const A: u64 = EntryFlags::ACCESSED.bits();
const D: u64 = EntryFlags::DIRTY.bits();
const LARGE: u64 = EntryFlags::LARGE.bits();
const NX: u64 = EntryFlags::NO_EXECUTE.bits();

const PAGE: u64 = 0x1000;
const MIB: u64 = 1 << 20;

/// The tables that every space here starts with, one of each level.
const ROOT: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const PD: u64 = 0x3000;
const PT: u64 = 0x4000;
/// What the page table translates, from here on: entries 1, 2 and 3 are on the way to it.
const HERE: u64 = 1 << 39 | 2 << 30 | 3 << 21;
/// Where new tables are, which hold anything before.
const NEW: u64 = 0x8000;
const END: u64 = 0x1_0000;

/// Memory with those tables, linked with all rights, and with these entries at these addresses.
fn space(entries: &[(u64, u64)]) -> Vec<u8> {
    let mut memory = vec![0; NEW as usize];
    memory.resize(END as usize, 0xff);
    let links = [(ROOT + 8, PDPT | P | W | U), (PDPT + 2 * 8, PD | P | W | U), (PD + 3 * 8, PT | P | W | U)];
    for (at, raw) in links.iter().chain(entries) {
        memory[*at as usize..][..8].copy_from_slice(&raw.to_le_bytes());
    }
    memory
}

/// The address of an entry of the page table.
const fn pte(index: u64) -> u64 {
    PT + index * 8
}

/// The address of an entry of the page directory.
const fn pde(index: u64) -> u64 {
    PD + index * 8
}

/// The entries `from..to` of the page table, as pages side by side from 4 MiB on.
fn pages(from: u64, to: u64) -> Vec<(u64, u64)> {
    (from..to).map(|index| (pte(index), (0x40_0000 + index * PAGE) | P | W)).collect()
}

/// The addresses of the pages `from..to` of the page table.
fn range(from: u64, to: u64) -> std::ops::RangeInclusive<u64> {
    HERE + from * PAGE..=HERE + to * PAGE - 1
}

/// The entries of the table there that are not zero.
fn used(memory: &[u8], table: u64) -> Vec<(u64, u64)> {
    let entries = memory[table as usize..][..4096].as_chunks::<8>().0;
    let raw = (0..).zip(entries.iter().map(|entry| u64::from_le_bytes(*entry)));
    raw.filter(|(_, raw)| *raw != 0).collect()
}

/// Edits the space of that memory.
fn edit<M: MemoryMut + ?Sized>(
    memory: &mut M,
    change: impl FnOnce(Editor<'_, FourLevel, M, BumpTables>) -> Result<Flush, EditError>,
) -> Result<Flush, EditError> {
    let mut tables = BumpTables::new(NEW..=END - 1);
    change(Editor::new(FourLevel::default(), memory, &mut tables, ROOT))
}

/// As [`edit`], where nothing is to be said against it and what it leaves to be done does not matter.
fn done<M: MemoryMut + ?Sized>(
    memory: &mut M,
    change: impl FnOnce(Editor<'_, FourLevel, M, BumpTables>) -> Result<Flush, EditError>,
) {
    drop(edit(memory, change).expect("nothing is against it"));
}

/// The ranges that are stale.
fn stale(flush: &Flush) -> &[StaleRange] {
    match flush.stale() {
        Stale::Nothing => &[],
        Stale::Ranges(ranges) => ranges,
        Stale::Everything => panic!("{flush:?}"),
    }
}
