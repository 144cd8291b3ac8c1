//! What is refused, and that nothing has changed then.

use pt_core::raw::{LinkRights, MapError, Mapping, MappingKind, SpaceReferenceMapping};
use pt_core::{Encode, Format, Geometry, Level};

use super::{ALL, PAGE, depths, empty, entry_at, link, map, page, span};
use crate::raw::{Bound, InPlace, LARGE, USER, WRITABLE};

/// Expects an error, and memory as it was.
fn refused<B: Bound>(memory: &InPlace<B::Format>, mapping: Mapping) -> MapError {
    let before = (memory.frames(), memory.held());
    let error = map::<B>(memory, mapping).expect_err("is refused");
    assert!((memory.frames(), memory.held()) == before, "{error}: something has changed");
    error
}

/// A large page at `va`, by hand.
fn large<B: Bound>(va: u64, level: u8) -> Mapping {
    let level = Level::new(level).expect("a level");
    let span = B::Format::entry_span(level);
    Mapping { level, len: span, ..page(va, 4 * span) }
}

/// Pages mapped into a large page are not written into its data.
pub fn large_pages_are_in_the_way<B: Bound>() {
    let memory = empty::<B>();
    let (page_span, level) =
        (B::Format::entry_span(Level::new(2).expect("a level")), Level::new(2).expect("a level"));
    map::<B>(&memory, large::<B>(page_span, 2)).expect("is mapped");
    let root = memory.roots()[0];
    let entry = entry_at(&memory, root, page_span, usize::from(B::Format::LEVELS) - 2);
    let raw = memory.entry(entry);
    assert_eq!(raw & LARGE, LARGE);
    let va = page_span + 5 * PAGE;
    for kind in [ALL, MappingKind::Unmapped] {
        let error = refused::<B>(&memory, Mapping { kind, ..page(va, 0x9000) });
        assert_eq!(error, MapError::PageInTheWay { va, level, entry, raw });
        // Nor where what comes before it could have been mapped.
        let error =
            refused::<B>(&memory, Mapping { kind, len: 3 * PAGE, ..page(page_span - 2 * PAGE, 0x9000) });
        assert_eq!(error, MapError::PageInTheWay { va: page_span, level, entry, raw });
    }
}

/// A large page is replaced or taken away as a whole, and otherwise left alone.
pub fn large_pages_are_not_split<B: Bound>() {
    let memory = empty::<B>();
    let whole = large::<B>(0, 2);
    map::<B>(&memory, whole).expect("is mapped");
    refused::<B>(&memory, page(0, 0x9000));
    refused::<B>(&memory, Mapping { len: whole.len - PAGE, ..whole });
    // 4 KiB pages all over it would have to take its place.
    refused::<B>(&memory, Mapping { level: Level::LEAF, ..whole });
    map::<B>(&memory, Mapping { phys_base: 8 * whole.len, ..whole }).expect("is replaced");
    assert_eq!(memory.page(0).expect("a page").phys_base, 8 * whole.len);
    // What is taken away can have any size, a mapping by hand says nothing of it.
    let gone = Mapping::new(0, 0, 2 * whole.len, MappingKind::Unmapped);
    map::<B>(&memory, gone).expect("is unmapped");
    assert_eq!(memory.walk()[0].1, []);
    map::<B>(&memory, page(0, 0x9000)).expect("nothing is there");
}

/// Ranges that end with the space, or past it.
pub fn ranges_end_with_the_space<B: Bound>() {
    let memory = empty::<B>();
    let last = B::Format::canonical(B::Format::VA_MASK) & !(PAGE - 1);
    map::<B>(&memory, page(last, 0x9000)).expect("the last page");
    map::<B>(&memory, Mapping { len: 2 * PAGE, ..page(last - PAGE, 0x9000) }).expect("the last two");
    assert_eq!(memory.page(last).expect("a page").phys_base, 0xa000);
    for (virt_base, len) in [
        (last, 2 * PAGE),
        (last, u64::MAX - (PAGE - 1)),
        (0, u64::MAX - (PAGE - 1)),
        (PAGE, u64::MAX - (PAGE - 1)),
        (0, B::Format::VA_MASK + 1 + PAGE),
    ] {
        let error = refused::<B>(&memory, Mapping { len, ..page(virt_base, 0x9000) });
        assert_eq!(error, MapError::Range { virt_base, len });
    }
    // Physical addresses that wrap, too.
    let error = refused::<B>(&memory, Mapping { len: 4 * PAGE, ..page(0, u64::MAX - (2 * PAGE - 1)) });
    assert!(matches!(error, MapError::Unencodable { va: 0, .. }), "{error}");
    // No byte touches no page.
    assert_eq!(map::<B>(&memory, Mapping { len: 0, ..page(0, 0x9000) }), Ok(()));
    assert_eq!(memory.page(0), None);
}

