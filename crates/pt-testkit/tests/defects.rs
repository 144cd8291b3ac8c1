//! What other walkers get wrong about entries, one test per defect; those of the raw interface, of the editor and of the
//! rebuild are with them. The numbers are the project's own list.

use pt_amd64::{Features, FiveLevel, FourLevel};
use pt_core::{Cause, Event, Format, Leaf, Leaves, Options, TranslateError, Walk, translate};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_x86::{Rights, memory_type_index};

/// P, R/W, U/S.
const ALL: u64 = 7;
const LARGE: u64 = 1 << 7;
const PAT: u64 = 1 << 12;
const ROOT: u64 = 0x1000;

/// 64 KiB with these entries in it.
fn memory<F: Format>(entries: &[(u64, u64)]) -> Vec<u8> {
    let mut memory = vec![0; 0x1_0000];
    for &(at, raw) in entries {
        memory[at as usize..][..F::ENTRY_BYTES].copy_from_slice(&raw.to_le_bytes()[..F::ENTRY_BYTES]);
    }
    memory
}

/// The first entry of `level` is `leaf`, those above it link one another: tables from [`ROOT`] on, a page apart.
fn line<F: Format>(level: u8, link: u64, leaf: u64) -> Vec<u8> {
    let links = (0..u64::from(F::LEVELS - level)).map(|depth| ROOT + depth * 0x1000);
    let mut entries: Vec<(u64, u64)> = links.map(|at| (at, (at + 0x1000) | link)).collect();
    entries.push((ROOT + entries.len() as u64 * 0x1000, leaf));
    memory::<F>(&entries)
}

/// The leaves of one root, runs as runs; nothing else may be met but tables and links to them.
fn runs<F: Format>(format: &F, memory: &[u8], root: u64) -> Vec<Leaf<F::Rights>> {
    let options = Options { leaves: Leaves::Runs, ..Options::default() };
    let mut leaves = Vec::new();
    for event in Walk::new(format.clone(), memory, &[root], options) {
        match event.expect("there is no limit") {
            Event::Leaf(leaf) => leaves.push(leaf),
            Event::Table(_) | Event::Alias(_) => {}
            other => panic!("{other:x?}"),
        }
    }
    leaves
}

/// Where the one page is, in the eyes of the walk and of translation.
fn page<F: Format>(format: &F, memory: &[u8], root: u64) -> (u64, F::Rights) {
    let [leaf] = runs(format, memory, root)[..] else { panic!("one page") };
    let found = translate(format, memory, root, leaf.va + 0x123).expect("a page");
    assert_eq!((found.pa, found.raw, found.rights), (leaf.pa + 0x123, leaf.raw, leaf.rights));
    (leaf.pa, leaf.rights)
}

/// A top-level entry with PS set is malformed.
fn top_is_no_page<F: Format>(format: &F) {
    let memory = line::<F>(F::LEVELS, ALL, 0x2000 | ALL | LARGE);
    let fault = translate(format, &memory[..], ROOT, 0x123).err();
    let level = pt_core::Level::new(F::LEVELS).expect("a level");
    let cause = Cause::Malformed { level, entry: ROOT, raw: 0x2000 | ALL | LARGE, reserved: LARGE };
    assert_eq!(fault, Some(TranslateError::Fault(cause)));
    let events: Vec<_> = Walk::new(format.clone(), &memory, &[ROOT], Options::default()).collect();
    assert!(matches!(events[..], [Ok(Event::Table(_)), Ok(Event::Fault(fault))] if fault.cause == cause));
}

/// Pages at every address bit that an entry of `level` has.
fn high_addresses<F: Format>(format: &F, level: u8, link: u64) {
    let lowest = [12, 21, 30][usize::from(level) - 1];
    for bit in lowest..52 {
        let large = if level > 1 { LARGE } else { 0 };
        let memory = line::<F>(level, link, 1 << bit | ALL | large);
        assert_eq!(page(format, &memory, ROOT).0, 1 << bit);
    }
}

