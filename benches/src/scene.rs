//! The tables that are measured: made by rule, the same in every run.
//!
//! A scene holds tables only, from page 1 on: some peers take address 0 for none. Its pages lie above all of them, where
//! nothing is read.

use crate::PhysicalMemory;
use crate::memory::PAGE;

/// How many page tables 1 GiB of 4 KiB pages needs on amd64.
pub const GIB: usize = 512;
/// How many the shared half of [`Scene::sharing`] has: 4 GiB.
pub const KERNEL: usize = 4 * GIB;

/// Present, writable, accessed.
const LINK: u64 = 0b10_0011;
/// Present, writable, accessed, dirty, no execute.
const DATA: u64 = 1 << 63 | 0b110_0011;
/// PS: a leaf above level 1.
const LARGE: u64 = 1 << 7;
/// Present, writable, user, accessed, dirty.
const DATA_I686: u32 = 0b110_0111;
/// Where the pages start: above all tables, and below what 32-bit entries can address.
const PAGES: u64 = 1 << 31;

/// What the entries of a scene's leaf tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// 4 KiB pages, each behind the one before it: one run per table.
    Contiguous,
    /// 4 KiB pages, none behind the one before it: no runs.
    Scattered,
    /// 4 KiB pages, one entry in 16 present, at places that follow no rule.
    Sparse,
    /// 2 MiB pages, each behind the one before it.
    Large,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Contiguous, Self::Scattered, Self::Sparse, Self::Large];

    /// The name in benchmark identifiers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contiguous => "contiguous",
            Self::Scattered => "scattered",
            Self::Sparse => "sparse",
            Self::Large => "large",
        }
    }

    /// The entry of the page with that number; 0 if there is none.
    fn entry(self, page: u64) -> u64 {
        match self {
            Self::Contiguous => (PAGES + (page << 12)) | DATA,
            // Odd multiples are all different modulo 2^20, and no two in a row are neighbours.
            Self::Scattered => (PAGES + ((page.wrapping_mul(0x9e37_79b1) & 0xf_ffff) << 12)) | DATA,
            Self::Sparse if scrambled(page).is_multiple_of(16) => (PAGES + (page << 12)) | DATA,
            Self::Sparse => 0,
            Self::Large => (PAGES + (page << 21)) | DATA | LARGE,
        }
    }
}

/// A number that follows no rule that a branch predictor learns (the finaliser of `SplitMix64`).
pub const fn scrambled(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Tables, and the spaces in them.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The tables, and nothing else.
    pub memory: PhysicalMemory,
    /// The roots, in the order in which they are walked.
    pub roots: Vec<u64>,
}

impl Scene {
    /// One amd64 space whose lower half holds `leaf_tables` full of `pattern`, from address 0 on.
    pub fn one(pattern: Pattern, leaf_tables: usize) -> Self {
        let above = leaf_tables.div_ceil(512) + usize::from(pattern != Pattern::Large) + 1;
        let mut memory = empty(leaf_tables + above);
        let top = half(&mut memory, pattern, 0, leaf_tables);
        let root = memory.allocate();
        memory.set_amd64(root, 0, top | LINK);
        Self { memory, roots: vec![root] }
    }

    /// So many amd64 spaces that share an upper half of 4 GiB in 4 KiB pages, and have in their lower halves `private`
    /// tables of their own each, the root included.
    pub fn sharing(pattern: Pattern, roots: usize, private: usize) -> Self {
        let mut memory = empty(KERNEL + KERNEL / 512 + 1 + roots * private);
        let kernel = half(&mut memory, pattern, 0, KERNEL);
        let spaces = (0..roots).map(|space| {
            let own = half(&mut memory, pattern, KERNEL + space * private, private - 3);
            let root = memory.allocate();
            memory.set_amd64(root, 0, own | LINK);
            memory.set_amd64(root, 256, kernel | LINK);
            root
        });
        Self { roots: spaces.collect(), memory }
    }

    /// The same in 2-level paging: the last GiB is shared.
    pub fn sharing_i686(pattern: Pattern, roots: usize, private: usize) -> Self {
        const KERNEL: usize = 256;
        let mut memory = empty(KERNEL + roots * private);
        let tables = |memory: &mut PhysicalMemory, count| -> Vec<u64> {
            (0..count).map(|_| leaf_table_i686(memory, pattern)).collect()
        };
        let kernel = tables(&mut memory, KERNEL);
        let spaces = (0..roots).map(|_| {
            let own = tables(&mut memory, private - 1);
            let root = memory.allocate();
            for (index, table) in own.iter().enumerate().chain((1024 - KERNEL..).zip(&kernel)) {
                memory.set_i686(root, index, *table as u32 | LINK as u32 | 0b100);
            }
            root
        });
        Self { roots: spaces.collect(), memory }
    }

    /// The bytes of all tables, and nothing else: what the floor reads.
    pub fn bytes_of_tables(&self) -> &[u8] {
        &self.memory.bytes()[PAGE..]
    }

    /// How many tables there are, all different.
    pub fn tables(&self) -> u64 {
        (self.bytes_of_tables().len() / PAGE) as u64
    }
}

/// Memory for so many tables, behind a page that stays empty.
fn empty(tables: usize) -> PhysicalMemory {
    let mut memory = PhysicalMemory::new(1 + tables);
    memory.allocate();
    memory
}

/// The PDPT above so many leaf tables, whose pages are numbered from that of the table `first` on.
fn half(memory: &mut PhysicalMemory, pattern: Pattern, first: usize, leaf_tables: usize) -> u64 {
    let leaf_tables: Vec<u64> = (first..first + leaf_tables)
        .map(|number| {
            let table = memory.allocate();
            for index in 0..512 {
                memory.set_amd64(table, index, pattern.entry((number * 512 + index) as u64));
            }
            table
        })
        .collect();
    if pattern == Pattern::Large {
        return above(memory, &leaf_tables);
    }
    let directories: Vec<u64> = leaf_tables.chunks(512).map(|tables| above(memory, tables)).collect();
    above(memory, &directories)
}

/// A table that links `tables`, 512 at most.
fn above(memory: &mut PhysicalMemory, tables: &[u64]) -> u64 {
    let table = memory.allocate();
    for (index, below) in tables.iter().enumerate() {
        memory.set_amd64(table, index, below | LINK);
    }
    table
}

fn leaf_table_i686(memory: &mut PhysicalMemory, pattern: Pattern) -> u64 {
    let table = memory.allocate();
    let first = table / PAGE as u64 * 1024;
    for index in 0..1024 {
        let frame = pattern.entry(first + index as u64) & 0xffff_f000;
        memory.set_i686(table, index, frame as u32 | DATA_I686);
    }
    table
}
