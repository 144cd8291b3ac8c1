//! Pages of which a part is changed, and tables that become pages.

use std::ops::RangeInclusive;

use pt_amd64::{Features, FourLevel};
use pt_core::{
    BumpTables, EditError, Editor, Level, MapOptions, Permissions, Protection, StaleRange, translate,
};

use crate::{
    A, D, HERE, LARGE, MIB, NEW, P, PAGE, PD, PT, ROOT, U, W, done, edit, pages, pde, pte, range, space,
    stale, used,
};

fn level(memory: &[u8], va: u64) -> Option<u8> {
    translate(&FourLevel::default(), memory, ROOT, va).ok().map(|found| found.level.number())
}

#[test]
fn a_page_is_large_where_all_of_it_is_asked_for_and_may_be() {
    let there = HERE + 2 * MIB;
    let both = there..=there + 4 * MIB - 1;
    let largest = |number| MapOptions { largest: Level::new(number).expect("a level"), ..Default::default() };
    // Where, to where, and of what level the pages are at the start of each 2 MiB.
    let cases = [
        (both.clone(), 4 * MIB, 5, [Some(2), Some(2)]),
        (both.clone(), 4 * MIB, 2, [Some(2), Some(2)]),
        (both.clone(), 4 * MIB, 1, [Some(1), Some(1)]),
        (both.clone(), 4 * MIB + PAGE, 5, [Some(1), Some(1)]),
        (there..=there + 2 * MIB + PAGE - 1, 4 * MIB, 5, [Some(2), Some(1)]),
        (there..=there + PAGE - 1, 4 * MIB, 5, [Some(1), None]),
        (there + 2 * MIB..=there + 4 * MIB - PAGE - 1, 4 * MIB, 5, [None, Some(1)]),
    ];
    for (range, to, most, levels) in cases {
        let mut memory = space(&[]);
        done(&mut memory, |mut editor| editor.map(range.clone(), to, W, largest(most)));
        let found = [level(&memory, there), level(&memory, there + 2 * MIB)];
        assert_eq!(found, levels, "{range:x?} to {to:#x}, at most level {most}");
        let last = translate(&FourLevel::default(), &memory, ROOT, *range.end()).expect("is mapped");
        assert_eq!(last.pa, to + (range.end() - range.start()));
        assert_eq!(level(&memory, range.end() + 1), None);
    }
}

#[test]
fn of_large_pages_the_part_in_range_is_changed() {
    let large = |index: u64| (pde(3 + index), (index * 2 * MIB) | P | W | LARGE);
    let before = space(&[0, 1, 2, 3].map(large));
    let format = FourLevel::default();
    let parts: [RangeInclusive<u64>; 5] =
        [(5, 6), (256, 512), (0, 516), (512, 1800), (5, 2047)].map(|(from, to)| range(from, to));
    let read_only = Protection { clear: W, ..Protection::default() };
    for part in parts {
        let (mut unmapped, mut protected) = (before.clone(), before.clone());
        done(&mut unmapped, |mut editor| editor.unmap(part.clone()));
        done(&mut protected, |mut editor| editor.protect(part.clone(), read_only));
        for va in (HERE..HERE + 8 * MIB).step_by(PAGE as usize) {
            let left = translate(&format, &unmapped, ROOT, va).ok().map(|found| found.pa);
            assert_eq!(left, (!part.contains(&va)).then_some(va - HERE), "{va:#x} without {part:x?}");
            let kept = translate(&format, &protected, ROOT, va).expect("is mapped");
            assert_eq!((kept.pa, kept.rights.writable()), (va - HERE, !part.contains(&va)), "{va:#x}");
        }
    }
}

/// On a machine to which bit 15 of an address means nothing there are large pages, but not all of their parts.
#[test]
fn a_page_that_has_no_parts_is_not_split() {
    let format = FourLevel::new(Features { ignored: 1 << 15, ..Features::default() });
    let mut memory = space(&[(pde(3), 0x4000_0000 | P | W | LARGE)]);
    let before = memory.clone();
    let mut tables = BumpTables::new(NEW..=0x8fff);
    let refused =
        Editor::new(format, &mut memory, &mut tables, ROOT).unmap(range(1, 2)).expect_err("no parts");
    assert_eq!(refused, EditError::Unencodable { va: HERE + 0x8000, pa: 0x4000_8000, attributes: W });
    assert_eq!(memory, before);
}

fn collapse(entries: &[(u64, u64)], range: RangeInclusive<u64>) -> (Vec<(u64, u64)>, usize, Vec<StaleRange>) {
    let mut memory = space(entries);
    let flush = edit(&mut memory, |mut editor| editor.collapse(range)).expect("collapses");
    (used(&memory, PD), flush.freed_tables(), stale(&flush).to_vec())
}

#[test]
fn a_table_of_like_pages_becomes_one() {
    let (link, page) = (PT | P | W | U, 0x40_0000 | P | W | LARGE);
    let all = StaleRange { root: ROOT, first: HERE, last: HERE + 2 * MIB - 1 };
    let becomes = |entries: &[(u64, u64)], raw| {
        assert_eq!(collapse(entries, range(0, 512)), (vec![(3, raw)], 1, vec![all]));
    };
    let stays = |entries: &[(u64, u64)], range, link| {
        assert_eq!(collapse(entries, range), (vec![(3, link)], 0, vec![]));
    };
    let with = |entry: (u64, u64)| [pages(0, 512), vec![entry]].concat();
    becomes(&pages(0, 512), page);
    // What was used or written in any of its parts was used, or written.
    let marked = |indices: &[usize], bits| {
        let mut pages = pages(0, 512);
        for &index in indices {
            pages[index].1 |= bits;
        }
        pages
    };
    becomes(&marked(&[7], A), page | A);
    becomes(&marked(&[0, 7], A), page | A);
    becomes(&marked(&[3, 4, 510, 511], A | D), page | A | D);
    // One of them is not like the others, is missing, or is not asked for.
    stays(&with((pte(511), 0x5f_f000 | P)), range(0, 512), link);
    stays(&with((pte(0), 0x40_0000 | P)), range(0, 512), link);
    stays(&with((pte(9), 0)), range(0, 512), link);
    stays(&pages(0, 512), range(0, 511), link);
    stays(&pages(0, 512), range(1, 512), link);
    // They start where no large page does.
    let moved: Vec<_> = pages(0, 512).iter().map(|(at, raw)| (*at, raw + PAGE)).collect();
    stays(&moved, range(0, 512), link);
    // The link has restrictions of its own.
    stays(&with((pde(3), PT | P | U)), range(0, 512), PT | P | U);
    becomes(&with((pde(3), PT | P | W)), page);
}

#[test]
fn only_a_collapse_makes_pages_of_tables() {
    let mut memory = space(&pages(0, 512));
    let user = Protection { set: U, ..Protection::default() };
    for free_empty in [false, true] {
        let flush = edit(&mut memory, |editor| {
            // More than the table translates, so that its link is dealt with.
            let skipping = Protection { skip_holes: true, ..user };
            editor.free_empty(free_empty).protect(HERE..=HERE + 4 * MIB - 1, skipping)
        });
        assert_eq!(flush.expect("protects").freed_tables(), 0);
        assert_eq!(used(&memory, PD), [(3, PT | P | W | U)]);
    }
}
