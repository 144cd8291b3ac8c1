//! Who maps a frame, where runs map many.
#![cfg(feature = "alloc")]

use pt_amd64::FourLevel;
use pt_core::{FrameIndex, Leaves, Options, Walk};

#[test]
fn of_a_run_that_part_is_found_which_maps_what_is_asked_for() {
    // The page table at 0x4000 maps eight pages, from its third entry on, to 0x10_0000.
    let mut memory = vec![0; 0x5000];
    let links = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003)];
    let pages = (0..8).map(|page| (0x4010 + page * 8, (0x100 + page) << 12 | 3));
    for (at, raw) in links.into_iter().chain(pages) {
        memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    }
    let options = Options { leaves: Leaves::Runs, ..Options::default() };
    let walk = Walk::new(FourLevel::default(), &memory, &[0x1000], options);
    let index = FrameIndex::new::<FourLevel>(walk).expect("no limit");
    let found = |first: u64, last: u64| -> Vec<_> {
        let uses = index.find::<FourLevel>(first..=last).map(|found| found.leaf);
        uses.map(|leaf| (leaf.va, leaf.pa, leaf.pages, leaf.entry)).collect()
    };
    assert_eq!(found(0, u64::MAX), [(0x2000, 0x10_0000, 8, 0x4010)]);
    assert_eq!(found(0x10_2fff, 0x10_4000), [(0x4000, 0x10_2000, 3, 0x4020)]);
    // Its first and its last byte, and those beside it.
    assert_eq!(found(0x10_0000, 0x10_0000), [(0x2000, 0x10_0000, 1, 0x4010)]);
    assert_eq!(found(0x10_7fff, 0x10_7fff), [(0x9000, 0x10_7000, 1, 0x4048)]);
    assert_eq!(found(0, 0xf_ffff), []);
    assert_eq!(found(0x10_8000, u64::MAX), []);
}