#[test]
fn defect_12_the_pat_bit_of_a_large_page_is_no_address() {
    fn check<F: Format>(format: &F, level: u8, link: u64, pa: u64) {
        let raw = pa | ALL | LARGE | PAT;
        let memory = line::<F>(level, link, raw);
        let [leaf] = runs(format, &memory, ROOT)[..] else { panic!("one page") };
        assert_eq!((page(format, &memory, ROOT).0, leaf.raw), (pa, raw));
        assert_eq!(memory_type_index(leaf.level, leaf.raw), 4);
    }
    check(&FourLevel::default(), 2, ALL, 0x40_0000);
    check(&FourLevel::default(), 3, ALL, 0x8000_0000);
    check(&FiveLevel::default(), 2, ALL, 0x40_0000);
    check(&FiveLevel::default(), 3, ALL, 0x8000_0000);
    check(&Pae::default(), 2, 1, 0x40_0000);
    check(&TwoLevel::default(), 2, ALL, 0x80_0000);
}

#[test]
fn defect_13_rights_are_the_and_of_the_path_and_pdptes_of_pae_have_none() {
    fn check<F: Format<Rights = Rights>>(format: &F, link: u64) {
        for (leaf, rights) in
            [(5, Rights::USER | Rights::EXECUTE), (3, Rights::WRITE | Rights::EXECUTE), (7, Rights::all())]
        {
            assert_eq!(page(format, &line::<F>(1, link, 0x9000 | leaf), ROOT), (0x9000, rights), "{leaf:#x}");
        }
    }
    check(&FourLevel::default(), ALL);
    check(&FiveLevel::default(), ALL);
    check(&TwoLevel::default(), ALL);

    // Bits 2:1 of a PDPTE are reserved, so that all pages below it would be the supervisor's and read-only.
    let tables = |pdpte: u64| memory::<Pae>(&[(ROOT, 0x2000 | pdpte), (0x2000, 0x3007), (0x3000, 0x9007)]);
    assert_eq!(page(&Pae::default(), &tables(1), ROOT), (0x9000, Rights::all()));
    let of_tcg = Pae::new(PaeFeatures { strict_pdpte: false, ..PaeFeatures::default() });
    for pdpte in [1, 3, 5, 7_u64] {
        assert_eq!(page(&of_tcg, &tables(pdpte), ROOT), (0x9000, Rights::all()), "{pdpte}");
    }
}

#[test]
fn defect_14_a_pae_root_is_aligned_to_32_bytes_and_a_top_level_entry_is_no_page() {
    // Two roots in one frame; the lower bits of CR3 are PWT and PCD.
    let tables = memory::<Pae>(&[
        (0x1000, 0x2001),
        (0x1fe0, 0x3001),
        (0x2000, 0x4000 | ALL),
        (0x3000, 0x5000 | ALL),
        (0x4000, 0x9000 | ALL),
        (0x5000, 0xa000 | ALL),
    ]);
    let pae = Pae::default();
    assert_eq!([0x1000, 0x1fe0, 0x1ff8].map(|root| page(&pae, &tables, root).0), [0x9000, 0xa000, 0xa000]);

    top_is_no_page(&FourLevel::default());
    top_is_no_page(&FiveLevel::default());
    // The level below the top of five can map nothing either.
    let memory = line::<FiveLevel>(4, ALL, 0x3000 | ALL | LARGE);
    let fault = translate(&FiveLevel::default(), &memory, ROOT, 0).err();
    assert!(matches!(fault, Some(TranslateError::Fault(Cause::Malformed { entry: 0x2000, .. }))));
}

