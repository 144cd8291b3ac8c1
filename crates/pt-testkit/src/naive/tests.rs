//! The oracle against tables small enough to be checked by eye.

use super::*;

const WHOLE: (u64, u64) = (0, u64::MAX);
const FOUR: Mode = Mode::FourLevel(Long { phys_bits: 46, nx: true, gib_pages: true, amd: false, ignored: 0 });
const PAE: Mode = Mode::Pae { phys_bits: 40, nx: true, strict_pdpte: true, ignored: 0 };
const TWO: Mode = Mode::TwoLevel { phys_bits: 40, pse: true, pse36: true, ignored: 0 };
const NO_EXECUTE: u64 = 1 << 63;
const UPPER: u64 = 0xffff_8000_0000_0000;

/// Memory of `count` frames from 0 on, with these entries.
fn frames(mode: &Mode, count: u64, entries: &[(u64, u64, u64)]) -> Frames {
    let mut memory = Frames::new();
    for frame in 0..count {
        memory.add(frame * Frames::SIZE);
    }
    for &(frame, index, raw) in entries {
        let width = mode.entry_bytes();
        assert!(memory.write(frame * Frames::SIZE + index * width, width, raw));
    }
    memory
}

fn rights(text: &str) -> Rights {
    Rights { write: text.contains('w'), user: text.contains('u'), execute: text.contains('x') }
}

fn entry_link(raw: u64, entry: u64) -> Link {
    Link { raw, entry: Some(entry) }
}

#[test]
fn an_alias_keeps_the_rights_of_its_own_link() {
    let memory = frames(
        &FOUR,
        4,
        &[
            (0, 0, 0x1007),
            (0, 256, 0x1001),
            (1, 0, 0x2007),
            (2, 1, 0x3003),
            (3, 511, NO_EXECUTE | 0xabc_d007),
        ],
    );
    let (space, level) = (0, 4);
    let root = Link { raw: 0x18, entry: None };
    let owned = |id, level, link, rights| {
        let (address, va) = (u64::from(id) * 0x1000, if level == 1 { 0x20_0000 } else { 0 });
        Event::Table { space, id, level, address, va, link, rights, first_met: None }
    };
    let leaf_at = |va, text| Event::Leaf {
        space,
        level: 1,
        va,
        pa: 0xabc_d000,
        pages: 1,
        raw: NO_EXECUTE | 0xabc_d007,
        entry: 0x3ff8,
        rights: rights(text),
    };
    let alias = Event::Alias {
        space,
        owner: 0,
        table: 1,
        level: 3,
        address: 0x1000,
        our_va: UPPER,
        their_va: 0,
        link: entry_link(0x1001, 0x800),
        rights: rights("x"),
    };
    let first = [
        owned(0, level, root, rights("wux")),
        owned(1, 3, entry_link(0x1007, 0), rights("wux")),
        owned(2, 2, entry_link(0x2007, 0x1000), rights("wux")),
        owned(3, 1, entry_link(0x3003, 0x2008), rights("wx")),
        leaf_at(0x3f_f000, "w"),
    ];
    assert_eq!(graph(&FOUR, &memory, &[0x18], WHOLE, Repeated::Alias), [&first[..], &[alias]].concat());

    let plain: Vec<_> =
        flat(&FOUR, &memory, 0x18, WHOLE).into_iter().filter(|event| !event.is_table()).collect();
    assert_eq!(plain, [leaf_at(0x3f_f000, "w"), leaf_at(UPPER + 0x3f_f000, "")]);

    let found = translate(&FOUR, &memory, 0x18, UPPER + 0x3f_f123).expect("it is mapped");
    assert_eq!((found.pa, found.level, found.rights), (0xabc_d123, 1, rights("")));
    assert_eq!(translate(&FOUR, &memory, 0x18, UPPER - 1), Err(Lost::NoSuchAddress));
    let lost = Lost::Absent { level: 1, raw: 0, entry: 0x3000 };
    assert_eq!(translate(&FOUR, &memory, 0x18, 0x20_0fff), Err(lost));
}

