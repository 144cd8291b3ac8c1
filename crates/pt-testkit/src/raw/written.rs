//! Tables to be written: such that stay where they are, and such that move when they are first written.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use pt_core::Geometry;
use pt_core::raw::{
    MapError, Mapping, MayMoveTable, MayNotMoveTable, RawFormat, SpaceReferenceMapping, TableOps,
    TableReadOps, Void, map, space_aware_map, virt_to_phys, walk_va_spaces,
};

use super::Walked;
use crate::generate::Case;

/// Frames of tables, some roots among them.
#[derive(Clone, Debug)]
pub struct Spaces<F> {
    /// The entries of each frame that can be read.
    frames: RefCell<BTreeMap<u64, Vec<u64>>>,
    /// Where the next frame is taken from, and how many may be.
    next: Cell<u64>,
    left: Cell<usize>,
    /// Those that were taken and not given back.
    held: RefCell<BTreeSet<u64>>,
    /// Whether frames that were never mentioned are zeros, as they are in a graph whose links lead anywhere.
    sparse: bool,
    /// The roots, and which of them calls act on.
    roots: RefCell<Vec<u64>>,
    current: Cell<usize>,
    format: F,
}

impl<F: RawFormat> Spaces<F> {
    /// No frames, one root; new frames from `first` on.
    pub fn new(format: F, first: u64) -> Self {
        let spaces = Self {
            frames: RefCell::default(),
            next: Cell::new(first),
            left: Cell::new(usize::MAX),
            held: RefCell::default(),
            sparse: false,
            roots: RefCell::default(),
            current: Cell::new(0),
            format,
        };
        spaces.add_root();
        spaces
    }

    /// The frames and roots of a generated case, and zeros wherever else its links lead; new frames from `first` on.
    pub fn of_case(format: F, case: &Case, first: u64) -> Self {
        let entries = |bytes: &[u8]| bytes.chunks_exact(F::ENTRY_BYTES).map(entry_of).collect();
        let frames = case.memory.iter().filter_map(|(frame, bytes)| Some((frame, entries(bytes?))));
        Self {
            frames: RefCell::new(frames.collect()),
            next: Cell::new(first),
            left: Cell::new(usize::MAX),
            held: RefCell::default(),
            sparse: true,
            roots: RefCell::new(case.roots.clone()),
            current: Cell::new(0),
            format,
        }
    }

    /// Tables by address, and roots among them.
    pub fn of_tables<'t>(
        format: F,
        tables: impl IntoIterator<Item = (u64, &'t [u8])>,
        roots: impl IntoIterator<Item = u64>,
    ) -> Self {
        let entries = |bytes: &[u8]| bytes.chunks_exact(F::ENTRY_BYTES).map(entry_of).collect();
        let frames = tables.into_iter().map(|(address, bytes)| (address, entries(bytes))).collect();
        let spaces = Self::new(format, 0);
        Self {
            frames: RefCell::new(frames),
            held: RefCell::default(),
            roots: RefCell::new(roots.into_iter().collect()),
            ..spaces
        }
    }

    /// How the entries are read.
    pub const fn format(&self) -> &F {
        &self.format
    }

    /// One more root, which calls act on from now on.
    pub fn add_root(&self) -> u64 {
        let root = self.frame().expect("roots are not counted");
        self.roots.borrow_mut().push(root);
        self.act_on(self.roots.borrow().len() - 1);
        root
    }

    /// Which root calls act on.
    pub fn act_on(&self, root: usize) {
        self.current.set(root);
    }

    /// All roots, where they are now.
    pub fn roots(&self) -> Vec<u64> {
        self.roots.borrow().clone()
    }

    /// Takes frames from here on from now on.
    pub fn next_frame(&self, next: u64) {
        self.next.set(next);
    }

    /// No more than so many tables from now on.
    pub fn allow(&self, tables: usize) {
        self.left.set(tables);
    }

    /// How many frames were taken and not given back.
    pub fn held(&self) -> usize {
        self.held.borrow().len()
    }

    /// Every frame, with its entries.
    pub fn frames(&self) -> BTreeMap<u64, Vec<u64>> {
        self.frames.borrow().clone()
    }

