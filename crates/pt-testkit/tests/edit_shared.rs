//! Edits where tables are shared or links cap rights, and the defects of others that concern editing.

use pt_amd64::FourLevel;
use pt_core::{
    BumpTables, EditError, Editor, Event, Flush, Geometry, Level, MapOptions, OnShared, Options, Protection,
    Reach, Sharing, Stale, StaleRange, TableAllocator, TableRequest, Walk, translate,
};
use pt_x86::EntryFlags;

const P: u64 = 1;
const W: u64 = EntryFlags::WRITABLE.bits();
const U: u64 = EntryFlags::USER.bits();
const NX: u64 = EntryFlags::NO_EXECUTE.bits();
const LARGE: u64 = EntryFlags::LARGE.bits();

/// Two roots (0x1000, 0x2000) that share a PDPT (0x3000) at slot 1 of the first and at slots 2 and 256 of the second,
/// read-only in slot 2. Below it a PD (0x4000), a PT (0x5000) with four pages, and a 2 MiB page.
fn shared() -> Vec<u8> {
    let mut memory = vec![0; 0x10_0000];
    let entries = [
        (0x1008, 0x3000 | P | W | U),
        (0x2010, 0x3000 | P | U),
        (0x2800, 0x3000 | P | W | U),
        (0x3000, 0x4000 | P | W | U),
        (0x4000, 0x5000 | P | W | U),
        (0x4008, 0x4000_0000 | P | W | U | LARGE),
        (0x5000, 0xa000 | P | W | U),
        (0x5008, 0xb000 | P | W | U),
        (0x5010, 0xc000 | P | W | U),
        (0x5018, 0xd000 | P | W | U),
    ];
    for (at, raw) in entries {
        memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    }
    memory
}

const SLOT: u64 = 1 << 39;
const HIGH: u64 = 0xffff_8000_0000_0000;

fn tables() -> BumpTables {
    BumpTables::new(0x2_0000..=0xf_ffff)
}

fn sharing(memory: &[u8]) -> Sharing {
    let walk = Walk::new(FourLevel::default(), memory, &[0x1000, 0x2000], Options::default());
    Sharing::of_walk::<FourLevel>(walk).expect("no limit")
}

