//! Tables that are reached in several ways.

use pt_amd64::FourLevel;
use pt_core::{BumpTables, EditError, Level, OnShared, Options, Sharing, Walk};

use crate::{HERE, MIB, P, PAGE, PD, PT, ROOT, U, W, edit, pages, pde, range, space, used};

fn sharing(memory: &[u8]) -> Sharing {
    let walk = Walk::new(FourLevel::default(), memory, &[ROOT], Options::default());
    Sharing::of_walk::<FourLevel>(walk).expect("no limit")
}

#[test]
fn a_shared_root_is_edited_for_all_or_not_at_all() {
    // It maps itself.
    let before = space(&[&pages(4, 5)[..], &[(ROOT + 300 * 8, ROOT | P | W | U)]].concat());
    let sharing = sharing(&before);
    for policy in [OnShared::Refuse, OnShared::Unshare, OnShared::EditForAll] {
        let mut memory = before.clone();
        let outcome = edit(&mut memory, |editor| editor.shared(&sharing, policy).unmap(range(4, 5)));
        if policy == OnShared::EditForAll {
            outcome.expect("unmaps").done(&mut BumpTables::new(0..=0));
            assert_eq!(used(&memory, PT), []);
        } else {
            let level = Level::new(4).expect("a level");
            let refused = EditError::Shared { va: HERE + 4 * PAGE, level, table: ROOT };
            assert_eq!(outcome.err(), Some(refused), "{policy:?}");
            assert_eq!(memory, before);
        }
    }
}

#[test]
fn a_shared_table_is_not_freed() {
    // Two links, 2 MiB apart.
    let link = PT | P | W | U;
    let twice = [pages(4, 6), vec![(pde(4), link)]].concat();
    for (entries, freed, links) in [(pages(4, 6), 3, vec![]), (twice, 0, vec![(3, link), (4, link)])] {
        let mut memory = space(&entries);
        let sharing = sharing(&memory);
        let flush = edit(&mut memory, |editor| {
            editor.shared(&sharing, OnShared::EditForAll).free_empty(true).unmap(range(4, 6))
        })
        .expect("unmaps");
        assert_eq!((flush.freed_tables(), used(&memory, PD)), (freed, links));
        assert_eq!(used(&memory, PT), []);
    }
}

#[test]
fn up_to_256_places_of_a_table_are_listed() {
    let links = |count: u64| -> Vec<_> { (3..3 + count).map(|index| (pde(index), PT | P | W)).collect() };
    let reaches = |count| sharing(&space(&links(count))).reaches::<FourLevel>(PT);
    let listed = reaches(256).expect("are listed");
    let places: Vec<_> = listed.iter().map(|reach| reach.va).collect();
    assert_eq!(places, (0..256).map(|index| HERE + index * 2 * MIB).collect::<Vec<_>>());
    assert_eq!(reaches(257), None);
}
