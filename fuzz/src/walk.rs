//! Walks of hostile tables: they end, stay inside their bounds, refer only to what they introduced, and agree with
//! translation; those of the toy format are what the oracle says.

use pt_core::{Encode, Event, Format, Limits, Options, Walk, translate};
use pt_testkit::battery::check_walk;
use pt_testkit::naive::Mode;

use crate::choices::Choices;
use crate::scene::{PAGES, Question, Scene, ask, toy};

/// The first byte says whether the rest is a graph of the toy format or a scene.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    if choices.byte() & 1 == 0 { check_walk(&toy(&mut choices)) } else { ask(choices.rest(), &Walks) }
}

struct Walks;

impl Question for Walks {
    fn ask<F: Format<Rights = pt_x86::Rights> + Encode>(&self, format: &F, _: &Mode, scene: &Scene<'_>) {
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
}

/// A limit that is reached is the last item, and is not exceeded.
fn limited<F: Format>(format: &F, scene: &Scene<'_>) {
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
