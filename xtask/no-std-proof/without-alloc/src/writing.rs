//! The raw interface's writing side with no allocator: two spaces that share a PDPT, in memory that is copied when it is
//! first written.

use core::cell::Cell;

use pt_amd64::raw::{
    BasicMapping, Mapping, MappingKind, MayMoveTable, TableOps, TableReadOps, map, virt_to_phys,
};

const TABLE: usize = 512;
const TABLES: usize = 16;
/// Tables below this one are a snapshot: two roots, and the PDPT that both link.
const WRITTEN: usize = 3;
const RIGHTS: u64 = 0b111;
const READ_ONLY: u64 = 0b101;

struct Memory {
    entries: [Cell<u64>; TABLES * TABLE],
    free: Cell<usize>,
    roots: [Cell<u64>; 2],
}

impl Memory {
    fn allocate(&self) -> Option<u64> {
        let table = self.free.get();
        self.free.set(table + 1);
        (table < TABLES).then_some(table as u64 * 4096)
    }

    /// The only page at an address of one of the spaces.
    fn page(&self, space: usize, address: u64) -> Option<Mapping> {
        // SAFETY: reads are checked, and nothing writes meanwhile.
        unsafe { virt_to_phys(Space { memory: self, space }, address, 1) }.next()
    }
}

/// The memory, as one of the spaces has it.
#[derive(Clone, Copy)]
struct Space<'m> {
    memory: &'m Memory,
    space: usize,
}

impl AsRef<Self> for Space<'_> {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl TableReadOps for Space<'_> {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        addr + entry_offset
    }
    unsafe fn read_entry(&self, addr: u64) -> u64 {
        self.memory.entries[addr as usize / 8].get()
    }
    fn to_phys(addr: u64) -> u64 {
        addr
    }
    fn from_phys(addr: u64) -> u64 {
        addr
    }
    fn root_table(&self) -> u64 {
        self.memory.roots[self.space].get()
    }
}

impl TableOps for Space<'_> {
    type TableMovability = MayMoveTable;

    unsafe fn alloc_table(&self) -> Option<u64> {
        self.memory.allocate()
    }

    unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<u64> {
        let (from, at) = (addr as usize / 4096 * TABLE, addr as usize % 4096 / 8);
        let entries = &self.memory.entries;
        if from >= WRITTEN * TABLE {
            entries[from + at].set(entry);
            return None;
        }
        let to = self.memory.allocate().unwrap_or_default();
        let copy = to as usize / 8;
        (0..TABLE).for_each(|index| entries[copy + index].set(entries[from + index].get()));
        entries[copy + at].set(entry);
        Some(to)
    }

    unsafe fn update_root(&self, old: u64, new: u64) {
        self.memory.roots.iter().filter(|root| root.get() == old).for_each(|root| root.set(new));
    }

    fn other_root(&self, index: usize) -> Option<u64> {
        self.memory.roots.get(index).map(Cell::get)
    }
}

/// A page that is mapped through the first space's link is there for the second one, too, whose link is read-only.
#[allow(clippy::large_stack_arrays, reason = "64 KiB; there is nothing else to allocate from")]
pub(crate) fn check() -> bool {
    let memory = Memory {
        entries: [const { Cell::new(0) }; TABLES * TABLE],
        free: Cell::new(WRITTEN),
        roots: [Cell::new(0), Cell::new(0x1000)],
    };
    memory.entries[0].set(0x2000 | RIGHTS);
    memory.entries[TABLE].set(0x2000 | READ_ONLY);
    let all = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
    let two = Mapping::new(0xa_0000, 0x1f_f000, 0x2000, all);
    let kinds = |space| memory.page(space, 0x20_0000).map(|page| (page.phys_base, page.kind));
    let kept = MappingKind::Basic(BasicMapping { readable: true, writable: false, executable: true });
    // SAFETY: reads and writes are checked, and nothing else has the memory.
    let done = unsafe { map(&Space { memory: &memory, space: 0 }, two) };
    done == Ok(())
        && kinds(0) == Some((0xa_1000, all))
        && kinds(1) == Some((0xa_1000, kept))
        // The PDPT, both roots, and below it a PD and two PTs.
        && memory.free.get() == WRITTEN + 6
        && memory.roots.iter().all(|root| root.get() >= WRITTEN as u64 * 4096)
}
