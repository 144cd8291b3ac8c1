//! A format of one level, also through the raw interface: its root is a page table, and where that ends the space ends.
#![allow(unsafe_code)]

use pt_core::raw::{RawFormat, SpaceAwareMapping, TableReadOps, virt_to_phys, walk_va_spaces};
use pt_core::{
    Encode, Entry, Event, Extents, Format, Geometry, Leaves, Level, Limits, Options, Permissions, Translator,
    Walk,
};
use pt_testkit::toy::{Toy, Writable};

/// Tables of eight of the toy's pages, wherever they are.
#[derive(Clone, Copy, Debug, Default)]
struct One;

impl Format for One {
    type Rights = Writable;

    const LEVELS: u8 = 1;
    const INDEX_BITS: [u8; 5] = [3, 0, 0, 0, 0];
    const ENTRY_BYTES: usize = Toy::ENTRY_BYTES;
    const SIGN_EXTENDED: bool = false;
    const ACCESSED_DIRTY: u64 = Toy::ACCESSED_DIRTY;

    fn decode(&self, level: Level, raw: u64) -> Entry {
        Toy.decode(level, raw)
    }
    fn root(&self, register: u64) -> u64 {
        register & !0x1f
    }
    fn unrestricted(&self) -> Writable {
        Toy.unrestricted()
    }
    fn restrict(&self, above: Writable, level: Level, raw: u64) -> Writable {
        Toy.restrict(above, level, raw)
    }
    fn relocate(&self, level: Level, raw: u64, to: u64) -> Option<u64> {
        Toy.relocate(level, raw, to)
    }
    fn mark(&self, level: Level, raw: u64, written: bool) -> u64 {
        Toy.mark(level, raw, written)
    }
    fn contiguous(&self, level: Level, raw: u64) -> u64 {
        Toy.contiguous(level, raw)
    }
    fn table_name(level: Level) -> &'static str {
        Toy::table_name(level)
    }
}

impl Encode for One {
    const RESTRICTED: u64 = Toy::RESTRICTED;

    fn link(&self, _: Level, _: u64) -> Option<u64> {
        None
    }
    fn leaf(&self, level: Level, page: u64, attributes: u64) -> Option<u64> {
        Toy.leaf(level, page, attributes)
    }
    fn attributes(&self, level: Level, raw: u64) -> u64 {
        Toy.attributes(level, raw)
    }
    fn widen(&self, level: Level, raw: u64, attributes: u64) -> u64 {
        Toy.widen(level, raw, attributes)
    }
    fn narrow(&self, level: Level, raw: u64, most: impl Permissions) -> Option<u64> {
        Toy.narrow(level, raw, most)
    }
    fn with_root(&self, register: u64, root: u64) -> Option<u64> {
        root.is_multiple_of(32).then_some(register & 0x1f | root)
    }
    fn highest_table_address(&self, _: Level) -> u64 {
        u64::MAX
    }
}

impl RawFormat for One {
    const PERMISSIVE: u64 = 0b10;
    const KIND_BITS: u64 = 0;
    const COPY_ON_WRITE: u64 = 1;
}

/// Two are absent, of which one is not zero; what is between them is contiguous.
const TABLE: [u64; 8] = [0x5003, 0x6003, 0x7003, 0x123_4560, 0x3003, 0x4003, 0, 0xb003];

/// Each page and its frame.
const PAGES: [(u64, u64); 6] =
    [(0, 0x5000), (0x1000, 0x6000), (0x2000, 0x7000), (0x4000, 0x3000), (0x5000, 0x4000), (0x7000, 0xb000)];

fn memory() -> Vec<u8> {
    TABLE.iter().flat_map(|raw| raw.to_le_bytes()).collect()
}

#[test]
fn a_table_is_all_that_is_walked() {
    let memory = memory();
    let leaves = |leaves, range| -> Vec<(u64, u64, u32)> {
        let options = Options { leaves, range, ..Options::default() };
        let events =
            Walk::single(One, &memory, 0, options, Limits::NONE).map(|event| event.expect("no limit"));
        events
            .filter_map(|event| match event {
                Event::Leaf(leaf) => Some((leaf.va, leaf.pa, leaf.pages)),
                _ => None,
            })
            .collect()
    };
    let each = PAGES.map(|(va, pa)| (va, pa, 1));
    assert_eq!(leaves(Leaves::Each, 0..=u64::MAX), each);
    assert_eq!(leaves(Leaves::Each, 0x2345..=0x4000), each[2..4]);
    let runs = [(0, 0x5000, 3), (0x4000, 0x3000, 2), (0x7000, 0xb000, 1)];
    assert_eq!(leaves(Leaves::Runs, 0..=u64::MAX), runs);
    assert_eq!(leaves(Leaves::Runs, 0x1000..=0x4fff), [(0x1000, 0x6000, 2), (0x4000, 0x3000, 1)]);
}

#[test]
fn a_range_is_told_from_its_first_byte_to_its_last() {
    let memory = memory();
    let told = [
        (0x1234, 0xdcc, Some(0x6234)),
        (0x2000, 0x1000, Some(0x7000)),
        (0x3000, 0x1000, None),
        (0x4000, 0x1000, Some(0x3000)),
        (0x5000, 0x457, Some(0x4000)),
    ];
    let extents = || {
        let extents = Extents::new(One, &memory, 0, 0x1234..=0x5456);
        extents.map(|extent| (extent.va, extent.len, extent.to.ok().map(|found| found.pa)))
    };
    let (mut one_by_one, mut at_once) = (Vec::new(), Vec::new());
    for extent in extents() {
        one_by_one.push(extent);
    }
    assert_eq!(one_by_one, told);
    extents().for_each(|extent| at_once.push(extent));
    assert_eq!(at_once, told);
    let mut space = Translator::new(One, &memory, 0);
    for (va, pa) in PAGES {
        assert_eq!(space.translate(va | 0x123).map(|found| found.pa), Ok(pa | 0x123));
    }
    space.translate(0x8000).expect_err("the space has no such address");
}

/// The table in the last bytes that there are.
struct Highest;

const ROOT: u64 = 0xffff_ffff_ffff_ffc0;

impl AsRef<Self> for Highest {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl TableReadOps for Highest {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        addr + entry_offset
    }
    unsafe fn read_entry(&self, addr: u64) -> u64 {
        TABLE[(addr - ROOT) as usize / 8]
    }
    fn to_phys(addr: u64) -> u64 {
        addr
    }
    fn from_phys(addr: u64) -> u64 {
        addr
    }
    fn root_table(&self) -> u64 {
        ROOT
    }
}

#[test]
fn the_raw_interface_reads_it_where_memory_ends() {
    // SAFETY: a table that nothing writes.
    let mut walked = unsafe { walk_va_spaces(One, &Highest, &[ROOT], 0, One::VA_MASK + 1) };
    assert_eq!(walked.len(), 1);
    let (space, pages) = walked.remove(0);
    let pages = pages.iter().map(|mapping| match mapping {
        SpaceAwareMapping::ThisSpace(page) => (page.virt_base, page.phys_base),
        other => panic!("{other:x?}"),
    });
    assert_eq!(space, ROOT);
    assert!(pages.eq(PAGES));
    // SAFETY: as above.
    let pages = unsafe { virt_to_phys(One, &Highest, 0, One::VA_MASK + 1) };
    assert!(pages.map(|page| (page.virt_base, page.phys_base)).eq(PAGES));
}
