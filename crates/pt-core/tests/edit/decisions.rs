//! What becomes of each entry.

use pt_core::{EditError, Level, MapOptions, Protection};

use crate::{HERE, MIB, NX, P, PAGE, PD, PT, U, W, done, edit, pde, pte, range, space, used};

const KEEP: Protection = Protection { clear: 0, set: 0, widen: false, skip_holes: false };

#[test]
fn attributes_are_cleared_and_then_set() {
    let cases = [
        (W, W, 0, 0),
        (0, W, W, W),
        (W | U, W, U, U),
        (W, 0, U, W | U),
        (W, 0, W, W),
        (W | NX, U, U, W | U | NX),
        (U | NX, NX, NX | W, U | NX | W),
    ];
    for (before, clear, set, after) in cases {
        let mut memory = space(&[(pte(1), 0x9000 | before | P), (pte(2), 0xc000 | before | P)]);
        done(&mut memory, |mut editor| editor.protect(range(1, 3), Protection { clear, set, ..KEEP }));
        assert_eq!(used(&memory, PT), [(1, 0x9000 | after | P), (2, 0xc000 | after | P)]);
    }
}

#[test]
fn a_link_is_asked_for_what_pages_may_get_and_no_more() {
    let page = 0x9000 | P;
    // The link's rights, what happens to the page, and whether the link stands in the way.
    let cases = [
        (W, Protection { clear: W, ..KEEP }, false),
        (0, Protection { clear: W, ..KEEP }, false),
        (0, Protection { set: W, ..KEEP }, true),
        (0, Protection { set: W | NX, ..KEEP }, true),
        (W, Protection { set: W | NX, ..KEEP }, false),
        (NX, KEEP, false),
        (NX, Protection { clear: U, ..KEEP }, false),
        (NX, Protection { set: NX, ..KEEP }, false),
        (NX, Protection { clear: NX, set: NX, ..KEEP }, false),
        (NX, Protection { clear: NX, ..KEEP }, true),
    ];
    for (rights, protection, capped) in cases {
        let link = PT | rights | P;
        let mut memory = space(&[(pde(3), link), (pte(4), page)]);
        let done = edit(&mut memory, |mut editor| editor.protect(range(4, 5), protection));
        let level = Level::new(2).expect("a level");
        let refused = EditError::Capped { va: HERE, level, entry: pde(3), raw: link };
        assert_eq!(done.err(), capped.then_some(refused), "{rights:#x}, {protection:?}");
        let after = if capped { page } else { page & !protection.clear | protection.set };
        assert_eq!(used(&memory, PT), [(4, after)], "{rights:#x}, {protection:?}");
        assert_eq!(used(&memory, PD), [(3, link)]);
    }
}

#[test]
fn where_there_is_a_table_pages_go_into_it() {
    // As large as the table's span.
    let whole = HERE..=HERE + 2 * MIB - 1;
    let mut memory = space(&[]);
    done(&mut memory, |mut editor| editor.map(whole.clone(), 0x40_0000, W, MapOptions::default()));
    let pages: Vec<_> = (0..512).map(|index| (index, (0x40_0000 + index * PAGE) | W | P)).collect();
    assert_eq!((used(&memory, PD), used(&memory, PT)), (vec![(3, PT | P | W | U)], pages));

    let link = PT | P | U;
    let mut memory = space(&[(pde(3), link)]);
    let refused = edit(&mut memory, |mut editor| editor.map(whole, 0x40_0000, W, MapOptions::default()));
    let level = Level::new(2).expect("a level");
    assert_eq!(refused.err(), Some(EditError::Capped { va: HERE, level, entry: pde(3), raw: link }));
}

#[test]
fn holes_are_an_error_unless_they_are_passed_over() {
    let entries = [(pte(3), 0x9000 | P | W), (pte(5), 0xb000 | P | W)];
    let read_only = Protection { clear: W, ..KEEP };
    let mut memory = space(&entries);
    let refused = edit(&mut memory, |mut editor| editor.protect(range(3, 6), read_only));
    let hole = EditError::NotMapped { va: HERE + 4 * PAGE, level: Level::LEAF, entry: pte(4), raw: 0 };
    assert_eq!(refused.err(), Some(hole));
    assert_eq!(memory, space(&entries));

    let skipping = Protection { skip_holes: true, ..read_only };
    done(&mut memory, |mut editor| editor.protect(range(3, 6), skipping));
    assert_eq!(used(&memory, PT), [(3, 0x9000 | P), (5, 0xb000 | P)]);
    done(&mut memory, |mut editor| editor.unmap(range(3, 6)));
    assert_eq!(used(&memory, PT), []);
}
