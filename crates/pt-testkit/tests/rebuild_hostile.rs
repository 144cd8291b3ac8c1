//! Rebuilding what a hostile guest wrote: an answer, soon.

use pt_amd64::{Features, FourLevel};
use pt_core::{BumpTables, Encode, Limits, Memory, Segment, Segments};
use pt_i686::{Pae, PaeFeatures};
use pt_rebuild::{
    Arena, Becomes, Compact, Count, Extent, Faults, Graph, Keep, NewRoot, Pages, Place, Placement, Plan,
    PlanError, Proof, RebuildOptions, Rebuilt, TableFrames, VerifyError, verify,
};

const LINK: u64 = 0x63;
const PAGE: u64 = 0x67;
const LARGE: u64 = 0xe3;

const LIVE: RebuildOptions = RebuildOptions {
    table_frames: TableFrames::Live,
    pages: Pages::Keep,
    faults: Faults::Refuse,
    limit: 1000,
};

/// Memory from address 0 on with these entries.
fn memory(len: usize, entries: impl IntoIterator<Item = (u64, u64)>) -> Vec<u8> {
    let mut memory = vec![0; len];
    for (at, raw) in entries {
        memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    memory
}

/// All entries of a table.
fn filled(table: u64, raw: impl Fn(u64) -> u64) -> impl Iterator<Item = (u64, u64)> {
    (0..512).map(move |index| (table + index * 8, raw(index)))
}

fn graph<F: Encode>(format: &F, memory: &(impl Memory + ?Sized), roots: &[u64]) -> Graph<F> {
    Graph::read(format.clone(), memory, roots, 0..=u64::MAX, Limits::NONE).expect("no limit")
}

fn rebuilt<F: Encode>(
    format: &F,
    memory: &(impl Memory + ?Sized),
    roots: &[u64],
    options: RebuildOptions,
    placement: impl Placement,
) -> Result<Rebuilt, PlanError> {
    let mut tables = Arena::new([0x4000_0000..=0x4fff_ffff]);
    Plan::new(graph(format, memory, roots), options, placement)?.reserve(&mut tables)
}

/// The proof of a rebuild, which has to succeed.
fn proved<F: Encode<Rights: std::hash::Hash>>(
    format: &F,
    memory: &(impl Memory + ?Sized),
    rebuilt: &Rebuilt,
    table_frames: TableFrames,
) -> pt_rebuild::Verified {
    let proof = Proof { table_frames, frames: Some(rebuilt.frames()), ..Proof::default() };
    let view = rebuilt.view(memory);
    verify(format, memory, &view, rebuilt.roots(), &proof).expect("it is the same")
}

#[test]
fn memory_that_is_mapped_and_does_not_exist_takes_no_time() {
    // 16 PDPTs of 512 pages of 1 GiB each, no two of which are the same.
    let tables = (0..16).flat_map(|number| {
        let pdpt = 0x2000 + number * 0x1000;
        let pages = filled(pdpt, move |index| (number * 512 + index + 2) << 30 | LARGE);
        pages.chain([(0x1000 + number * 8, pdpt | LINK)])
    });
    let old = memory(0x12000, tables);
    let format = FourLevel::default();
    let rebuilt = rebuilt(&format, &old, &[0x1000], RebuildOptions::default(), Keep).expect("it can be");
    let verified = proved(&format, &old, &rebuilt, TableFrames::Data);
    assert_eq!(verified.mapped, Count { old: 1 << 43, new: 1 << 43 });
    assert_eq!((verified.bytes, verified.unreadable), (0, 1 << 43));

    let mut new = vec![0; 0x4002_0000];
    let written = rebuilt.commit(&old, &mut new).expect("there is room for the tables");
    assert_eq!((written.tables, written.bytes, written.unreadable), (17, 0, 1 << 43));
}

#[test]
fn a_bomb_is_as_many_tables_as_it_has() {
    // Four tables, each entry of which links the next; in the second half, under other rights and with ignored bits set.
    let level = |table: u64| {
        filled(table, move |index| {
            let varied = (index % 4) << 1 | (index % 7) << 52 | (index & 1) << 63;
            (table + 0x1000) | 1 | if index < 256 { 6 } else { varied }
        })
    };
    let leaves = filled(0x4000, |index| (0x10_0000 + index * 0x1000) | PAGE);
    let old = memory(0x5000, [0x1000, 0x2000, 0x3000].into_iter().flat_map(level).chain(leaves));
    let format = FourLevel::default();
    let rebuilt = rebuilt(&format, &old, &[0x1000], RebuildOptions::default(), Keep).expect("it can be");
    assert_eq!(rebuilt.tables().len(), 4);
    let verified = proved(&format, &old, &rebuilt, TableFrames::Data);
    assert_eq!((verified.tables.new, verified.mapped.new), (4, 512 << 12));
    // The limit is on what is read, and says where it was reached.
    let proof = Proof { limit: 3, ..Proof::default() };
    let cut = verify(&format, &old, &rebuilt.view(&old), rebuilt.roots(), &proof);
    assert!(matches!(cut, Err(VerifyError::Limit(limit)) if limit.limit == 3), "{cut:?}");
}

/// A space whose slot at every level leads back: root, PDPT, PD and PT each have an entry that links, or maps, itself.
fn mirrors() -> Vec<u8> {
    memory(
        0x9000,
        [
            (0x1000, 0x2000 | LINK),
            (0x1008, 0x1000 | LINK),
            (0x2000, 0x3000 | LINK),
            (0x2008, 0x2000 | LINK),
            (0x3000, 0x4000 | LINK),
            (0x3008, 0x3000 | LINK),
            (0x4000, 0x8000 | LINK),
            (0x4008, 0x4000 | LINK),
        ],
    )
}

#[test]
fn self_maps_at_every_level_are_live_or_a_conflict_that_names_both_readings() {
    let (format, old) = (FourLevel::default(), mirrors());
    let refused = rebuilt(&format, &old, &[0x1000], RebuildOptions::default(), Keep)
        .expect_err("tables map themselves");
    let PlanError::Conflict { entry, raw, one, other } = refused else { panic!("{refused:?}") };
    assert_eq!(raw, u64::from_le_bytes(old[entry as usize..entry as usize + 8].try_into().expect("8 bytes")));
    let (link, page) = if one.0 > other.0 { (one, other) } else { (other, one) };
    assert_eq!(page.0.number(), 1, "{refused}");
    assert!(matches!(link.1, Becomes::Link { old: Some(old) } if old == raw & !0xfff), "{refused}");
    assert_eq!(page.1, Becomes::Raw(raw), "frames stay");

    let mut arena = Arena::new([0x4000_0000..=0x4fff_ffff]);
    let shift = |extent: &Extent| Place::Move(extent.first + (64 << 30));
    for placement in
        [&mut Keep as &mut dyn Placement, &mut { shift }, &mut Compact::new(&mut arena, [0..=0x8fff])]
    {
        let rebuilt = rebuilt(&format, &old, &[0x1000], LIVE, placement).expect("they can be live");
        let verified = proved(&format, &old, &rebuilt, TableFrames::Live);
        assert_eq!((verified.tables.new, verified.live_tables), (4, 4));
        // As data they would be writable where they must not be seen at all.
        let data = verify(&format, &old, &rebuilt.view(&old), rebuilt.roots(), &Proof::default());
        assert!(data.is_err(), "{data:?}");
    }
}

#[test]
fn tables_at_both_ends_of_memory() {
    // The root at address 0, the page table in the last frame that 52 bits can name.
    const TOP: u64 = (1 << 52) - 0x1000;
    let low = memory(0x4000, [(0, 0x1000 | LINK), (0x1000, 0x2000 | LINK), (0x2000, TOP | LINK)]);
    let high = memory(0x1000, [(0xff8, TOP | LINK), (0, PAGE)]);
    let old = Segments::new([Segment::new(0, &low), Segment::new(TOP, &high)]).expect("they ascend");
    let format = FourLevel::default();
    for options in [RebuildOptions::default(), LIVE] {
        let rebuilt = rebuilt(&format, &old, &[0], options, Keep).expect("it can be");
        let verified = proved(&format, &old, &rebuilt, options.table_frames);
        assert_eq!(verified.tables, Count { old: 4, new: 4 });
        assert_eq!(verified.mapped.new, 0x2000);
        let live = options.table_frames == TableFrames::Live;
        assert_eq!(rebuilt.roots(), [NewRoot { old: 0, new: if live { 0 } else { 0x4000_0000 } }]);
        assert_eq!(rebuilt.tables().iter().any(|table| table.address == TOP), live);
    }
    // There is no higher place, and nothing wraps around to one.
    let shift = |extent: &Extent| Place::Move(extent.first.wrapping_add(0x1000));
    let refused =
        rebuilt(&format, &old, &[0], RebuildOptions::default(), shift).expect_err("it has no place");
    assert!(matches!(refused, PlanError::Unencodable { to, .. } if to == 1 << 52), "{refused}");
    let wrap = |extent: &Extent| Place::Move(extent.first.wrapping_add(u64::MAX - (1 << 52) + 0x1001));
    let refused = rebuilt(&format, &old, &[0], RebuildOptions::default(), wrap).expect_err("it has no place");
    assert!(matches!(refused, PlanError::Unencodable { .. }), "{refused}");
}

/// A frame that is a page table and has 128 roots: every entry is a page at level 1, and a link at level 3.
fn roots_in_a_page_table() -> (Pae, Vec<u8>, Vec<u64>) {
    let format = Pae::new(PaeFeatures { strict_pdpte: false, ..PaeFeatures::default() });
    let table = filled(0x1000, |index| (0x2000 + index % 2 * 0x1000) | 1);
    let directories = [(0x2000, 0x1000 | LINK), (0x3000, 0x1000 | LINK), (0x3008, 0x2000 | LINK)];
    let old = memory(0x4000, table.chain(directories));
    (format, old, (0..128).map(|root| 0x1000 + root * 32).collect())
}

#[test]
fn roots_that_lie_in_a_page_table_stay_where_they_are_in_it() {
    let (format, old, roots) = roots_in_a_page_table();
    let graph = graph(&format, &old, &roots);
    assert_eq!((graph.spaces(), graph.tables()), (128, 3));
    assert!(matches!(
        rebuilt(&format, &old, &roots, RebuildOptions::default(), Keep),
        Err(PlanError::Conflict { .. })
    ));
    let shift = |extent: &Extent| Place::Move(extent.first + 0x10_0000);
    let rebuilt = rebuilt(&format, &old, &roots, LIVE, shift).expect("they can be live");
    for root in rebuilt.roots() {
        assert_eq!(root.new, root.old + 0x10_0000);
    }
    let verified = proved(&format, &old, &rebuilt, TableFrames::Live);
    // 128 roots and the page table that begins where the first does, two directories.
    assert_eq!((verified.tables.new, verified.spaces), (130, 128));

    // A root that is copied out of the page table is another table.
    let mut apart = vec![0; 0x20_0000];
    rebuilt.commit(&old, &mut apart).expect("there is room");
    apart.copy_within(0x10_1020..0x10_1040, 0x18_0000);
    let mut new = rebuilt.roots().to_vec();
    new[1].new = 0x18_0000;
    let proof = Proof { table_frames: TableFrames::Live, ..Proof::default() };
    let differs = verify(&format, &old, &apart, &new, &proof);
    assert!(differs.is_err(), "{differs:?}");
}

#[test]
fn a_live_root_that_would_leave_the_low_memory_is_refused() {
    let (format, old, roots) = roots_in_a_page_table();
    let shift = |extent: &Extent| Place::Move(extent.first + (64 << 30));
    let refused = rebuilt(&format, &old, &roots, LIVE, shift).expect_err("CR3 has 32 bits");
    assert!(matches!(refused, PlanError::Misplaced { first: 0x1000, .. }), "{refused}");
}

#[test]
fn many_roots_that_are_one() {
    let (format, old) = (FourLevel::default(), mirrors());
    let roots: Vec<u64> = (0..10_000_u64).map(|number| 0x1000 | number & 0xfff).collect();
    let rebuilt = rebuilt(&format, &old, &roots, LIVE, Keep).expect("it can be");
    assert_eq!((rebuilt.tables().len(), rebuilt.roots().len()), (4, 10_000));
    assert!(rebuilt.roots().iter().zip(&roots).all(|(root, old)| root.old == *old && root.new == *old));
    assert_eq!(proved(&format, &old, &rebuilt, TableFrames::Live).spaces, 10_000);
}

#[test]
fn what_is_split_is_bounded() {
    // 512 pages of 1 GiB are 262,656 tables in pieces.
    let pages = filled(0x2000, |index| (index + 1) << 30 | LARGE);
    let old = memory(0x3000, pages.chain([(0x1000, 0x2000 | LINK)]));
    let options = RebuildOptions { pages: Pages::Split, limit: 1000, ..RebuildOptions::default() };
    let refused =
        rebuilt(&FourLevel::default(), &old, &[0x1000], options, Keep).expect_err("there is a limit");
    assert_eq!(refused, PlanError::Limit { limit: 1000 });
}

#[test]
fn a_page_of_a_gibibyte_is_split_and_promoted_again() {
    let old =
        memory(0x3000, [(0x1000, 0x2000 | LINK), (0x2008, 0x8000_1000_0000_11e3 & !(1 << 28) | 1 << 30)]);
    let format = FourLevel::default();
    let split = RebuildOptions { pages: Pages::Split, ..RebuildOptions::default() };
    let tables = || BumpTables::new(0x10_0000..=0x7f_ffff);
    let plan = Plan::new(graph(&format, &old, &[0x1000]), split, Keep).expect("it can be split");
    assert_eq!((plan.old_tables(), plan.new_tables()), (2, 2 + 1 + 512));
    let rebuilt = plan.reserve(&mut tables()).expect("there is room");
    let proof = Proof { sizes: true, ..Proof::default() };
    let verified =
        verify(&format, &old, &rebuilt.view(&old), rebuilt.roots(), &proof).expect("it is the same");
    assert_eq!((verified.tables, verified.mapped.new), (Count { old: 2, new: 515 }, 1 << 30));
    assert!(verify(&format, &old, &rebuilt.view(&old), rebuilt.roots(), &Proof::default()).is_err());

    let mut small = vec![0; 0x80_0000];
    rebuilt.commit_tables(&mut small).expect("there is room");
    let promote = RebuildOptions { pages: Pages::Promote { shared: false }, ..RebuildOptions::default() };
    let roots = [rebuilt.roots()[0].new];
    let plan = Plan::new(graph(&format, &small, &roots), promote, Keep).expect("it can be promoted");
    assert_eq!((plan.old_tables(), plan.new_tables()), (515, 2));
    let again = plan.reserve(&mut tables()).expect("there is room");
    let [_, pdpt] = again.tables() else { panic!("{again:x?}") };
    assert_eq!(&pdpt.bytes[8..16], &old[0x2008..0x2010]);
}

#[test]
fn a_format_that_ignores_an_address_bit_keeps_it() {
    // The C-bit of SEV: in links, pages and CR3, and no part of any address.
    let c = 1 << 47;
    let format = FourLevel::new(Features { phys_bits: 43, ignored: c, ..Features::default() });
    let old = memory(
        0x6000,
        [
            (0x1000, 0x2000 | LINK | c),
            (0x2000, 0x3000 | LINK),
            (0x3000, 0x4000 | LINK | c),
            (0x4000, 0x5000 | PAGE | c),
        ],
    );
    let shift = |extent: &Extent| Place::Move(extent.first + (64 << 30));
    let rebuilt = rebuilt(&format, &old, &[0x1000 | c], RebuildOptions::default(), shift).expect("it can be");
    assert_eq!(rebuilt.roots(), [NewRoot { old: 0x1000 | c, new: 0x4000_0000 | c }]);
    let raw =
        |table: usize| u64::from_le_bytes(rebuilt.tables()[table].bytes[..8].try_into().expect("8 bytes"));
    assert_eq!(
        [0, 1, 2, 3].map(raw),
        [
            0x4000_1000 | LINK | c,
            0x4000_2000 | LINK,
            0x4000_3000 | LINK | c,
            (0x5000 + (64 << 30)) | PAGE | c,
        ]
    );
    proved(&format, &old, &rebuilt, TableFrames::Data);
}
