//! What entries become: rights and all other bits, of pages and of links.

use std::collections::BTreeMap;

use pt_core::raw::{
    BasicMapping, CowMapping, LinkRights, Mapping, MappingKind, RawFormat, SpaceAwareMapping,
    SpaceReferenceMapping,
};
use pt_core::{Encode, Format, Geometry, Level};

use super::{ALL, PAGE, depths, empty, entry_at, link, map, page, span};
use crate::raw::{ALL_RIGHTS, Bound, LARGE, NO_EXECUTE, Tables, USER, WRITABLE, link_to, rebuild};

/// The bits that take a right away, and how the raw interface says so.
fn takings<F: RawFormat>() -> Vec<(u64, LinkRights)> {
    let mut takings = vec![
        (0, LinkRights::ALL),
        (WRITABLE, LinkRights { writable: false, ..LinkRights::ALL }),
        (USER, LinkRights { user_accessible: false, ..LinkRights::ALL }),
    ];
    if F::ENTRY_BYTES == 8 {
        takings.push((NO_EXECUTE, LinkRights { executable: false, ..LinkRights::ALL }));
    }
    takings
}

/// What a page on a path permits.
fn rights_of(page: &Mapping) -> LinkRights {
    match page.kind {
        MappingKind::Basic(BasicMapping { writable, executable, .. }) => {
            LinkRights { writable, executable, user_accessible: page.user_accessible }
        }
        other => panic!("{other:?}"),
    }
}

/// Two spaces have one table, at each depth, and the second one's path withholds a right: at its own link, or above it.
/// Rebuilt, it withholds that right again and no other, and the link has all its other bits.
pub fn references_keep_their_link_and_path<B: Bound>() {
    const MARKS: u64 = 0xe18;
    let format = B::Format::default();
    let levels = usize::from(B::Format::LEVELS);
    for depth in depths::<B::Format>() {
        for (taken, rights) in takings::<B::Format>() {
            for from in 0..depth {
                let mut tables = Tables::<B>::line(2 * levels);
                tables.set(levels - 1, 5, 0x9000 | ALL_RIGHTS);
                // Behind the first root's tables, the second one's, as far down as it has its own.
                let entry = |above: usize, raw: u64| if above == from { raw ^ taken } else { raw };
                let mut our_va = 0;
                for above in 0..depth - 1 {
                    tables.set(levels + above, 2, entry(above, link_to(levels + above + 1)));
                    our_va += 2 * span::<B::Format>(above);
                }
                let own = entry(depth - 1, link_to(depth) | MARKS);
                tables.set(levels + depth - 1, 7, own);
                our_va += 7 * span::<B::Format>(depth - 1);

                let walked = tables.walk(&[0, levels], Tables::<B>::EVERYTHING);
                let (memory, roots) = rebuild(format.clone(), &walked, super::TABLES).expect("is rebuilt");
                let again = memory.walk();
                let [SpaceAwareMapping::AnotherSpace(link)] = again[1].1[..] else { panic!("{again:x?}") };
                assert_eq!((link.depth, link.our_va, link.their_va, link.rights), (depth, our_va, 0, rights));
                let level = Level::at_depth::<B::Format>(depth - 1).expect("a depth");
                let restricted = format.narrow(level, own, rights).expect("this format has the right");
                assert_eq!(format.relocate(level, link.entry, 0), format.relocate(level, restricted, 0));
                // The owner has every right to its page, and the other as many as it had.
                memory.act_on(0);
                assert_eq!(rights_of(&memory.page(5 * PAGE).expect("a page")), LinkRights::ALL);
                memory.act_on(1);
                let found = memory.page(our_va + 5 * PAGE).expect("a page");
                assert_eq!((found.phys_base, rights_of(&found)), (0x9000, rights));
                assert_ne!(roots[0].1, roots[1].1);
            }
        }
    }
}

/// One frame at two writable addresses, and in two spaces: it stays one, and writable.
pub fn frames_are_mapped_twice<B: Bound>() {
    let memory = empty::<B>();
    let far = 3 * span::<B::Format>(0);
    for va in [0, PAGE, far] {
        map::<B>(&memory, page(va, 0x9000)).expect("is mapped");
    }
    memory.add_root();
    map::<B>(&memory, page(far, 0x9000)).expect("is mapped");
    let walked = memory.walk();
    let (after, _) = rebuild(B::Format::default(), &walked, 0x80_0000).expect("is rebuilt");
    let again = after.walk();
    for ((_, mappings), (_, found)) in walked.iter().zip(&again) {
        assert_eq!(mappings, found);
        for mapping in found {
            let SpaceAwareMapping::ThisSpace(page) = mapping else { panic!("{mapping:x?}") };
            assert_eq!((page.phys_base, page.kind), (0x9000, ALL));
        }
    }
}

/// The root in a slot of its own: a walk reports its tables as pages. They keep their entries, and whoever knows where
/// the new tables are maps those instead.
pub fn self_maps_name_tables<B: Bound>() {
    let levels = usize::from(B::Format::LEVELS);
    let mut tables = Tables::<B>::line(levels);
    tables.set(levels - 1, 5, 0x9000 | ALL_RIGHTS);
    tables.link(0, 2, 0);
    let walked = tables.walk(&[0], Tables::<B>::EVERYTHING);
    let names = |mapping: &SpaceAwareMapping| match mapping {
        SpaceAwareMapping::ThisSpace(page) if page.phys_base != 0x9000 => {
            Some((page.virt_base, page.phys_base))
        }
        SpaceAwareMapping::ThisSpace(_) => None,
        other => panic!("{other:x?}"),
    };
    let windows: BTreeMap<u64, u64> = walked[0].1.iter().filter_map(names).collect();
    assert_eq!(windows.len(), levels);
    let (memory, roots) = rebuild(B::Format::default(), &walked, super::TABLES).expect("is rebuilt");
    for (&va, &table) in &windows {
        assert_eq!(
            memory.page(va).expect("a page").phys_base,
            table,
            "what the caller gave is what is mapped"
        );
    }
    // The page through which the root is edited: now it shows the new one.
    let (&last, _) = windows.iter().find(|(_, table)| **table == 0).expect("the root is mapped");
    let mut window = memory.page(last).expect("a page");
    window.phys_base = roots[0].1;
    map::<B>(&memory, window).expect("is replaced");
    let found = memory.page(last).expect("a page");
    assert_eq!((found.phys_base, found.entry & 0xfff), (roots[0].1, window.entry & 0xfff));
}