    /// The entry at a physical address.
    pub fn entry(&self, addr: u64) -> u64 {
        let frames = self.frames.borrow();
        let frame = frames.get(&(addr & !0xfff));
        assert!(self.sparse || frame.is_some(), "no table holds {addr:#x}");
        frame.map_or(0, |frame| frame[(addr & 0xfff) as usize / F::ENTRY_BYTES])
    }

    /// Writes the entry at a physical address, in a table that stays where it is.
    pub fn set_entry(&self, addr: u64, raw: u64) {
        let (mut frames, narrow) = (self.frames.borrow_mut(), F::ENTRY_BYTES == 4);
        let known = frames.contains_key(&(addr & !0xfff));
        assert!(self.sparse || known, "no table holds {addr:#x}");
        if !known && raw == 0 {
            return;
        }
        let frame = frames.entry(addr & !0xfff).or_insert_with(|| vec![0; 4096 / F::ENTRY_BYTES]);
        frame[(addr & 0xfff) as usize / F::ENTRY_BYTES] = if narrow { raw & 0xffff_ffff } else { raw };
    }

    /// The root table that was at `old` is at `new`.
    pub fn move_root(&self, old: u64, new: u64) {
        let mut roots = self.roots.borrow_mut();
        let named = roots.iter_mut().filter(|root| self.format.root(**root) == old);
        named.for_each(|root| *root = self.format.with_root(*root, new).expect("a root"));
    }

    fn frame(&self) -> Option<u64> {
        let left = self.left.get();
        self.left.set(left.checked_sub(1)?);
        let frame = self.next.replace(self.next.get() + 4096);
        self.frames.borrow_mut().insert(frame, vec![0; 4096 / F::ENTRY_BYTES]);
        self.held.borrow_mut().insert(frame);
        Some(frame)
    }

    fn free(&self, frame: u64) {
        assert!(self.held.borrow_mut().remove(&frame), "{frame:#x} was not taken");
        self.frames.borrow_mut().remove(&frame);
    }
}

/// A little-endian entry of 4 or 8 bytes.
fn entry_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |raw, &byte| raw << 8 | u64::from(byte))
}

/// Tables that are written where they stand.
#[derive(Clone, Debug)]
pub struct InPlace<F>(Spaces<F>);

/// Tables that move when they are first written. Where they were cannot be read or written any more.
#[derive(Clone, Debug)]
pub struct Moving<F> {
    spaces: Spaces<F>,
    /// The tables that still have to move.
    snapshot: RefCell<BTreeSet<u64>>,
    moved: RefCell<BTreeMap<u64, u64>>,
    /// Where the next one goes.
    scratch: Cell<u64>,
    /// Whether other roots than the one in use are named.
    names_others: bool,
}

impl<F: RawFormat> InPlace<F> {
    fn look(&self, addr: u64) -> u64 {
        self.entry(addr)
    }
}

impl<F> InPlace<F> {
    /// With these frames.
    pub const fn new(spaces: Spaces<F>) -> Self {
        Self(spaces)
    }

    /// The frames alone.
    pub fn into_spaces(self) -> Spaces<F> {
        self.0
    }
}

impl<F: RawFormat> Moving<F> {
    /// With these frames, all of which have to move: to `scratch` and above.
    pub fn new(spaces: Spaces<F>, scratch: u64) -> Self {
        let snapshot = RefCell::new(spaces.frames.borrow().keys().copied().collect());
        let scratch = Cell::new(scratch);
        Self { spaces, snapshot, moved: RefCell::default(), scratch, names_others: true }
    }

    /// The same, naming no root but the one in use.
    pub fn alone(self) -> Self {
        Self { names_others: false, ..self }
    }

    /// Where each table went that moved.
    pub fn moved(&self) -> BTreeMap<u64, u64> {
        self.moved.borrow().clone()
    }

    fn look(&self, addr: u64) -> u64 {
        let gone = self.moved.borrow().get(&(addr & !0xfff)).copied();
        assert_eq!(gone, None, "{addr:#x} is read where it was");
        self.entry(addr)
    }

