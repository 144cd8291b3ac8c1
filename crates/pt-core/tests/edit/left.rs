//! What is left to be done after an edit, and the tables that it takes and gives back.

use pt_amd64::FourLevel;
use pt_core::{BumpTables, EditError, Editor, MapOptions, Stale, StaleRange, TableAllocator, TableRequest};

use crate::{
    END, HERE, MIB, NEW, P, PAGE, PD, PDPT, PT, ROOT, U, W, edit, pages, pde, range, space, stale, used,
};

/// Tables from a stretch of memory, and those that were given back.
struct Held {
    tables: BumpTables,
    released: Vec<u64>,
}

impl TableAllocator for Held {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        self.tables.allocate(request)
    }
    fn release(&mut self, table: u64, request: &TableRequest) {
        assert_eq!((request.bytes, request.alignment), (4096, 4096));
        self.released.push(table);
    }
}

#[test]
fn tables_are_given_out_to_the_last_byte() {
    let mut tables = BumpTables::new(0x1100..=0x3fff);
    let page = TableRequest { bytes: 4096, alignment: 4096, highest: u64::MAX };
    let given = [(); 3].map(|()| tables.allocate(&page));
    assert_eq!(given, [Some(0x2000), Some(0x3000), None]);
    // Of a table that can be at 0x3000 no byte can be above 0x3fff.
    for (highest, given) in [(0x3fff, Some(0x3000)), (0x3ffe, None), (0x4000, Some(0x3000))] {
        let mut tables = BumpTables::new(0x3000..=0xffff);
        assert_eq!(tables.allocate(&TableRequest { highest, ..page }), given, "{highest:#x}");
    }
}

#[test]
fn an_allocator_can_be_lent() {
    let mut memory = space(&[]);
    let mut held = Held { tables: BumpTables::new(NEW..=END - 1), released: Vec::new() };
    let mut lent = &mut held;
    let mut editor = Editor::new(FourLevel::default(), &mut memory, &mut lent, ROOT).free_empty(true);
    editor.map(0..=PAGE - 1, 0x9000, W, MapOptions::default()).expect("maps").done(&mut lent);
    let unmapped = Editor::new(FourLevel::default(), &mut memory, &mut lent, ROOT)
        .free_empty(true)
        .unmap(0..=PAGE - 1)
        .expect("unmaps");
    assert_eq!(unmapped.freed_tables(), 3);
    unmapped.done(&mut lent);
    // The lowest first.
    assert_eq!(held.released, [0xa000, 0x9000, 0x8000]);
}

#[test]
fn how_many_tables_are_missing_is_said() {
    let mut memory = space(&[]);
    let before = memory.clone();
    let mut held = Held { tables: BumpTables::new(NEW..=NEW + 0x1fff), released: Vec::new() };
    let mut editor = Editor::new(FourLevel::default(), &mut memory, &mut held, ROOT);
    let refused = editor.map(0..=PAGE - 1, 0x9000, W, MapOptions::default()).expect_err("needs three");
    assert_eq!(refused, EditError::OutOfTables { needed: 3, got: 2 });
    assert_eq!((memory, held.released), (before, vec![0x8000, 0x9000]));
}

#[test]
fn tables_that_an_edit_empties_are_freed_if_that_is_asked_for() {
    let unmap = |entries: &[(u64, u64)], range: std::ops::RangeInclusive<u64>, free_empty| {
        let mut memory = space(entries);
        let flush = edit(&mut memory, |editor| editor.free_empty(free_empty).unmap(range)).expect("unmaps");
        let left = [ROOT, PDPT, PD, PT].map(|table| used(&memory, table).len());
        (flush.freed_tables(), left)
    };
    for (from, to) in [(4, 5), (4, 7), (0, 512)] {
        assert_eq!(unmap(&pages(from, to), range(from, to), true), (3, [0; 4]));
        assert_eq!(unmap(&pages(from, to), range(from, to), false), (0, [1, 1, 1, 0]));
    }
    // A page is left.
    assert_eq!(unmap(&pages(4, 7), range(5, 7), true), (0, [1, 1, 1, 1]));
    assert_eq!(unmap(&pages(4, 7), range(4, 5), true), (0, [1, 1, 1, 2]));
    // Another link is left.
    let other = [pages(4, 7), vec![(pde(9), 0x5000 | P | W | U)]].concat();
    assert_eq!(unmap(&other, range(4, 7), true), (1, [1, 1, 1, 0]));
}

#[test]
fn stale_ranges_are_listed_up_to_1024_of_them() {
    // Page tables side by side, in three directories, each with a page that has no neighbour.
    const FIRST: u64 = 0x8000;
    let tables = 1025;
    let mut memory = space(&[]);
    memory.truncate(FIRST as usize);
    memory.resize((FIRST + tables * PAGE) as usize, 0);
    let mut set = |at: u64, raw: u64| memory[at as usize..][..8].copy_from_slice(&raw.to_le_bytes());
    for directory in 0..3 {
        set(PDPT + directory * 8, (0x5000 + directory * PAGE) | P | W);
    }
    for table in 0..tables {
        let linked = FIRST + table * PAGE;
        set(0x5000 + table * 8, linked | P | W);
        set(linked + 8 * 8, 0x9000 | P | W);
    }
    let start = 1 << 39;
    let unmap = |tables: u64| {
        edit(&mut memory.clone(), |mut editor| editor.unmap(start..=start + tables * 2 * MIB - 1))
            .expect("unmaps")
    };
    let page = |table: u64| start + table * 2 * MIB + 8 * PAGE;
    let listed: Vec<_> = (0..1024)
        .map(|table| StaleRange { root: ROOT, first: page(table), last: page(table) + PAGE - 1 })
        .collect();
    assert_eq!(stale(&unmap(1024)), listed);
    assert_eq!(unmap(1025).stale(), &Stale::Everything);
}

#[test]
fn what_is_stale_can_be_compared_and_printed() {
    let unmapped = |from, to| {
        let flush = edit(&mut space(&pages(0, 9)), |mut editor| editor.unmap(range(from, to)));
        flush.expect("unmaps").stale().clone()
    };
    assert_eq!(unmapped(1, 2), unmapped(1, 2));
    assert_ne!(unmapped(1, 2), unmapped(1, 3));
    let range = StaleRange { root: ROOT, first: HERE + PAGE, last: HERE + 2 * PAGE - 1 };
    assert_eq!(format!("{:?}", unmapped(1, 2)), format!("Ranges([{range:?}])"));
}
