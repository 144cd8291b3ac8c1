//! Tables of which each is an allocation of its own behind a pointer: the sanitizer sees every access past a table's end.
//!
//! The embedder checks which table an address is in, as embedders of hostile tables must, and nothing else.

use std::cell::{Cell, RefCell};

use pt_core::raw::{MayMoveTable, MayNotMoveTable, RawFormat, TableOps, TableReadOps, Void};

use crate::scene::PAGES;

/// How many tables there can be in all.
const MOST: usize = PAGES + 12;

/// Where new tables are: where no entry leads, for what is in use cannot be given out.
const NEW: u64 = 0x5a5a_5000;

/// Tables by number: first those that there were, then new ones.
pub(super) struct Tables<F> {
    tables: [Cell<*mut [u8; 4096]>; MOST],
    /// One more than the last of them.
    count: Cell<usize>,
    /// What entries were before they were written.
    pub(super) before: RefCell<Vec<(u64, u64)>>,
    pub(super) roots: RefCell<[u64; 3]>,
    pub(super) current: Cell<usize>,
    /// Those that do not move any more.
    settled: RefCell<[bool; MOST]>,
    pub(super) allowed: Cell<usize>,
    format: F,
}

impl<F: RawFormat> Tables<F> {
    pub(super) fn new(format: &F, memory: &[u8], roots: [u64; 3]) -> Self {
        let tables = Self {
            tables: [const { Cell::new(std::ptr::null_mut()) }; MOST],
            count: Cell::new(0),
            before: RefCell::default(),
            roots: RefCell::new(roots),
            current: Cell::new(0),
            settled: RefCell::new([false; MOST]),
            allowed: Cell::new(0),
            format: format.clone(),
        };
        for page in memory.chunks(4096) {
            tables.add(page.try_into().expect("whole pages"));
        }
        tables
    }

    fn add(&self, bytes: [u8; 4096]) -> u64 {
        let table = self.count.get();
        self.tables[table].set(Box::into_raw(Box::new(bytes)));
        self.count.set(table + 1);
        match table.checked_sub(PAGES) {
            Some(new) => NEW + ((new as u64) << 12),
            None => (table as u64) << 12,
        }
    }

    /// The number of the table that has an address.
    fn number(addr: u64) -> Option<usize> {
        let number = addr.checked_sub(NEW).map_or(addr >> 12, |offset| PAGES as u64 + (offset >> 12));
        let known = if addr < NEW { PAGES } else { MOST };
        usize::try_from(number).ok().filter(|&number| number < known)
    }

    fn at(&self, addr: u64) -> Option<*mut u8> {
        let table = self.tables[Self::number(addr)?].get();
        (!table.is_null()).then(|| table.cast::<u8>().wrapping_add((addr & 0xfff) as usize))
    }

    fn read(&self, addr: u64) -> u64 {
        let Some(at) = self.at(addr) else { return 0 };
        // SAFETY: the engine asks for entries alone, which lie whole in the table.
        unsafe {
            if F::ENTRY_BYTES == 4 {
                u64::from(at.cast::<u32>().read_unaligned())
            } else {
                at.cast::<u64>().read_unaligned()
            }
        }
    }

    fn write(&self, addr: u64, entry: u64) {
        let Some(at) = self.at(addr) else { return };
        self.before.borrow_mut().push((addr, self.read(addr)));
        // SAFETY: as above.
        unsafe {
            if F::ENTRY_BYTES == 4 {
                at.cast::<u32>().write_unaligned(entry as u32);
            } else {
                at.cast::<u64>().write_unaligned(entry);
            }
        }
    }

    fn bytes(&self, table: u64) -> [u8; 4096] {
        // SAFETY: a pointer that is there is to a table that is there.
        self.at(table & !0xfff).map_or([0; 4096], |at| unsafe { *at.cast::<[u8; 4096]>() })
    }

    /// Whether every entry that was written is again what it was.
    pub(super) fn is_as_before(&self) -> bool {
        let before = self.before.borrow();
        let first = |index: usize, addr: u64| before[..index].iter().all(|&(other, _)| other != addr);
        before.iter().enumerate().all(|(index, &(addr, raw))| {
            // Tables that were given back are nobody's.
            !first(index, addr) || self.at(addr).is_none() || self.read(addr) == raw
        })
    }