    fn write(&self, addr: u64, raw: u64) -> Option<u64> {
        let (table, offset) = (addr & !0xfff, addr & 0xfff);
        assert!(!self.moved.borrow().contains_key(&table), "{addr:#x} is written where it was");
        if !self.snapshot.borrow_mut().remove(&table) {
            self.set_entry(addr, raw);
            return None;
        }
        let to = self.scratch.replace(self.scratch.get() + 4096);
        let mut frames = self.frames.borrow_mut();
        let entries = frames.remove(&table).expect("what is to move is there");
        frames.insert(to, entries);
        drop(frames);
        assert_eq!(self.moved.borrow_mut().insert(table, to), None, "{table:#x} moved before");
        self.set_entry(to + offset, raw);
        Some(to)
    }
}

impl<F> Deref for InPlace<F> {
    type Target = Spaces<F>;

    fn deref(&self) -> &Spaces<F> {
        &self.0
    }
}

impl<F> Deref for Moving<F> {
    type Target = Spaces<F>;

    fn deref(&self) -> &Spaces<F> {
        &self.spaces
    }
}

/// What both read alike, and the functions under test as safe ones.
macro_rules! written {
    ($name:ident) => {
        impl<F: RawFormat> TableReadOps for $name<F> {
            type TableAddr = u64;

            fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
                assert!(addr.is_multiple_of(4096) && entry_offset < 4096);
                assert!(entry_offset.is_multiple_of(F::ENTRY_BYTES as u64));
                addr + entry_offset
            }

            unsafe fn read_entry(&self, addr: u64) -> u64 {
                self.look(addr)
            }

            fn to_phys(addr: u64) -> u64 {
                addr
            }

            fn from_phys(addr: u64) -> u64 {
                addr
            }

            fn root_table(&self) -> u64 {
                self.roots.borrow()[self.current.get()]
            }
        }

        impl<F> AsRef<Self> for $name<F> {
            fn as_ref(&self) -> &Self {
                self
            }
        }

        // SAFETY of every call in here: reads and writes of these tables are checked, and nothing else has them.
        impl<F: RawFormat> $name<F> {
            /// Maps in the space of the root in use.
            pub fn map(&self, mapping: Mapping) -> Result<(), MapError> {
                // SAFETY: as above.
                unsafe { map(&self.format, self, mapping) }
            }

            /// Links in the space of the root in use.
            pub fn link(
                &self,
                reference: SpaceReferenceMapping,
                built_roots: &[(u64, u64)],
            ) -> Result<(), MapError> {
                // SAFETY: as above.
                unsafe { space_aware_map(&self.format, self, reference, built_roots) }
            }

            /// The page that holds `va` in the space of the root in use.
            pub fn page(&self, va: u64) -> Option<Mapping> {
                // SAFETY: as above.
                unsafe { virt_to_phys(self.format.clone(), self, va, 1) }.next()
            }

            /// Walks all spaces.
            pub fn walk(&self) -> Walked {
                self.walk_range((0, F::VA_MASK + 1))
            }

            /// Walks all spaces over a range.
            pub fn walk_range(&self, (address, len): (u64, u64)) -> Walked {
                // SAFETY: as above.
                unsafe { walk_va_spaces(self.format.clone(), self, &self.roots(), address, len) }
            }
        }
    };
}

written!(InPlace);
written!(Moving);

impl<F: RawFormat> TableOps for InPlace<F> {
    type TableMovability = MayNotMoveTable;

    unsafe fn alloc_table(&self) -> Option<u64> {
        self.frame()
    }

    unsafe fn free_table(&self, table: u64) {
        self.free(table);
    }

    unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<Void> {
        self.set_entry(addr, entry);
        None
    }

    unsafe fn update_root(&self, _: u64, new: Void) {
        match new {}
    }
}

impl<F: RawFormat> TableOps for Moving<F> {
    type TableMovability = MayMoveTable;

    unsafe fn alloc_table(&self) -> Option<u64> {
        self.frame()
    }

    unsafe fn free_table(&self, table: u64) {
        self.free(table);
    }

    unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<u64> {
        self.write(addr, entry)
    }

    unsafe fn update_root(&self, old: u64, new: u64) {
        self.move_root(old, new);
    }

    fn other_root(&self, index: usize) -> Option<u64> {
        self.roots.borrow().get(index).copied().filter(|_| self.names_others)
    }
}