#[test]
fn defect_15_every_bit_of_a_physical_address_counts() {
    // PSE-36: bits 20:13 of the entry are bits 39:32 of the address.
    let high = line::<TwoLevel>(2, ALL, 0x0080_0000 | 0xa5 << 13 | ALL | LARGE);
    assert_eq!(page(&TwoLevel::default(), &high, ROOT).0, 0xa5_0080_0000);
    // Where the machine has fewer bits, the others are reserved and not dropped.
    let narrow = TwoLevel::new(TwoLevelFeatures { phys_bits: 36, ..TwoLevelFeatures::default() });
    let fault = translate(&narrow, &high, ROOT, 0).err();
    assert!(matches!(fault, Some(TranslateError::Fault(Cause::Malformed { reserved: 0x14_0000, .. }))));

    for level in 1..=3 {
        high_addresses(&FourLevel::default(), level, ALL);
        high_addresses(&FiveLevel::default(), level, ALL);
    }
    high_addresses(&Pae::default(), 1, 1);
    high_addresses(&Pae::default(), 2, 1);
    // A table up there is looked for up there.
    let machine = FourLevel::new(Features { phys_bits: 52, ..Features::default() });
    let lost = translate(&machine, &line::<FourLevel>(4, ALL, 1 << 51 | ALL), ROOT, 0).err();
    assert!(matches!(lost, Some(TranslateError::Fault(Cause::Unreadable { table, .. })) if table == 1 << 51));
}

#[test]
fn defect_16_neighbours_with_equal_entries_are_all_reported() {
    fn check<F: Format>(format: &F, level: u8, link: u64, raw: u64) {
        let mut memory = line::<F>(level, link, raw);
        let table = (ROOT + u64::from(F::LEVELS - level) * 0x1000) as usize;
        let entries = 1 << F::INDEX_BITS[usize::from(level) - 1];
        for entry in memory[table..].chunks_exact_mut(F::ENTRY_BYTES).take(entries) {
            entry.copy_from_slice(&raw.to_le_bytes()[..F::ENTRY_BYTES]);
        }
        // Not one behind the other in physical memory, so not a run: each is told.
        let leaves = runs(format, &memory, ROOT);
        assert_eq!(leaves.len(), entries);
        assert!(leaves.iter().all(|leaf| leaf.raw == raw && leaf.pages == 1 && leaf.pa == leaves[0].pa));
    }
    check(&FourLevel::default(), 1, ALL, 0x9000 | ALL);
    check(&FourLevel::default(), 2, ALL, 0x40_0000 | ALL | LARGE);
    check(&FiveLevel::default(), 3, ALL, 0x4000_0000 | ALL | LARGE);
    check(&Pae::default(), 1, 1, 0x9000 | ALL);
    check(&TwoLevel::default(), 1, ALL, 0x9000 | ALL);
    check(&TwoLevel::default(), 2, ALL, 0x40_0000 | ALL | LARGE);
}

/// Five levels: what is present is found at each of them, and nothing else. (`pt mem` has a test of the same number.)
#[test]
fn defect_20_five_levels_have_pages_where_entries_are_present() {
    let five = FiveLevel::default();
    let tables = memory::<FiveLevel>(&[
        // A page of each size, and one in the upper half, at its end.
        (0x1000, 0x2000 | ALL),
        (0x1ff8, 0x2000 | ALL),
        (0x2000, 0x3000 | ALL),
        (0x2ff8, 0x3000 | ALL),
        (0x3000, 0x4000 | ALL),
        (0x3008, 0x8_4000_0000 | ALL | LARGE),
        (0x4000, 0x5000 | ALL),
        (0x4008, 0x20_0000 | ALL | LARGE),
        (0x5000, 1 << 51 | ALL),
    ]);
    let expected = [(0, 1 << 51, 1), (0x20_0000, 0x20_0000, 2), (0x4000_0000, 0x8_4000_0000, 3)];
    let leaves = runs(&five, &tables, ROOT);
    assert_eq!(
        leaves.iter().map(|leaf| (leaf.va, leaf.pa, leaf.level.number())).collect::<Vec<_>>(),
        expected
    );
    for upper in [0, 511 << 39, 0xffff << 48, 0xffff << 48 | 511 << 39] {
        for (va, pa, level) in expected {
            let found = translate(&five, &tables, ROOT, upper | va);
            let found = found.map(|found| (found.pa, found.level.number()));
            assert_eq!(found, Ok((pa, level)), "{:#x}", upper | va);
        }
    }
    for absent in [0x1000, 0x40_0000, 0x8000_0000, 1 << 39, 1 << 48, 1 << 55] {
        let found = translate(&five, &tables, ROOT, absent);
        assert!(matches!(found, Err(TranslateError::NotPresent { .. })), "{absent:#x}: {found:x?}");
    }
}
