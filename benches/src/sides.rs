//! Who maps ranges: ours, the peers, and what it takes at least.
//!
//! All of them write entries of the same meaning to the same memory, from an empty root at [`ROOT`] on. The page before it
//! stays empty, because some peers take address 0 for none.
//!
//! | side | how it reaches tables | what it does beside |
//! |---|---|---|
//! | [`Ours`] | a slice | plans, reserves, says what to flush |
//! | [`Floor`] | a slice | nothing |
//! | [`Hyperlight`] | a pointer, each entry checked | maps only; 4 KiB pages only |
//! | [`Multiarch`], [`Generic`], [`X8664`] | a pointer, each table checked | [`Generic`] frees what is emptied |
#![allow(unsafe_code)]

mod floor;
mod peers;

pub use floor::Floor;
pub use peers::{Generic, Hyperlight, Multiarch, X8664};

use pt_amd64::FourLevel;
use pt_core::{BumpTables, Editor, Level, MapOptions, Protection};

use crate::PhysicalMemory;

/// The root of the space that is written.
pub const ROOT: u64 = 0x1000;
/// The first page that is free.
const FREE: usize = 2;

/// The right to write, in an entry.
const WRITABLE: u64 = 1 << 1;
/// No right to execute, in an entry.
const NO_EXECUTE: u64 = 1 << 63;

/// Memory with an empty root, and so many pages for tables.
pub fn empty(tables: usize) -> PhysicalMemory {
    let mut memory = PhysicalMemory::new(FREE + tables);
    memory.free_from(FREE);
    memory
}

/// Makes memory as empty as it was, but for the content of what becomes tables next.
pub fn clear(memory: &mut PhysicalMemory) {
    memory.clear(ROOT);
    memory.free_from(FREE);
}

/// Pages that are mapped, all of one size: writable, not executable.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first virtual address.
    pub va: u64,
    /// The first physical address.
    pub pa: u64,
    /// Bytes.
    pub len: u64,
    /// The level of the pages' entries: 1 or 2.
    pub level: u8,
}

impl Range {
    /// The size of a page in bytes.
    pub const fn page(&self) -> u64 {
        4096 << (9 * (self.level - 1))
    }

    const fn last(&self) -> u64 {
        self.va + self.len - 1
    }

    /// The same in pieces of `len` bytes.
    pub fn pieces(self, len: u64) -> impl Iterator<Item = Self> {
        (0..self.len / len).map(move |piece| Self {
            va: self.va + piece * len,
            pa: self.pa + piece * len,
            len,
            ..self
        })
    }
}

/// One that maps ranges. What is opened has the memory to itself; to open is no part of what is measured.
pub trait Side {
    /// The name in benchmark identifiers.
    const NAME: &'static str;
    /// What is written to.
    type Space<'m>;
    /// The space under [`ROOT`].
    fn open(memory: &mut PhysicalMemory) -> Self::Space<'_>;
    /// Maps where nothing is mapped.
    fn map(space: &mut Self::Space<'_>, range: &Range);
}

/// One that changes what is mapped, too.
pub trait Change: Side {
    /// Takes away what is mapped.
    fn unmap(space: &mut Self::Space<'_>, range: &Range);
    /// Gives the right to write, or takes it.
    fn protect(space: &mut Self::Space<'_>, range: &Range, writable: bool);
}

/// Our editor.
#[derive(Debug)]
pub struct Ours;

impl Side for Ours {
    const NAME: &'static str = "ours";
    type Space<'m> = (&'m mut [u8], BumpTables);

    fn open(memory: &mut PhysicalMemory) -> Self::Space<'_> {
        let (bytes, free) = memory.bytes_and_free_mut();
        let tables = BumpTables::new((*free * 4096) as u64..=bytes.len() as u64 - 1);
        (bytes, tables)
    }

    #[inline(always)]
    fn map((bytes, tables): &mut Self::Space<'_>, range: &Range) {
        let largest = Level::new(range.level).expect("a level");
        let options = MapOptions { largest, ..MapOptions::default() };
        let mut editor = Editor::new(FourLevel::default(), *bytes, &mut *tables, ROOT);
        let flush = editor.map(range.va..=range.last(), range.pa, WRITABLE | NO_EXECUTE, options);
        flush.expect("nothing is in the way").done(tables);
    }
}

impl Change for Ours {
    #[inline(always)]
    fn unmap((bytes, tables): &mut Self::Space<'_>, range: &Range) {
        let mut editor = Editor::new(FourLevel::default(), *bytes, &mut *tables, ROOT);
        let flush = editor.unmap(range.va..=range.last());
        flush.expect("nothing is in the way").done(tables);
    }

    #[inline(always)]
    fn protect((bytes, tables): &mut Self::Space<'_>, range: &Range, writable: bool) {
        let mut editor = Editor::new(FourLevel::default(), *bytes, &mut *tables, ROOT);
        let set = if writable { WRITABLE } else { 0 };
        let protection = Protection { clear: WRITABLE, set, ..Protection::default() };
        let flush = editor.protect(range.va..=range.last(), protection);
        flush.expect("all of it is mapped").done(tables);
    }
}