fn edit(
    memory: &mut [u8],
    root: u64,
    policy: OnShared,
    edit: impl FnOnce(&mut Editor<'_, FourLevel, [u8], BumpTables>) -> Result<Flush, EditError>,
) -> Result<Stale, EditError> {
    let (sharing, mut tables) = (sharing(memory), tables());
    let mut editor = Editor::new(FourLevel::default(), memory, &mut tables, root).shared(&sharing, policy);
    let flush = edit(&mut editor)?;
    let stale = flush.stale().clone();
    flush.done(&mut tables);
    Ok(stale)
}

fn at(memory: &[u8], root: u64, va: u64) -> Option<u64> {
    translate(&FourLevel::default(), memory, root, va).ok().map(|found| found.pa)
}

fn ranges(stale: &Stale) -> &[StaleRange] {
    match stale {
        Stale::Ranges(ranges) => ranges,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reaches_are_found_from_the_walk() {
    let sharing = sharing(&shared());
    let reach = |root, va, span| Reach { root, va, span_last: span - 1 };
    let pdpt = [reach(0x1000, SLOT, SLOT), reach(0x2000, 2 * SLOT, SLOT), reach(0x2000, HIGH, SLOT)];
    assert_eq!(sharing.reaches::<FourLevel>(0x3000).expect("few"), pdpt);
    let pt = pdpt.map(|at| Reach { span_last: 0x1f_ffff, ..at });
    assert_eq!(sharing.reaches::<FourLevel>(0x5000).expect("few"), pt);
    assert_eq!(sharing.reaches::<FourLevel>(0x1000).expect("one").len(), 1);
    assert_eq!(sharing.reaches::<FourLevel>(0x9000), Some(vec![]));
}

#[test]
fn a_shared_table_is_refused_unless_asked() {
    let mut memory = shared();
    let before = memory.clone();
    let refused = edit(&mut memory, 0x1000, OnShared::Refuse, |editor| editor.unmap(SLOT..=SLOT + 0xfff));
    assert!(matches!(refused, Err(EditError::Shared { table: 0x3000, .. })), "{refused:?}");
    assert_eq!(memory, before);
}

#[test]
fn an_edit_for_all_tells_all_to_flush() {
    let mut memory = shared();
    let unmap = |editor: &mut Editor<'_, _, _, _>| editor.unmap(SLOT + 0x1000..=SLOT + 0x1fff);
    let stale = edit(&mut memory, 0x1000, OnShared::EditForAll, unmap).expect("unmaps");
    for (root, slot) in [(0x1000, SLOT), (0x2000, 2 * SLOT), (0x2000, HIGH)] {
        assert_eq!(at(&memory, root, slot + 0x1000), None);
        assert_eq!(at(&memory, root, slot + 0x2000), Some(0xc000));
    }
    let page = |root, va: u64| StaleRange { root, first: va + 0x1000, last: va + 0x1fff };
    assert_eq!(ranges(&stale), [page(0x1000, SLOT), page(0x2000, 2 * SLOT), page(0x2000, HIGH)]);
}

#[test]
fn unsharing_copies_the_path_and_nothing_else() {
    let mut memory = shared();
    let unmap = |editor: &mut Editor<'_, _, _, _>| editor.unmap(2 * SLOT + 0x1000..=2 * SLOT + 0x1fff);
    let stale = edit(&mut memory, 0x2000, OnShared::Unshare, unmap).expect("unmaps");
    assert_eq!(at(&memory, 0x2000, 2 * SLOT + 0x1000), None);
    for (root, slot) in [(0x1000, SLOT), (0x2000, HIGH)] {
        assert_eq!(at(&memory, root, slot + 0x1000), Some(0xb000), "others keep the page");
    }
    // PDPT, PD and PT were copied; the link kept its own rights.
    let link = u64::from_le_bytes(memory[0x2010..0x2018].try_into().expect("8 bytes"));
    assert_eq!(link, 0x2_0000 | P | U);
    assert_eq!(at(&memory, 0x2000, 2 * SLOT + 0x20_0000), Some(0x4000_0000));
    assert_eq!(ranges(&stale), [StaleRange { root: 0x2000, first: 2 * SLOT, last: 3 * SLOT - 1 }]);
}

#[test]
fn a_link_that_caps_is_an_error_or_widened() {
    let mut memory = shared();
    let before = memory.clone();
    let range = 2 * SLOT + 0x1000..=2 * SLOT + 0x1fff;
    let grant = Protection { set: W, ..Protection::default() };
    let capped =
        edit(&mut memory, 0x2000, OnShared::EditForAll, |editor| editor.protect(range.clone(), grant));
    assert!(matches!(capped, Err(EditError::Capped { entry: 0x2010, .. })), "{capped:?}");
    // Taking a right away asks nothing of the link.
    let withdraw = Protection { clear: U, ..Protection::default() };
    let taken = edit(&mut memory.clone(), 0x2000, OnShared::EditForAll, |editor| {
        editor.protect(range.clone(), withdraw)
    });
    assert!(taken.is_ok());
    assert_eq!(memory, before);
    let widen = Protection { widen: true, ..grant };
    edit(&mut memory, 0x2000, OnShared::EditForAll, |editor| editor.protect(range, widen)).expect("widens");
    let link = u64::from_le_bytes(memory[0x2010..0x2018].try_into().expect("8 bytes"));
    assert_eq!(link, 0x3000 | P | W | U, "and nothing but the right was changed");
}

#[test]
fn mapping_over_nothing_leaves_nothing_stale() {
    let mut memory = shared();
    let map = |editor: &mut Editor<'_, _, _, _>| editor.map(0..=0xfff, 0x7000, W | NX, MapOptions::default());
    let stale = edit(&mut memory, 0x1000, OnShared::Refuse, map).expect("maps");
    assert_eq!(stale, Stale::Nothing);
    assert_eq!(at(&memory, 0x1000, 0x123), Some(0x7123));
}

#[test]
fn ranges_that_are_no_pages_are_refused() {
    let mut memory = shared();
    for range in [
        0x1..=0xfff,
        0..=0x1000,
        std::ops::RangeInclusive::new(0x1000, 0xfff),
        0x7fff_ffff_f000..=HIGH + 0xfff,
        1 << 47..=(1 << 47) + 0xfff,
    ] {
        let refused = edit(&mut memory, 0x1000, OnShared::Refuse, |editor| editor.unmap(range.clone()));
        assert!(matches!(refused, Err(EditError::Range { .. })), "{range:x?}: {refused:?}");
    }
    let map =
        |editor: &mut Editor<'_, _, _, _>| editor.map(0..=0xfff, u64::MAX - 0xffe, 0, MapOptions::default());
    assert!(matches!(edit(&mut memory, 0x1000, OnShared::Refuse, map), Err(EditError::Unencodable { .. })));
    let last = u64::MAX - 0xfff..=u64::MAX;
    let map = |editor: &mut Editor<'_, _, _, _>| editor.map(last, 0x7000, 0, MapOptions::default());
    edit(&mut memory, 0x1000, OnShared::Refuse, map).expect("the last page of the space");
    assert_eq!(at(&memory, 0x1000, u64::MAX), Some(0x7fff));
}

/// The `x86_64` crate's `update_flags` on a table entry makes the pointer a huge page; a failed `map` of several peers leaves
/// widened parents or half a region behind.
#[test]
fn defect_17_protecting_never_turns_a_link_into_a_page_and_failure_leaves_nothing() {
    let mut memory = shared();
    let protect = Protection { set: LARGE | EntryFlags::GLOBAL.bits(), ..Protection::default() };
    let whole = SLOT..=SLOT + 0x3fff;
    edit(&mut memory, 0x1000, OnShared::EditForAll, |editor| editor.protect(whole, protect))
        .expect("protects");
    assert_eq!(at(&memory, 0x1000, SLOT + 0x3000), Some(0xd000));
    let walk = Walk::new(FourLevel::default(), &memory, &[0x1000], Options::default());
    let tables = walk.filter(|event| matches!(event, Ok(Event::Table(_)))).count();
    assert_eq!(tables, 4, "links are links");

    // The last page of the range is mapped already: the pages before it, and their links, must not come to be.
    let before = memory.clone();
    let map = |editor: &mut Editor<'_, _, _, _>| {
        let options = MapOptions { widen: true, ..MapOptions::default() };
        editor.map(2 * SLOT - 0x1000..=2 * SLOT + 0xfff, 0x10_0000, W | U, options)
    };
    let failed = edit(&mut memory, 0x2000, OnShared::EditForAll, map);
    assert!(matches!(failed, Err(EditError::Mapped { .. })), "{failed:?}");
    assert_eq!(memory, before);
}

/// patina ignores remapping 4 KiB inside a 2 MiB page with `Ok`, or maps the wrong address.
#[test]
fn defect_18_remapping_inside_a_large_page_splits_it_or_says_so() {
    let mut memory = shared();
    let (page, large) = (SLOT + 0x20_3000, SLOT + 0x20_0000);
    let options = |replace| MapOptions { replace, largest: Level::HIGHEST, widen: false };
    let map = |replace| {
        move |editor: &mut Editor<'_, _, _, _>| editor.map(page..=page + 0xfff, 0x9000, U, options(replace))
    };
    let conflict = edit(&mut memory, 0x1000, OnShared::EditForAll, map(false));
    assert!(matches!(conflict, Err(EditError::Mapped { entry: 0x4008, .. })), "{conflict:?}");
    edit(&mut memory, 0x1000, OnShared::EditForAll, map(true)).expect("splits");
    assert_eq!(at(&memory, 0x1000, page + 0x123), Some(0x9123));
    assert_eq!(at(&memory, 0x1000, page - 1), Some(0x4000_2fff));
    assert_eq!(at(&memory, 0x1000, page + 0x1000), Some(0x4000_4000));
    assert_eq!(at(&memory, 0x1000, large + 0x1f_ffff), Some(0x401f_ffff));
    assert_eq!(FourLevel::entry_span(Level::LEAF), 0x1000);
}

/// A directory that is its own page table: what is mapped through it replaces what was planned with.
#[test]
fn a_table_at_two_levels_is_noticed() {
    let mut memory = shared();
    memory[0x4000..0x4008].copy_from_slice(&(0x4000 | P | W | U).to_le_bytes());
    // Pages from the second on, the last of them below the second entry of the directory. That entry reads as a link once
    // the first page is mapped, to where nothing is.
    let range = SLOT + 0x1000..=SLOT + 0x20_0fff;
    let options = MapOptions { replace: true, largest: Level::LEAF, ..MapOptions::default() };
    let map = |editor: &mut Editor<'_, _, _, _>| editor.map(range.clone(), 0x100_0000, W | U, options);
    let before = memory.clone();
    let refused = edit(&mut memory, 0x1000, OnShared::Refuse, map);
    assert!(matches!(refused, Err(EditError::Shared { .. })) && memory == before, "{refused:?}");
    let changed = edit(&mut memory, 0x1000, OnShared::EditForAll, map);
    assert_eq!(changed, Err(EditError::Changed { va: SLOT + 0x20_0000 }));
    assert_ne!(memory, before);
}

/// An allocator that gives what no entry can link is told so, before anything is written.
#[test]
fn tables_that_cannot_be_linked_are_given_back() {
    struct High(Vec<u64>);
    impl TableAllocator for High {
        fn allocate(&mut self, _: &TableRequest) -> Option<u64> {
            let table = [0x2_0000, 1 << 52].get(self.0.len()).copied();
            self.0.extend(table);
            table
        }
        fn release(&mut self, table: u64, _: &TableRequest) {
            self.0.retain(|&held| held != table);
        }
    }
    let (mut memory, mut tables) = (vec![0; 0x10_0000], High(Vec::new()));
    let mut editor = Editor::new(FourLevel::default(), &mut memory, &mut tables, 0x1000);
    let refused = editor.map(0..=0xfff, 0x9000, P, MapOptions::default()).expect_err("nothing can link it");
    assert_eq!(refused, EditError::Unlinkable { table: 1 << 52 });
    assert!(tables.0.is_empty() && memory.iter().all(|&byte| byte == 0));
}