/// An entry keeps all that is not a right or the mark of a copy; rights and the mark are those of the kind.
pub fn attributes_are_kept<B: Bound>() {
    let memory = empty::<B>();
    let entry_of =
        |va| memory.entry(entry_at(&memory, memory.roots()[0], va, usize::from(B::Format::LEVELS) - 1));
    // By hand: accessed and dirty, so that the CPU need not write it.
    map::<B>(&memory, page(0, 0x9000)).expect("is mapped");
    assert_eq!(entry_of(0), 0x9000 | ALL_RIGHTS);
    map::<B>(&memory, Mapping::new(0x9000, 0, PAGE, ALL)).expect("is replaced");
    assert_eq!(entry_of(0), 0x9000 | ALL_RIGHTS & !USER);

    // PWT, PCD, PAT, G and a software bit; neither accessed nor dirty.
    let kept = 0x598 | LARGE;
    let basic = |writable| MappingKind::Basic(BasicMapping { readable: true, writable, executable: true });
    let cow = MappingKind::Cow(CowMapping { readable: true, executable: true });
    for (entry, kind, expected) in [
        (kept | 1, basic(true), kept | WRITABLE),
        (kept | 1 | WRITABLE | USER, basic(false), kept),
        (kept | 1 | WRITABLE, cow, kept & !0xe00 | 0x200),
        (0x201 | WRITABLE, cow, 0x200),
        // What was copied is no copy any more; another mark of bit 9 with others is none.
        (0x201, basic(true), WRITABLE),
        (0x601, basic(true), 0x600 | WRITABLE),
    ] {
        map::<B>(&memory, Mapping { entry, kind, ..Mapping::new(0xa000, 0, PAGE, kind) }).expect("is mapped");
        assert_eq!(entry_of(0), 0xa000 | 1 | expected, "{entry:#x} {kind:?}");
    }

    // A page of a large page, as `virt_to_phys` gives it: PAT moves from bit 12 to bit 7.
    let level = Level::new(2).expect("a level");
    let span = B::Format::entry_span(level);
    let pat = 1 << 12;
    let whole =
        Mapping { level, entry: (4 * span) | ALL_RIGHTS | LARGE | pat, len: span, ..page(span, 4 * span) };
    map::<B>(&memory, whole).expect("is mapped");
    let part = memory.page(span + 3 * PAGE).expect("a page");
    assert_eq!((part.len, part.level, part.entry), (PAGE, level, whole.entry));
    map::<B>(&memory, Mapping { virt_base: 0, ..part }).expect("is mapped");
    assert_eq!(entry_of(0), (4 * span + 3 * PAGE) | ALL_RIGHTS | LARGE);
    assert_eq!(memory.page(0).expect("a page").level, Level::LEAF);
    // Moved to where it is not aligned, the whole is made of small pages.
    map::<B>(&memory, Mapping { phys_base: span + PAGE, virt_base: 2 * span, ..whole }).expect("is mapped");
    assert_eq!(entry_of(2 * span), (span + PAGE) | ALL_RIGHTS | LARGE);
}

/// The owner's table was empty, and was shared: it is there again, and what one maps in it the other sees.
pub fn empty_tables_are_shared<B: Bound>() {
    for depth in depths::<B::Format>() {
        let memory = empty::<B>();
        let (first, second) = (memory.roots()[0], memory.add_root());
        let (ours, theirs) = (5 * span::<B::Format>(depth - 1), 9 * span::<B::Format>(depth - 1));
        let mut reference = SpaceReferenceMapping {
            depth,
            space: 7,
            our_va: ours,
            their_va: theirs,
            entry: link_to(1) & !USER,
            rights: LinkRights { user_accessible: false, ..LinkRights::ALL },
        };
        link::<B, _>(&memory, reference, &[(7, first), (8, second)]).expect("is linked");
        // Within a space, by the same function: here both ways go through tables that do not exist yet.
        reference = SpaceReferenceMapping { space: 8, our_va: 2 * theirs, their_va: 2 * ours, ..reference };
        link::<B, _>(&memory, reference, &[(7, first), (8, second)]).expect("is linked");
        memory.act_on(0);
        map::<B>(&memory, page(theirs, 0x9000)).expect("is mapped");
        memory.act_on(1);
        let found = memory.page(ours).expect("the same page");
        assert_eq!((found.phys_base, found.user_accessible), (0x9000, false));
        map::<B>(&memory, page(2 * ours, 0xa000)).expect("is mapped");
        assert_eq!(memory.page(2 * theirs).expect("the same page").phys_base, 0xa000);
        let walked = memory.walk();
        let links = walked.iter().flat_map(|(_, mappings)| mappings).filter_map(|mapping| match mapping {
            SpaceAwareMapping::AnotherSpace(link) | SpaceAwareMapping::SameSpace(link) => Some(link.depth),
            _ => None,
        });
        assert_eq!(links.collect::<Vec<_>>(), [depth, depth], "{walked:x?}");
    }
}