    fn allocate(&self) -> Option<u64> {
        let allowed = self.allowed.get().checked_sub(1)?;
        if self.count.get() == MOST {
            return None;
        }
        self.allowed.set(allowed);
        self.settled.borrow_mut()[self.count.get()] = true;
        Some(self.add([0; 4096]))
    }

    fn free(&self, table: u64) {
        let number = Self::number(table).expect("a table that was allocated");
        let freed = self.tables[number].replace(std::ptr::null_mut());
        assert!(!freed.is_null(), "{table:#x} is given back twice");
        self.allowed.set(self.allowed.get() + 1);
        // SAFETY: it came from `Box::into_raw`, and nothing links it.
        drop(unsafe { Box::from_raw(freed) });
        // Mostly the last that was allocated is the first to go back.
        let held = self.tables.iter().rposition(|table| !table.get().is_null());
        self.count.set(held.map_or(0, |last| last + 1));
    }

    /// Where the table goes if it is written; none if it stays.
    fn moves(&self, addr: u64) -> Option<u64> {
        let (table, count) = (Self::number(addr)?, self.count.get());
        if table >= count || self.settled.borrow()[table] || count == MOST {
            return None;
        }
        let mut settled = self.settled.borrow_mut();
        (settled[table], settled[count]) = (true, true);
        Some(self.add(self.bytes(addr)))
    }
}

impl<F> Drop for Tables<F> {
    fn drop(&mut self) {
        for table in self.tables.iter().filter(|table| !table.get().is_null()) {
            // SAFETY: it came from `Box::into_raw`, and nobody reads it any more.
            drop(unsafe { Box::from_raw(table.get()) });
        }
    }
}

pub(super) struct Still<F>(Tables<F>);
pub(super) struct Moving<F>(Tables<F>);

pub(super) trait Embedder<F>: TableOps<TableAddr = u64> + AsRef<Self> + Sized {
    fn new(tables: Tables<F>) -> Self;
    fn tables(&self) -> &Tables<F>;
}

macro_rules! embedder {
    ($name:ident) => {
        impl<F> Embedder<F> for $name<F>
        where
            F: RawFormat,
        {
            fn new(tables: Tables<F>) -> Self {
                Self(tables)
            }
            fn tables(&self) -> &Tables<F> {
                &self.0
            }
        }

        impl<F> AsRef<Self> for $name<F> {
            fn as_ref(&self) -> &Self {
                self
            }
        }

        impl<F: RawFormat> TableReadOps for $name<F> {
            type TableAddr = u64;

            fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
                addr + entry_offset
            }
            unsafe fn read_entry(&self, addr: u64) -> u64 {
                self.0.read(addr)
            }
            fn to_phys(addr: u64) -> u64 {
                addr
            }
            fn from_phys(addr: u64) -> u64 {
                addr
            }
            fn root_table(&self) -> u64 {
                self.0.roots.borrow()[self.0.current.get()]
            }
        }
    };
}

embedder!(Still);
embedder!(Moving);

impl<F: RawFormat> TableOps for Still<F> {
    type TableMovability = MayNotMoveTable;

    unsafe fn alloc_table(&self) -> Option<u64> {
        self.0.allocate()
    }
    unsafe fn free_table(&self, table: u64) {
        self.0.free(table);
    }
    unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<Void> {
        self.0.write(addr, entry);
        None
    }
    unsafe fn update_root(&self, _: u64, new: Void) {
        match new {}
    }
}

impl<F: RawFormat> TableOps for Moving<F> {
    type TableMovability = MayMoveTable;

    unsafe fn alloc_table(&self) -> Option<u64> {
        self.0.allocate()
    }
    unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<u64> {
        let moved = self.0.moves(addr);
        self.0.write(moved.map_or(addr, |to| to | addr & 0xfff), entry);
        moved
    }
    unsafe fn update_root(&self, old: u64, new: u64) {
        let mut roots = self.0.roots.borrow_mut();
        let named = roots.iter_mut().filter(|root| self.0.format.root(**root) == old);
        named.for_each(|root| *root = new);
    }
    fn other_root(&self, index: usize) -> Option<u64> {
        self.0.roots.borrow().get(index).copied()
    }
}
