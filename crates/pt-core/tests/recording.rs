//! What a recording gives of a space.
#![cfg(feature = "alloc")]

use pt_amd64::FiveLevel;
use pt_core::{Event, Options, Recording, Walk};

/// A root that is another's again, below which each table is one that was met before, down to the page table: as many at a
/// time as can be.
#[test]
fn aliases_at_every_level_are_followed_to_the_page() {
    let mut memory = vec![0; 0xa000];
    let links = [
        // Five tables that the first root owns, down to a page.
        (0x1000, 0x2003),
        (0x2000, 0x3003),
        (0x3000, 0x4003),
        (0x4000, 0x5003),
        (0x5000, 0xa003),
        // One of its tables after the other that leads to what was met already: at level 1, 2, 3.
        (0x3008, 0x6003),
        (0x6000, 0x5003),
        (0x2008, 0x7003),
        (0x7000, 0x6003),
        (0x1008, 0x8003),
        (0x8000, 0x7003),
        // The second root, at level 4.
        (0x9000, 0x8003),
    ];
    for (at, raw) in links {
        memory[at..at + 8].copy_from_slice(&u64::to_le_bytes(raw));
    }
    let roots = [0x1000, 0x9000, 0x9000];
    let format = FiveLevel::default();
    let walk = Walk::new(format, &memory, &roots, Options::default());
    let recording = Recording::new(format, walk).expect("no limit");
    assert!(matches!(recording.space(2), [Event::Alias(_)]));
    let pages = |space| {
        let page = |event| match event {
            Event::Leaf(leaf) => (leaf.va, leaf.pa),
            other => panic!("{other:?}"),
        };
        recording.expand(space).map(page).collect::<Vec<_>>()
    };
    assert_eq!(pages(0), [0, 1 << 30, 1 << 39, 1 << 48].map(|va| (va, 0xa000)));
    assert_eq!(pages(1), [(0, 0xa000)]);
    assert_eq!(pages(2), [(0, 0xa000)]);
}
