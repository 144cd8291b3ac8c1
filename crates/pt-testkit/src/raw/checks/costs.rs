//! What a call reads, writes and allocates.

use std::cell::RefCell;
use std::collections::BTreeSet;

use pt_core::raw::{
    LinkRights, MapError, Mapping, MappingKind, MayNotMoveTable, RawFormat, SpaceReferenceMapping, TableOps,
    TableReadOps, Void,
};
use pt_core::{Format, Level};

use super::{ALL, PAGE, depths, empty, entry_at, link, map, page, span};
use crate::raw::{Bound, InPlace};

/// What is done to the entry at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read(u64),
    Write(u64),
}

/// Tables that keep what calls do to them, in order.
struct Logged<F> {
    memory: InPlace<F>,
    accesses: RefCell<Vec<Access>>,
}

impl<F> Logged<F> {
    fn new(memory: InPlace<F>) -> Self {
        Self { memory, accesses: RefCell::default() }
    }
}

impl<F: RawFormat> TableReadOps for Logged<F> {
    type TableAddr = u64;

    fn entry_addr(addr: u64, entry_offset: u64) -> u64 {
        addr + entry_offset
    }
    unsafe fn read_entry(&self, addr: u64) -> u64 {
        self.accesses.borrow_mut().push(Access::Read(addr));
        self.memory.entry(addr)
    }
    fn to_phys(addr: u64) -> u64 {
        addr
    }
    fn from_phys(addr: u64) -> u64 {
        addr
    }
    fn root_table(&self) -> u64 {
        self.memory.root_table()
    }
}

impl<F: RawFormat> TableOps for Logged<F> {
    type TableMovability = MayNotMoveTable;

    unsafe fn alloc_table(&self) -> Option<u64> {
        // SAFETY: the caller promises what is asked for here.
        unsafe { self.memory.alloc_table() }
    }
    unsafe fn write_entry(&self, addr: u64, entry: u64) -> Option<Void> {
        self.accesses.borrow_mut().push(Access::Write(addr));
        self.memory.set_entry(addr, entry);
        None
    }
    unsafe fn update_root(&self, _: u64, new: Void) {
        match new {}
    }
}

/// A page whose tables are there: one entry of each is read, and the last one is written.
pub fn known_ways_are_read_once<B: Bound>() {
    let logged = Logged::new(empty::<B>());
    map::<B>(&logged, page(0, 0x9000)).expect("is mapped");
    let (root, last) = (logged.memory.roots()[0], usize::from(B::Format::LEVELS) - 1);
    let entry = |depth| entry_at(&logged.memory, root, 5 * PAGE, depth);
    let mut expected: Vec<Access> = (0..=last).map(|depth| Access::Read(entry(depth))).collect();
    expected.push(Access::Write(entry(last)));
    for kind in [ALL, MappingKind::Unmapped] {
        logged.accesses.take();
        map::<B>(&logged, Mapping { kind, ..page(5 * PAGE, 0xa000) }).expect("is mapped");
        assert_eq!(logged.accesses.take(), expected, "{kind:?}");
    }
}

/// A page table is missing, and nothing else: all that is done to the new one is to write the page.
pub fn one_new_table_gets_its_page_and_no_more<B: Bound>() {
    let logged = Logged::new(empty::<B>());
    map::<B>(&logged, page(0, 0x9000)).expect("is mapped");
    logged.accesses.take();
    let last = usize::from(B::Format::LEVELS) - 1;
    let va = span::<B::Format>(last - 1) + 5 * PAGE;
    map::<B>(&logged, page(va, 0xa000)).expect("is mapped");
    let entry = entry_at(&logged.memory, logged.memory.roots()[0], va, last);
    let in_it = |access: &Access| match access {
        Access::Read(at) | Access::Write(at) => at & !(PAGE - 1) == entry & !(PAGE - 1),
    };
    let accesses = logged.accesses.take();
    assert_eq!(accesses.into_iter().filter(in_it).collect::<Vec<_>>(), [Access::Write(entry)]);
}

/// Tables that waited for others to be allocated have nothing in them but what was mapped: on both sides of a border of
/// the root's entries, all are new.
pub fn new_tables_hold_the_ways_alone<B: Bound>() {
    let memory = empty::<B>();
    let border = span::<B::Format>(0);
    map::<B>(&memory, Mapping { len: 2 * PAGE, ..page(border - PAGE, 0x9000) }).expect("is mapped");
    let entries_of = |(frame, entries): (u64, Vec<u64>)| {
        let used = entries.into_iter().enumerate().filter(|(_, raw)| *raw != 0);
        used.map(move |(index, _)| frame + (index * B::Format::ENTRY_BYTES) as u64)
    };
    let found: BTreeSet<u64> = memory.frames().into_iter().flat_map(entries_of).collect();
    let root = memory.roots()[0];
    let entry = |va| (0..usize::from(B::Format::LEVELS)).map(move |depth| (va, depth));
    let ways = [border - PAGE, border].into_iter().flat_map(entry);
    let expected: BTreeSet<u64> = ways.map(|(va, depth)| entry_at(&memory, root, va, depth)).collect();
    assert_eq!(found, expected);
}

/// Within a space: of the tables that are missing on the way to the link and on that to the table, those above where the
/// ways part are needed once.
pub fn ways_share_tables_until_they_part<B: Bound>() {
    for depth in depths::<B::Format>() {
        let their_va: u64 = (0..depth).map(|above| 3 * span::<B::Format>(above)).sum();
        for part in 0..=depth {
            let memory = empty::<B>();
            // They have neighbouring entries of the table where they part. Past the last one they do not.
            let our_va = if part < depth { their_va - span::<B::Format>(part) } else { their_va };
            let (ours, theirs, both) = (depth - 1, depth, part.min(depth - 1));
            takes_tables::<B>(&memory, (depth, our_va, their_va), ours + theirs - both);
        }
    }
}

/// The root has a table twice: what is missing below it is missing on both ways, though their addresses differ above.
pub fn ways_share_tables_below_one_that_hangs_twice<B: Bound>() {
    // Between that table and the one that is linked there has to be another.
    let depth = 3;
    if Level::at_depth::<B::Format>(depth).is_none() {
        return;
    }
    let [top, next, last] = [0, 1, 2].map(span::<B::Format>);
    for (ours, theirs, needed) in [(5, 5, 2), (5, 4, 3), (7, 0, 3)] {
        let memory = empty::<B>();
        takes_tables::<B>(&memory, (1, top, 0), 1);
        takes_tables::<B>(&memory, (depth, top + ours * next + last, theirs * next), needed);
    }
}

/// Links, within the only space, what is at one address at another. It takes so many tables: with less it fails and
/// keeps none, and all of them come into use.
fn takes_tables<B: Bound>(
    memory: &InPlace<B::Format>,
    (depth, our_va, their_va): (usize, u64, u64),
    needed: usize,
) {
    let rights = LinkRights::ALL;
    let reference = SpaceReferenceMapping { depth, space: 7, our_va, their_va, entry: 0, rights };
    let (roots, held) = ([(7, memory.roots()[0])], memory.held());
    for got in 0..needed {
        memory.allow(got);
        let done = link::<B, _>(memory, reference, &roots);
        assert_eq!(
            (done, memory.held()),
            (Err(MapError::OutOfTables { needed, got }), held),
            "{reference:x?}"
        );
    }
    memory.allow(needed);
    link::<B, _>(memory, reference, &roots).expect("there is just enough");
    assert_eq!(memory.held(), held + needed, "{reference:x?}");
}
