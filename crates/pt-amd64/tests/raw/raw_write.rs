//! The writing side: what holds of it in every format, and tables behind pointers.

use std::cell::RefCell;

use pt_amd64::raw::{
    BasicMapping, LinkRights, MapError, Mapping, MappingKind, MayNotMoveTable, SpaceReferenceMapping,
    TableOps, TableReadOps, Void, map, space_aware_map, virt_to_phys,
};
use pt_amd64::{Features, FourLevel};
use pt_testkit::raw::{InPlace, Spaces};

pt_testkit::raw_writes!(crate::Amd64);

/// Bit 40 is none of an address, as with a machine that marks shared pages by it.
#[test]
fn a_range_keeps_to_one_side_of_a_bit_that_is_no_address() {
    const BIT: u64 = 1 << 40;
    let format = FourLevel::new(Features { ignored: BIT, ..Features::default() });
    let memory = InPlace::new(Spaces::new(format, 0x10_0000));
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });
    let map = |phys_base, len| memory.map(Mapping::new(phys_base, 0, len, kind));
    for phys_base in [BIT - 0x2000, 2 * BIT, 2 * BIT + 0xf000, 3 << 42] {
        assert_eq!(map(phys_base, 0x2000), Ok(()), "{phys_base:#x}");
        assert_eq!(memory.page(0x1000).map(|page| page.phys_base), Some(phys_base + 0x1000));
    }
    let before = memory.frames();
    for phys_base in [BIT - 0x1000, BIT, 2 * BIT - 0x2000, 3 * BIT] {
        let error = map(phys_base, 0x2000).expect_err("has an address with the bit");
        assert!(matches!(error, MapError::Unencodable { va: 0, pa, .. } if pa == phys_base), "{error}");
        assert!(memory.frames() == before, "{error}: something has changed");
    }
}

#[repr(C, align(4096))]
struct Table([u64; 512]);

/// An embedder that lives in the memory that it maps: addresses are pointers, and physical addresses are theirs.
struct Pointers {
    root: *mut u64,
    allocated: RefCell<Vec<*mut Table>>,
}

impl Pointers {
    fn new() -> Self {
        let mut pointers = Self { root: std::ptr::null_mut(), allocated: RefCell::default() };
        pointers.root = pointers.table();
        pointers
    }

    fn table(&self) -> *mut u64 {
        let table = Box::into_raw(Box::new(Table([0; 512])));
        self.allocated.borrow_mut().push(table);
        table.cast()
    }
}

impl Drop for Pointers {
    fn drop(&mut self) {
        for table in self.allocated.take() {
            // SAFETY: it came from `Box::into_raw`, and nobody reads it any more.
            drop(unsafe { Box::from_raw(table) });
        }
    }
}

impl TableReadOps for Pointers {
    type TableAddr = *mut u64;

    fn entry_addr(addr: *mut u64, entry_offset: u64) -> *mut u64 {
        addr.wrapping_byte_add(entry_offset as usize)
    }
    unsafe fn read_entry(&self, addr: *mut u64) -> u64 {
        // SAFETY: the caller promises that `addr` lies inside a table, and tables are aligned.
        unsafe { addr.read_volatile() }
    }
    fn to_phys(addr: *mut u64) -> u64 {
        addr.expose_provenance() as u64
    }
    fn from_phys(addr: u64) -> *mut u64 {
        std::ptr::with_exposed_provenance_mut(addr as usize)
    }
    fn root_table(&self) -> *mut u64 {
        self.root
    }
}

impl TableOps for Pointers {
    type TableMovability = MayNotMoveTable;

    unsafe fn alloc_table(&self) -> Option<*mut u64> {
        Some(self.table())
    }
    unsafe fn write_entry(&self, addr: *mut u64, entry: u64) -> Option<Void> {
        // SAFETY: the caller promises that `addr` lies inside a table, and tables are aligned.
        unsafe { addr.write_volatile(entry) };
        None
    }
    unsafe fn update_root(&self, _: *mut u64, never: Void) {
        match never {}
    }
}

impl AsRef<Self> for Pointers {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[test]
fn tables_behind_pointers_are_written() {
    let pointers = Pointers::new();
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: false });
    let upper = 0xffff_ffff_ffe0_0000;
    // SAFETY: all tables are those that were allocated here, and nothing else reads or writes them.
    unsafe {
        map(&pointers, Mapping::new(0x9000, upper, 0x20_0000, kind)).expect("there is memory");
        let rights = LinkRights { writable: false, ..LinkRights::ALL };
        let link = SpaceReferenceMapping { depth: 3, space: 0, our_va: 0, their_va: upper, entry: 0, rights };
        space_aware_map(&pointers, link, &[(0, pointers.root)]).expect("there is memory");
        // PDPT, PD and PT; and for the second way to the PT a PDPT and a PD.
        assert_eq!(pointers.allocated.borrow().len(), 1 + 3 + 2);
        let last = virt_to_phys::<Pointers>(&pointers, u64::MAX, 1).next().expect("the last page");
        let same = virt_to_phys::<Pointers>(&pointers, 0x1f_f000, 1).next().expect("the same page");
        assert_eq!((last.phys_base, same.phys_base), (0x20_8000, 0x20_8000));
        assert_eq!(last.kind, kind);
        let read_only =
            MappingKind::Basic(BasicMapping { readable: true, writable: false, executable: false });
        assert_eq!(same.kind, read_only);
    }
}
