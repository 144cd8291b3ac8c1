//! Few tables with very many paths.

use pt_core::{Encode, Event, Geometry, Leaves, Level, Limits, Options, Resource, Walk};

use crate::every_format;
use crate::heap::peak;
use crate::made::{Made, ROOT, bomb, level, link, links, page};

every_format! {
    tables_that_link_the_next_everywhere = links_everywhere;
    links_that_differ_in_what_is_ignored = ignored_bits;
    every_table_linked_at_every_level = self_maps;
    limits_say_what_was_reached = limited;
}

/// Tables, links that are no more than that, and pages.
pub(crate) fn counted<F: Encode>(
    format: &F,
    memory: &Made<'_>,
    roots: &[u64],
    options: &Options,
) -> [u64; 3] {
    let mut counts = [0; 3];
    for event in Walk::new(format.clone(), memory, roots, options.clone()) {
        match event.expect("there is no limit") {
            Event::Table(_) => counts[0] += 1,
            Event::Alias(_) => counts[1] += 1,
            Event::Leaf(leaf) => counts[2] += u64::from(leaf.pages),
            other => panic!("{other:?}"),
        }
    }
    counts
}

fn links_everywhere<F: Encode>(format: &F) {
    is_small(format, &bomb(format, |_| 0));
}

fn ignored_bits<F: Encode>(format: &F) {
    // Software's bits, in all formats; and the accessed bit, which PDPTEs of PAE have not, but ignore here.
    is_small(format, &bomb(format, |index| (index & 7) << 9 | (index & 8) << 2));
}

/// Each table is read once, whatever the number of paths, and next to nothing is kept.
fn is_small<F: Encode>(format: &F, memory: &Made<'_>) {
    let levels = u64::from(F::LEVELS);
    let pages = F::entries(Level::LEAF) as u64;
    for leaves in [Leaves::Each, Leaves::Runs] {
        let options = Options { leaves, ..Options::default() };
        let (counts, bytes) = peak(|| counted(format, memory, &[ROOT], &options));
        assert_eq!(counts, [levels, links::<F>() - (levels - 1), pages]);
        assert_eq!(memory.reads(), levels);
        assert!(bytes < 4096, "{bytes}");
    }
}

fn self_maps<F: Encode>(format: &F) {
    for tables in 1..=4 {
        // Pages where the table is at level 1: an entry is the same there but for what PS and PAT are.
        let memory = Made::new(format, |table, index| {
            (table < tables).then(|| link(format, Level::HIGHEST.min(F::ROOT), index % tables))
        });
        let roots: Vec<u64> = (0..tables).map(|table| table << 12).collect();
        let mut events = 0;
        for event in Walk::new(format.clone(), &memory, &roots, Options::default()) {
            assert!(!matches!(event.expect("no limit"), Event::Fault(_)));
            events += 1;
        }
        let levels = u64::from(F::LEVELS);
        assert_eq!(memory.reads(), tables * levels, "each table at each depth, once");
        // Entries, and roots.
        assert!(events <= tables * levels * 1024 + tables);
    }
}

fn limited<F: Encode>(format: &F) {
    let memory = bomb(format, |_| 0);
    for (limits, resource) in [
        (Limits { tables: 1, ..Limits::NONE }, Resource::Tables),
        (Limits { events: 5, ..Limits::NONE }, Resource::Events),
    ] {
        let options = Options { limits, ..Options::default() };
        let mut walk = Walk::new(format.clone(), &memory, &[ROOT], options);
        let reached = walk.by_ref().find_map(Result::err).expect("the limit is reached");
        assert_eq!((reached.resource, reached.limit), (resource, limits.tables.min(limits.events)));
        assert!(walk.next().is_none() && memory.reads() <= limits.tables.min(5));
    }
    // Without a memory of what was met each path is another: limits are all that ends it.
    let limits = Limits { tables: 1000, events: 10_000 };
    let last = Walk::single(format.clone(), &memory, ROOT, Options::default(), limits).last();
    let many_paths = links::<F>() > 1024 || F::LEVELS == 2;
    assert!(!many_paths || last.expect("there is one").is_err());
    assert!(memory.reads() <= limits.tables);
}

#[test]
fn pages_below_a_bomb_are_all_paths() {
    // The bomb means what it says: 512 to the fourth pages.
    let format = pt_amd64::FourLevel::default();
    let memory = bomb(&format, |_| 0);
    let mut counter = pt_core::Counter::new();
    for event in Walk::new(format, &memory, &[ROOT], Options::default()) {
        counter.observe::<pt_amd64::FourLevel>(&event.expect("no limit"));
    }
    assert_eq!(counter.spaces()[0].reached.leaves[0], 512_u64.pow(4));
    assert_eq!(level::<pt_amd64::FourLevel>(3), Level::LEAF);
    assert_eq!(page(&format, 1) & 0xf000, 0x1000);
}