/// No address that is misaligned or that the hardware does not have is mapped.
pub fn addresses_are_canonical<B: Bound>() {
    let memory = empty::<B>();
    let half = (B::Format::VA_MASK >> 1) + 1;
    let outside = if B::Format::SIGN_EXTENDED {
        vec![half, half + PAGE, B::Format::VA_MASK + 1, !half & !(PAGE - 1), 0xdead_0000_0000_0000]
    } else {
        vec![B::Format::VA_MASK + 1, 1 << 63]
    };
    for virt_base in outside {
        let error = refused::<B>(&memory, page(virt_base, 0x9000));
        assert_eq!(error, MapError::Range { virt_base, len: PAGE });
    }
    // The hole is not skipped.
    if B::Format::SIGN_EXTENDED {
        refused::<B>(&memory, Mapping { len: 2 * PAGE, ..page(half - PAGE, 0x9000) });
        map::<B>(&memory, page(half - PAGE, 0x9000)).expect("below the hole");
        map::<B>(&memory, page(B::Format::canonical(half), 0x9000)).expect("above the hole");
    }
    for misaligned in [page(0x1234, 0x5000), Mapping { len: 0x1234, ..page(0x1000, 0x5000) }] {
        assert!(matches!(refused::<B>(&memory, misaligned), MapError::Range { .. }));
    }
    let highest = memory.format().highest_table_address(Level::LEAF);
    for pa in [0x5234, highest + 1, 1 << 62] {
        let error = refused::<B>(&memory, page(0x1000, pa));
        assert!(
            matches!(error, MapError::Unencodable { va: 0x1000, pa: found, .. } if found == pa),
            "{error}"
        );
    }
    // A range that is fine at both ends, but for one page.
    let error = refused::<B>(&memory, Mapping { len: 3 * PAGE, ..page(0x1000, highest - 2 * PAGE + 1) });
    assert!(matches!(error, MapError::Unencodable { .. }), "{error}");
}

/// Of two pages the second has a physical address that differs from the first one's in one bit, or in all up to one.
pub fn addresses_carry<B: Bound>() {
    let memory = empty::<B>();
    for border in (13..32).map(|bit| 1 << bit) {
        map::<B>(&memory, Mapping { len: 2 * PAGE, ..page(0, border - PAGE) }).expect("is mapped");
        let found = [0, PAGE].map(|va| memory.page(va).map(|page| page.phys_base));
        assert_eq!(found, [Some(border - PAGE), Some(border)]);
    }
}

/// Tables for half of what is asked for; what there is then is given back.
pub fn failures_leave_nothing<B: Bound>() {
    let memory = empty::<B>();
    let top = span::<B::Format>(0);
    map::<B>(&memory, page(0, 0x9000)).expect("is mapped");
    // The last page below one entry of the root, which has a table already, and the first below the next.
    let mapping = Mapping { len: 2 * PAGE, ..page(top - PAGE, 0x20_0000) };
    let needed = 2 * usize::from(B::Format::LEVELS) - 3;
    for got in 0..needed {
        memory.allow(got);
        assert_eq!(refused::<B>(&memory, mapping), MapError::OutOfTables { needed, got });
    }
    memory.allow(needed);
    map::<B>(&memory, mapping).expect("there is just enough");
    assert_eq!(memory.walk()[0].1.len(), 3);
}

/// Links that are there and withhold what is asked for: errors with the place, at every depth.
pub fn links_cap<B: Bound>() {
    for depth in depths::<B::Format>() {
        let level = Level::at_depth::<B::Format>(depth - 1).expect("a depth");
        for taken in [WRITABLE, USER] {
            let memory = empty::<B>();
            map::<B>(&memory, page(0, 0x9000)).expect("is mapped");
            let entry = entry_at(&memory, memory.roots()[0], 0, depth - 1);
            let raw = memory.entry(entry) & !taken;
            memory.set_entry(entry, raw);
            let error = refused::<B>(&memory, page(PAGE, 0xa000));
            assert_eq!(error, MapError::Capped { va: PAGE, level, entry, raw });
            // What it does not withhold is mapped, and what is there is taken away.
            let less = match taken {
                WRITABLE => MappingKind::Cow(pt_core::raw::CowMapping { readable: true, executable: true }),
                _ => ALL,
            };
            map::<B>(&memory, Mapping { user_accessible: taken != USER, kind: less, ..page(PAGE, 0xa000) })
                .expect("no more than the link permits");
            map::<B>(&memory, Mapping { kind: MappingKind::Unmapped, ..page(0, 0) }).expect("is unmapped");
            assert_eq!(memory.walk()[0].1.len(), 1);
        }
    }
    // An entry on the way that no hardware follows.
    let memory = empty::<B>();
    map::<B>(&memory, page(0, 0x9000)).expect("is mapped");
    let level = B::Format::ROOT;
    let entry = entry_at(&memory, memory.roots()[0], 0, 0);
    let reserved = 1 << 21;
    let raw =
        if level.number() == 2 { 0x40_0000 | LARGE | 7 | reserved } else { memory.entry(entry) | LARGE };
    memory.set_entry(entry, raw);
    let error = refused::<B>(&memory, page(0, 0x9000));
    assert!(
        matches!(error, MapError::Malformed { va: 0, entry: at, raw: found, .. } if (at, found) == (entry, raw)),
        "{error}"
    );
}

