//! Tables in a `Vec`, to be read: table `n` is at physical address `n × 4096`, the root of single-space calls is table 0.
//!
//! Reading anything but an entry of a table panics: the engine has no business there. [`Tables::walk`] checks what holds
//! of every walk before it returns.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use pt_core::raw::{Mapping, SpaceAwareMapping, SpaceId, TableReadOps};
use pt_core::{Format, Geometry, Level};

use super::{Bound, Walked, first_va, link_to};

/// Some tables, and the functions to read them with.
pub struct Tables<B> {
    entries: Vec<u64>,
    reads: Cell<usize>,
    bound: PhantomData<B>,
}

impl<B> fmt::Debug for Tables<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.entries.iter().enumerate().filter(|(_, raw)| **raw != 0);
        f.debug_map().entries(used.map(|(at, raw)| (at, format!("{raw:#x}")))).finish()
    }
}

impl<B: Bound> Tables<B> {
    /// The whole space, in upstream's reading: both halves, where there are two.
    pub const EVERYTHING: (u64, u64) = (0, B::Format::VA_MASK + 1);

    /// How many entries a table has.
    const ENTRIES: usize = 4096 / B::Format::ENTRY_BYTES;

    /// So many tables of zeros.
    pub fn new(count: usize) -> Self {
        Self { entries: vec![0; count * Self::ENTRIES], reads: Cell::new(0), bound: PhantomData }
    }

    /// `count` tables: the first ones are a root and a table of each level below it, linked from the first entries; the
    /// others are spare.
    pub fn line(count: usize) -> Self {
        let mut tables = Self::new(count);
        (0..usize::from(B::Format::LEVELS) - 1).for_each(|table| tables.link(table, 0, table + 1));
        tables
    }

    /// What an entry spans, by the depth of its table.
    pub fn span(depth: usize) -> u64 {
        B::Format::entry_span(Level::at_depth::<B::Format>(depth).expect("a depth"))
    }

    /// Writes an entry.
    pub fn set(&mut self, table: usize, index: usize, raw: u64) {
        assert!(B::Format::ENTRY_BYTES == 8 || raw < 1 << 32, "{raw:#x} is no entry");
        self.entries[table * Self::ENTRIES + index] = raw;
    }

    /// Links a table, with every right.
    pub fn link(&mut self, table: usize, index: usize, to: usize) {
        self.set(table, index, link_to(to));
    }

    /// How many entries were read since this was asked last.
    pub fn reads(&self) -> usize {
        self.reads.take()
    }

    /// Walks, and checks the promises that hold of every result: one list per root, by its address, in ascending order;
    /// references point back; and what is there, references followed, is what translating page by page gives.
    pub fn walk(&self, roots: &[usize], range: (u64, u64)) -> Walked {
        let walked = self.walk_only(roots, range);
        for (place, (root, (space, mappings))) in roots.iter().zip(&walked).enumerate() {
            assert_eq!(*space, *root as u64 * 4096);
            assert!(mappings.iter().map(first_va).is_sorted_by(|before, after| before < after));
            for mapping in mappings {
                let earlier = |id| walked[..place].iter().any(|(earlier, _)| *earlier == id);
                match mapping {
                    SpaceAwareMapping::AnotherSpace(link) => assert!(earlier(link.space), "{link:x?}"),
                    SpaceAwareMapping::SameSpace(link) => {
                        assert!(link.space == *space && link.their_va < link.our_va, "{link:x?}");
                    }
                    _ => {}
                }
            }
            let pages = self.pages_of(*root, range).map(|page| (page.virt_base, page.phys_base));
            assert!(Self::expanded(&walked[..=place]).into_iter().eq(pages), "space {place} of {walked:x?}");
        }
        self.reads();
        walked
    }