#[test]
fn a_self_map_meets_the_root_at_every_level() {
    let memory = frames(&FOUR, 1, &[(0, 510, 0x63)]);
    let events = graph(&FOUR, &memory, &[0], WHOLE, Repeated::Alias);
    let met: Vec<_> = events
        .iter()
        .filter_map(|event| match *event {
            Event::Table { level, id, first_met, .. } => Some((level, id, first_met)),
            _ => None,
        })
        .collect();
    assert_eq!(met, [(4, 0, None), (3, 1, Some(0)), (2, 2, Some(0)), (1, 3, Some(0))]);
    let Some(&Event::Leaf { va, pa, entry, .. }) = events.last() else { panic!("the last is a page") };
    assert_eq!((va, pa, entry), (0xffff_ff7f_bfdf_e000, 0, 510 * 8));
    assert_eq!(events.len(), 5);
}

#[test]
fn a_root_given_twice_is_an_alias_at_depth_0() {
    let memory = frames(&TWO, 2, &[(0, 0, 0x1007), (1, 0, 0x7007)]);
    let events = graph(&TWO, &memory, &[0x8, 0x10], WHOLE, Repeated::Alias);
    assert_eq!(events.len(), 4);
    let expected = Event::Alias {
        space: 1,
        owner: 0,
        table: 0,
        level: 2,
        address: 0,
        our_va: 0,
        their_va: 0,
        link: Link { raw: 0x10, entry: None },
        rights: Rights::ALL,
    };
    assert_eq!(events[3], expected);
    let counts = counts(&TWO, &memory, &[0x8, 0x10], WHOLE);
    assert_eq!((counts[1].leaves[0], counts[1].owned, counts[1].aliases_to_others), (1, 0, 1));
}

#[test]
fn every_link_to_an_unreadable_table_faults() {
    let memory = frames(&TWO, 1, &[(0, 0, 0x9007), (0, 1, 0x9003), (0, 2, 0x9006)]);
    let events = graph(&TWO, &memory, &[0, 0x5000], WHOLE, Repeated::Alias);
    let fault = |space, level, va, table, link| Event::Unreadable {
        space,
        level,
        va,
        table,
        link,
        why: Missing::Outside,
    };
    assert_eq!(events[1], fault(0, 1, 0, 0x9000, entry_link(0x9007, 0)));
    assert_eq!(events[2], fault(0, 1, 0x40_0000, 0x9000, entry_link(0x9003, 4)));
    assert_eq!(events[3], Event::Absent { space: 0, level: 2, va: 0x80_0000, raw: 0x9006, entry: 8 });
    assert_eq!(events[4], fault(1, 2, 0, 0x5000, Link { raw: 0x5000, entry: None }));
    assert_eq!(events.len(), 5);
}

#[test]
fn a_bomb_is_four_tables() {
    let full = (0..4).flat_map(|frame| (0..512).map(move |index| (frame, index, (frame + 1) << 12 | 7)));
    let memory = frames(&FOUR, 4, &full.collect::<Vec<_>>());
    let events = graph(&FOUR, &memory, &[0], WHOLE, Repeated::Alias);
    let aliases = events.iter().filter(|event| matches!(event, Event::Alias { .. })).count();
    assert_eq!((aliases, events.len()), (3 * 511, 4 + 3 * 511 + 512));
}

/// Four slots that all link one table of which the range cuts off the first page: the cut is a window of its own.
#[test]
fn a_cut_below_makes_another_window() {
    let memory =
        frames(&TWO, 2, &[(0, 0, 0x1007), (0, 1, 0x1007), (0, 2, 0x1007), (0, 3, 0x1007), (1, 0, 0x7007)]);
    let range = (0x1000, (4 << 22) - 1);
    let events = graph(&TWO, &memory, &[0], range, Repeated::Alias);
    let names: String = events
        .iter()
        .map(|event| match event {
            Event::Table { .. } => 'T',
            Event::Leaf { .. } => 'L',
            Event::Alias { .. } => 'A',
            _ => '?',
        })
        .collect();
    assert_eq!(
        names, "TTTLAA",
        "root, the cut table without its page, the whole one with it, two aliases of that"
    );
    assert!(matches!(events[2], Event::Table { id: 2, first_met: Some(1), .. }));
    let leaves = flat(&TWO, &memory, 0, range).iter().filter(|event| !event.is_table()).count();
    assert_eq!(leaves, 3);
}

