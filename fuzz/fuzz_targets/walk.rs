//! Walks of hostile tables: they end, stay inside their bounds, refer only to what they introduced, and agree with
//! translation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pt_amd64::{FiveLevel, FourLevel};
use pt_core::{Event, Format, Limits, Options, Walk, translate};
use pt_fuzz::{PAGES, Scene};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};

fuzz_target!(|bytes: &[u8]| {
    let scene = Scene::new(bytes);
    match scene.format {
        0 | 1 => check(&FourLevel::default(), &scene),
        2 | 3 => check(&FiveLevel::default(), &scene),
        4 => check(&Pae::default(), &scene),
        5 => {
            check(&Pae::new(PaeFeatures { strict_pdpte: false, nx: false, ..PaeFeatures::default() }), &scene)
        }
        6 => check(&TwoLevel::default(), &scene),
        _ => check(&TwoLevel::new(TwoLevelFeatures { pse: false, ..TwoLevelFeatures::default() }), &scene),
    }
});

fn check<F: Format>(format: &F, scene: &Scene) {
    let Scene { memory, roots, options, .. } = scene;
    let walk = || Walk::new(format.clone(), &memory[..], roots, options.clone());
    let mut tables = Vec::new();
    let mut events = 0;
    for event in walk() {
        events += 1;
        match event.expect("no limit was set") {
            Event::Table(table) => {
                assert_eq!(table.id.index(), tables.len());
                tables.push(table);
            }
            Event::Alias(alias) => {
                let table = &tables[alias.table.index()];
                assert_eq!(
                    (alias.owner, alias.level, alias.address),
                    (table.space, table.level, table.address)
                );
                assert_eq!(alias.their_va, table.va);
                assert!(alias.owner <= alias.space);
            }
            Event::Leaf(leaf) => {
                let page = translate(format, &memory[..], roots[leaf.space as usize], leaf.va)
                    .expect("a leaf is there");
                assert_eq!((page.pa, page.level, page.rights), (leaf.pa, leaf.level, leaf.rights));
            }
            Event::Absent(_) | Event::Fault(_) => {}
        }
    }
    // Four windows at most, at each level below the root, of each page; roots are given.
    assert!(tables.len() <= 4 * PAGES * (usize::from(F::LEVELS) - 1) + roots.len());
    // `fold` is another path through the same walk.
    assert_eq!(walk().fold(0, |count, _| count + 1), events);

    limited(format, scene);
}

/// A limit that is reached is the last item, and is not exceeded.
fn limited<F: Format>(format: &F, scene: &Scene) {
    let Scene { memory, roots, options, .. } = scene;
    let limits = Limits { tables: 6, events: 40 };
    let options = Options { limits, ..options.clone() };
    let many = Walk::new(format.clone(), &memory[..], roots, options.clone()).map(|event| event.is_ok());
    let single =
        Walk::single(format.clone(), &memory[..], roots[0], options, limits).map(|event| event.is_ok());
    for items in [many.collect::<Vec<_>>(), single.collect()] {
        assert!(items.len() as u64 <= limits.events + 1);
        assert!(items.iter().rev().skip(1).all(|&fine| fine));
    }
}