    /// Walks, and checks nothing.
    pub fn walk_only(&self, roots: &[usize], (address, len): (u64, u64)) -> Walked {
        let roots: Vec<u64> = roots.iter().map(|&root| root as u64 * 4096).collect();
        // SAFETY: reads are checked against the `Vec`, which nothing writes while it is borrowed.
        unsafe { B::walk_va_spaces(self, &roots, address, len) }
    }

    /// The only space of a walk of table 0.
    pub fn walk_one(&self, range: (u64, u64)) -> Vec<SpaceAwareMapping> {
        self.walk(&[0], range).remove(0).1
    }

    /// The pages of a range, translated one by one.
    pub fn pages(&self, range: (u64, u64)) -> impl Iterator<Item = Mapping> + '_ {
        self.pages_of(0, range)
    }

    fn pages_of(&self, root: usize, (address, len): (u64, u64)) -> impl Iterator<Item = Mapping> + '_ {
        // SAFETY: reads are checked against the `Vec`, which nothing writes while it is borrowed.
        unsafe { B::virt_to_phys(Rooted { tables: self, root: root as u64 * 4096 }, address, len) }
    }

    /// The pages of the last space, virtual and physical, with every reference replaced by what its owner has.
    fn expanded(walked: &[(SpaceId, Vec<SpaceAwareMapping>)]) -> BTreeMap<u64, u64> {
        let Some(((_, mappings), earlier)) = walked.split_last() else { return BTreeMap::new() };
        let mut pages = BTreeMap::new();
        for mapping in mappings {
            match mapping {
                SpaceAwareMapping::ThisSpace(page) => {
                    let offsets = (0..page.len).step_by(4096);
                    pages.extend(offsets.map(|offset| (page.virt_base + offset, page.phys_base + offset)));
                }
                SpaceAwareMapping::AnotherSpace(link) | SpaceAwareMapping::SameSpace(link) => {
                    let same_space = matches!(mapping, SpaceAwareMapping::SameSpace(_));
                    let owner = earlier.iter().position(|(space, _)| !same_space && *space == link.space);
                    let theirs =
                        owner.map_or_else(|| pages.clone(), |owner| Self::expanded(&earlier[..=owner]));
                    let span = link.their_va..=link.their_va + (Self::span(link.depth - 1) - 1);
                    let theirs = theirs.range(span).map(|(va, pa)| (va - link.their_va + link.our_va, *pa));
                    pages.extend(theirs.collect::<Vec<_>>());
                }
                SpaceAwareMapping::Fault(_) => {}
            }
        }
        pages
    }
}

/// Tables with the root of a call.
struct Rooted<'t, B> {
    tables: &'t Tables<B>,
    root: u64,
}

impl<B> Clone for Rooted<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Rooted<'_, B> {}

impl<B> AsRef<Self> for Rooted<'_, B> {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl<B: Bound> TableReadOps for Tables<B> {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        assert!(addr.is_multiple_of(4096) && entry_offset < 4096);
        assert!(entry_offset.is_multiple_of(B::Format::ENTRY_BYTES as u64));
        addr + entry_offset
    }

    unsafe fn read_entry(&self, addr: u64) -> u64 {
        self.reads.update(|reads| reads + 1);
        self.entries[addr as usize / B::Format::ENTRY_BYTES]
    }

    fn to_phys(addr: u64) -> u64 {
        addr
    }

    fn from_phys(addr: u64) -> u64 {
        addr
    }

    fn root_table(&self) -> u64 {
        0
    }
}

impl<B: Bound> TableReadOps for Rooted<'_, B> {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        Tables::<B>::entry_addr(addr, entry_offset)
    }

    unsafe fn read_entry(&self, addr: u64) -> u64 {
        // SAFETY: the caller promises what is asked for here.
        unsafe { self.tables.read_entry(addr) }
    }

    fn to_phys(addr: u64) -> u64 {
        addr
    }

    fn from_phys(addr: u64) -> u64 {
        addr
    }

    fn root_table(&self) -> u64 {
        self.root
    }
}