#[test]
fn pages_of_4_mib_reach_above_4_gib() {
    let memory = frames(&TWO, 1, &[(0, 1023, 0xffdf_f0e7), (0, 0, 0x0020_0081)]);
    let found = translate(&TWO, &memory, 0, 0xffff_ffff).expect("it is mapped");
    assert_eq!((found.pa, found.level), (0xff_ffff_ffff, 2));
    let malformed =
        Event::Malformed { space: 0, level: 2, va: 0, raw: 0x20_0081, entry: 0, reserved: 0x20_0000 };
    assert_eq!(translate(&TWO, &memory, 0, 0x1234), Err(Lost::Fault(malformed)));
    assert_eq!(flat(&TWO, &memory, 0, (0, 0))[1], malformed);
}

#[test]
fn pae_roots_are_32_bytes_and_have_no_rights() {
    let root = 0x20 / 8;
    let memory =
        frames(&PAE, 3, &[(0, root + 3, 0x1001), (1, 0, 0x2007), (1, 511, 0x20_00e5), (2, 511, 0x5003)]);
    let events: Vec<_> = flat(&PAE, &memory, 0x27 ^ 7, WHOLE).into_iter().filter(|e| !e.is_table()).collect();
    let leaf = |level, va, pa, raw, entry, text| {
        let (space, pages, rights) = (0, 1, rights(text));
        Event::Leaf { space, level, va, pa, pages, raw, entry, rights }
    };
    let expected = [
        leaf(1, 0xc01f_f000, 0x5000, 0x5003, 0x2ff8, "wx"),
        leaf(2, 0xffe0_0000, 0x20_0000, 0x20_00e5, 0x1ff8, "ux"),
    ];
    assert_eq!(events, expected);
}

#[test]
fn runs_end_at_the_table_and_at_other_attributes() {
    let page = |frame: u64, index: u64| (frame, index, (frame << 10 | index) << 12 | 3);
    let mut entries = vec![(0, 0, 0x1007), (0, 1, 0x2007), page(1, 1022), page(1, 1023)];
    entries.extend((0..8).map(|index| page(2, index)));
    entries[6].2 |= 0x60;
    entries[9].2 |= 1 << 9;
    let memory = frames(&TWO, 3, &entries);
    let events = graph(&TWO, &memory, &[0], WHOLE, Repeated::Alias);
    let runs = |ignore| -> Vec<_> {
        let joined = join(&TWO, &events, ignore);
        joined
            .iter()
            .filter_map(
                |e| if let Event::Leaf { va, pages, .. } = *e { Some((va >> 12, pages)) } else { None },
            )
            .collect()
    };
    assert_eq!(runs(false), [(1022, 2), (1024, 2), (1026, 1), (1027, 2), (1029, 1), (1030, 2)]);
    assert_eq!(runs(true), [(1022, 2), (1024, 5), (1029, 1), (1030, 2)]);
}

/// Two roots over a diamond: the second owns nothing below its root and reaches everything.
#[test]
fn counts_of_a_diamond() {
    let below =
        [(2, 0, 0x3007), (2, 1, 0x3007), (3, 0, 0x4007), (4, 0, 0x7007), (4, 1, 0x8006), (3, 1, 0xe7)];
    let roots = [(0, 0, 0x2007), (0, 1, 0x2007), (1, 511, 0x2007), (1, 3, 0x1_8000_0000_0007)];
    let memory = frames(&FOUR, 5, &[&below[..], &roots[..]].concat());
    let counts = counts(&FOUR, &memory, &[0, 0x1000], WHOLE);
    let first = Counts {
        leaves: [4, 4, 0, 0, 0],
        mapped: 4 * 0x20_1000,
        absent: 4,
        faults: 0,
        paths: 1 + 2 * (1 + 2 * 2),
        owned: 4,
        shared: 0,
        aliases_to_others: 0,
        aliases_within: 2,
        aliases_of_nothing: 0,
        own_faults: 0,
        own_leaves: 2,
    };
    assert_eq!(counts[0], first);
    let second = Counts {
        leaves: [2, 2, 0, 0, 0],
        mapped: 2 * 0x20_1000,
        absent: 2,
        faults: 1,
        paths: 6,
        owned: 1,
        shared: 1,
        aliases_to_others: 1,
        aliases_within: 0,
        aliases_of_nothing: 0,
        own_faults: 1,
        own_leaves: 0,
    };
    assert_eq!(counts[1], second);
}