/// References whose space, depth, entry or address is wrong, or whose place is taken in either space.
pub fn references_fail<B: Bound>() {
    for depth in depths::<B::Format>() {
        let memory = empty::<B>();
        let (first, second) = (memory.roots()[0], memory.add_root());
        let (roots, above) = ([(7, first), (8, second)], span::<B::Format>(depth - 1));
        memory.act_on(0);
        map::<B>(&memory, page(0, 0x9000)).expect("is mapped");
        memory.act_on(1);
        map::<B>(&memory, page(above, 0xa000)).expect("is mapped");
        let level = Level::at_depth::<B::Format>(depth - 1).expect("a depth");
        let fine = SpaceReferenceMapping {
            depth,
            space: 7,
            our_va: 0,
            their_va: 0,
            entry: 0,
            rights: LinkRights::ALL,
        };
        let refused = |reference| {
            let before = (memory.frames(), memory.held());
            let error = link::<B, _>(&memory, reference, &roots).expect_err("is refused");
            assert!((memory.frames(), memory.held()) == before, "{error}: something has changed");
            error
        };
        let error = refused(SpaceReferenceMapping { space: 9, ..fine });
        assert_eq!(error, MapError::UnknownSpace { space: 9 });
        for depth in [0, usize::from(B::Format::LEVELS), usize::MAX] {
            assert_eq!(refused(SpaceReferenceMapping { depth, ..fine }), MapError::Depth { depth });
        }
        let outside = B::Format::VA_MASK + 1;
        for wrong in [
            SpaceReferenceMapping { our_va: outside, ..fine },
            SpaceReferenceMapping { their_va: outside, ..fine },
        ] {
            assert!(matches!(refused(wrong), MapError::Range { .. }));
        }
        let raw = 0x9000;
        let error = refused(SpaceReferenceMapping { entry: raw, ..fine });
        assert_eq!(error, MapError::NotALink { va: 0, level, raw });
        // Another table is linked there already.
        let entry = entry_at(&memory, second, above, depth - 1);
        let error = refused(SpaceReferenceMapping { our_va: above, ..fine });
        assert_eq!(error, MapError::TableInTheWay { va: above, level, entry, raw: memory.entry(entry) });
        // A page is where the link, or the owner's table, has to be.
        if depth + 1 == usize::from(B::Format::LEVELS) {
            map::<B>(&memory, large::<B>(2 * above, 2)).expect("is mapped");
            let error = refused(SpaceReferenceMapping { our_va: 2 * above, ..fine });
            assert!(matches!(error, MapError::PageInTheWay { va, .. } if va == 2 * above), "{error}");
            let error =
                refused(SpaceReferenceMapping { space: 8, their_va: 2 * above, our_va: 3 * above, ..fine });
            assert!(matches!(error, MapError::PageInTheWay { va, .. } if va == 2 * above), "{error}");
        }
        // Tables are missing on both ways, down to the owner's own.
        let (far, needed) = (200 * span::<B::Format>(0), 2 * depth - 1);
        let reference = SpaceReferenceMapping { our_va: far, their_va: far, ..fine };
        for got in 0..needed {
            memory.allow(got);
            assert_eq!(refused(reference), MapError::OutOfTables { needed, got });
        }
        memory.allow(needed);
        link::<B, _>(&memory, reference, &roots).expect("there is just enough");
        // Once more is no other link.
        link::<B, _>(&memory, reference, &roots[..]).expect("is linked already");
        link::<B, _>(&memory, fine, &roots.to_vec()).expect("is linked");
    }
}

/// A table that hangs at two levels: what is written in it at one is met again at the other, where nothing was when it was
/// looked at.
pub fn tables_at_two_levels_are_noticed<B: Bound>() {
    // A table at this depth that links itself in its first entry, and the span of its entries.
    let own_child = |depth| {
        let memory = empty::<B>();
        map::<B>(&memory, page(0, 0x9000)).expect("is mapped");
        let entry = entry_at(&memory, memory.roots()[0], 0, depth);
        let level = Level::at_depth::<B::Format>(depth).expect("a depth");
        memory.set_entry(entry, memory.format().link(level, entry & !0xfff).expect("is linked"));
        (memory, span::<B::Format>(depth))
    };
    let levels = usize::from(B::Format::LEVELS);
    let (memory, va) = own_child(levels - 2);
    // PAT of a page is PS above.
    let pages = Mapping { len: va, entry: LARGE | 1, ..page(PAGE, 0x9000) };
    assert_eq!(map::<B>(&memory, pages), Err(MapError::Changed { va }));

    // The owner's table comes to be where the link to it is to go.
    let Some(depth) = levels.checked_sub(3) else { return };
    let (memory, their_va) = own_child(depth);
    let our_va = span::<B::Format>(depth + 1);
    let (depth, rights) = (depth + 2, LinkRights::ALL);
    let reference = SpaceReferenceMapping { depth, space: 7, our_va, their_va, entry: 0, rights };
    let done = link::<B, _>(&memory, reference, &[(7, memory.roots()[0])]);
    assert_eq!(done, Err(MapError::Changed { va: our_va }));
}
