//! Tables in a `Vec`: table `n` is at physical address `n × 4096`, the root of single-space calls is table 0.
//!
//! Reading anything but an entry of a table panics: the engine has no business there. [`Tables::walk`] checks what holds
//! of every walk before it returns.

use std::cell::Cell;
use std::collections::BTreeMap;

use pt_i686::raw::{Mapping, SpaceAwareMapping, SpaceId, TableReadOps, virt_to_phys, walk_va_spaces};

pub(crate) const WRITABLE: u32 = 1 << 1;
pub(crate) const USER: u32 = 1 << 2;
pub(crate) const LARGE: u32 = 1 << 7;

/// Present, with every right, accessed and dirty.
pub(crate) const ALL_RIGHTS: u32 = 0b110_0111;

/// The whole space.
pub(crate) const EVERYTHING: (u64, u64) = (0, 1 << 32);

/// What a slot of a page directory spans.
pub(crate) const SLOT: u64 = 4 << 20;

pub(crate) type Walked = Vec<(SpaceId, Vec<SpaceAwareMapping>)>;

pub(crate) struct Tables {
    entries: Vec<u32>,
    reads: Cell<usize>,
}

impl Tables {
    pub(crate) fn new(count: usize) -> Self {
        Self { entries: vec![0; count * 1024], reads: Cell::new(0) }
    }

    /// `count` tables: 0 is a page directory whose first entry links the page table 1; the others are spare.
    pub(crate) fn pair(count: usize) -> Self {
        let mut tables = Self::new(count);
        tables.link(0, 0, 1);
        tables
    }

    pub(crate) fn set(&mut self, table: usize, index: usize, raw: u32) {
        self.entries[table * 1024 + index] = raw;
    }

    /// Links a table, with every right.
    pub(crate) fn link(&mut self, table: usize, index: usize, to: usize) {
        self.set(table, index, link_to(to));
    }

    /// How many entries were read since this was asked last.
    pub(crate) fn reads(&self) -> usize {
        self.reads.take()
    }

    /// Walks, and checks the promises that hold of every result: one list per root, by its address, in ascending order;
    /// references point back; and what is there, references followed, is what translating page by page gives.
    pub(crate) fn walk(&self, roots: &[usize], range: (u64, u64)) -> Walked {
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
            assert!(expanded(&walked[..=place]).into_iter().eq(pages), "space {place} of {walked:x?}");
        }
        self.reads();
        walked
    }

    /// Walks, and checks nothing.
    pub(crate) fn walk_only(&self, roots: &[usize], (address, len): (u64, u64)) -> Walked {
        let roots: Vec<u64> = roots.iter().map(|&root| root as u64 * 4096).collect();
        // SAFETY: reads are checked against the `Vec`, which nothing writes while it is borrowed.
        unsafe { walk_va_spaces(self, &roots, address, len) }
    }

    /// The only space of a walk of table 0.
    pub(crate) fn walk_one(&self, range: (u64, u64)) -> Vec<SpaceAwareMapping> {
        self.walk(&[0], range).remove(0).1
    }

    pub(crate) fn pages(&self, range: (u64, u64)) -> impl Iterator<Item = Mapping> + '_ {
        self.pages_of(0, range)
    }

    fn pages_of(&self, root: usize, (address, len): (u64, u64)) -> impl Iterator<Item = Mapping> + '_ {
        // SAFETY: reads are checked against the `Vec`, which nothing writes while it is borrowed.
        unsafe { virt_to_phys(Rooted { tables: self, root: root as u64 * 4096 }, address, len) }
    }
}

/// A link to a table, with every right.
pub(crate) fn link_to(table: usize) -> u32 {
    (table as u32 * 4096) | ALL_RIGHTS
}

/// The first address that a mapping is about.
pub(crate) fn first_va(mapping: &SpaceAwareMapping) -> u64 {
    match mapping {
        SpaceAwareMapping::ThisSpace(page) => page.virt_base,
        SpaceAwareMapping::AnotherSpace(link) | SpaceAwareMapping::SameSpace(link) => link.our_va,
        SpaceAwareMapping::Fault(fault) => fault.va,
    }
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
                let theirs = owner.map_or_else(|| pages.clone(), |owner| expanded(&earlier[..=owner]));
                let span = link.their_va..=link.their_va + (SLOT - 1);
                let theirs = theirs.range(span).map(|(va, pa)| (va - link.their_va + link.our_va, *pa));
                pages.extend(theirs.collect::<Vec<_>>());
            }
            SpaceAwareMapping::Fault(_) => {}
        }
    }
    pages
}

/// Tables with the root of a call.
#[derive(Clone, Copy)]
struct Rooted<'t> {
    tables: &'t Tables,
    root: u64,
}

impl<'t> AsRef<Rooted<'t>> for Rooted<'t> {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl TableReadOps for Tables {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        assert!(addr.is_multiple_of(4096) && entry_offset < 4096 && entry_offset.is_multiple_of(4));
        addr + entry_offset
    }

    unsafe fn read_entry(&self, addr: u64) -> u64 {
        self.reads.update(|reads| reads + 1);
        self.entries[addr as usize / 4].into()
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

impl TableReadOps for Rooted<'_> {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        Tables::entry_addr(addr, entry_offset)
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
