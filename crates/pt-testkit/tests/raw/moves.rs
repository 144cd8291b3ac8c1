//! Tables that move when they are written: the same comes of it as where they stay, in every space that reaches them.

use pt_amd64::FourLevel;
use pt_core::raw::{
    BasicMapping, CowMapping, LinkRights, Mapping, MappingKind, RawFormat, SpaceReferenceMapping,
};
use pt_core::{Entry, Geometry, Level};
use pt_i686::TwoLevel;
use pt_testkit::generate::{Case, Kind};
use pt_testkit::naive::flat;
use pt_testkit::raw::{InPlace, Moving, Spaces, rebuild};

use crate::formats::OfMode;
use crate::{Choice, check};

/// Where new tables are, and where those go that move: not where a case has any.
const NEW: u64 = 0x100_0000;
const SCRATCH: u64 = 0x200_0000;

#[test]
fn tables_of_any_graph_move_on_four_levels() {
    check(Kind::FourLevel, 100, any_graph::<FourLevel>);
}

#[test]
fn tables_of_any_graph_move_on_two_levels() {
    check(Kind::TwoLevel, 100, any_graph::<TwoLevel>);
}

#[test]
fn tables_of_rebuilt_spaces_move_on_four_levels() {
    check(Kind::FourLevel, 60, rebuilt_spaces::<FourLevel>);
}

#[test]
fn tables_of_rebuilt_spaces_move_on_two_levels() {
    check(Kind::TwoLevel, 60, rebuilt_spaces::<TwoLevel>);
}

/// One page, written to tables that may be anything at the same time: their own page tables, roots of each other.
fn any_graph<F: RawFormat + OfMode>(case: &Case, choices: &[Choice]) {
    let spaces = Spaces::of_case(F::of_mode(&case.mode), case, NEW);
    let addresses = addresses(case);
    compare(spaces, &choices[..1], |choice| Operation::Map(page(&addresses, choice, 1)));
}

/// Any operations, one after the other, where a table has one depth.
fn rebuilt_spaces<F: RawFormat + OfMode>(case: &Case, choices: &[Choice]) {
    let format = F::of_mode(&case.mode);
    let walked = InPlace::new(Spaces::of_case(format.clone(), case, 0)).walk();
    let (memory, roots) = rebuild(format, &walked, 0x10_0000).expect("is rebuilt");
    memory.next_frame(NEW);
    let addresses = addresses(case);
    compare(memory.into_spaces(), choices, |choice| {
        if choice[3] % 3 > 0 {
            return Operation::Map(page(&addresses, choice, 1 + u64::from(choice[1] % 700)));
        }
        let depth = 1 + usize::from(choice[2]) % (usize::from(F::LEVELS) - 1);
        let within = F::table_span_last(Level::at_depth::<F>(depth).expect("a depth"));
        let reference = SpaceReferenceMapping {
            depth,
            space: roots[usize::from(choice[1]) % roots.len()].0,
            our_va: address(&addresses, choice[0]) & !within,
            their_va: address(&addresses, choice[2]) & !within,
            entry: 0,
            rights: LinkRights { writable: choice[1].is_multiple_of(2), ..LinkRights::ALL },
        };
        Operation::Link(reference, roots.clone())
    });
}

enum Operation {
    Map(Mapping),
    Link(SpaceReferenceMapping, Vec<(u64, u64)>),
}

/// The addresses of everything that the case's roots reach.
fn addresses(case: &Case) -> Vec<u64> {
    let reached = case.roots.iter().flat_map(|&root| flat(&case.mode, &case.memory, root, (0, u64::MAX)));
    reached.map(|event| event.va()).collect()
}

fn address(addresses: &[u64], choice: u16) -> u64 {
    addresses.get(usize::from(choice) % addresses.len().max(1)).map_or(0, |va| va & !0xfff)
}

/// A mapping near something that is there.
fn page(addresses: &[u64], [place, offset, kind, _]: Choice, pages: u64) -> Mapping {
    let virt_base = address(addresses, place).wrapping_add(u64::from(offset % 3) << 12);
    let kind = match kind % 4 {
        0 => MappingKind::Unmapped,
        1 => MappingKind::Cow(CowMapping { readable: true, executable: true }),
        writable => {
            MappingKind::Basic(BasicMapping { readable: true, writable: writable == 2, executable: true })
        }
    };
    Mapping::new(u64::from(offset) << 12, virt_base, pages << 12, kind)
}

/// Does the same where tables stay and where they move.
fn compare<F: RawFormat>(spaces: Spaces<F>, choices: &[Choice], operation: impl Fn(Choice) -> Operation) {
    let (stay, go) = (InPlace::new(spaces.clone()), Moving::new(spaces, SCRATCH));
    for &choice in choices {
        let root = usize::from(choice[3]) % stay.roots().len();
        stay.act_on(root);
        go.act_on(root);
        let outcomes = match operation(choice) {
            Operation::Map(mapping) => (stay.map(mapping), go.map(mapping)),
            Operation::Link(reference, roots) => {
                // An embedder's own list of roots follows what it is told.
                let ids = roots.iter().map(|(space, _)| *space);
                let followed: Vec<_> = ids.zip(go.roots()).collect();
                (stay.link(reference, &roots), go.link(reference, &followed))
            }
        };
        match outcomes {
            (Ok(()), Ok(())) => {}
            (Err(one), Err(other)) => {
                assert_eq!(std::mem::discriminant(&one), std::mem::discriminant(&other), "{one}; {other}");
            }
            outcomes => panic!("{outcomes:x?}"),
        }
        // Whatever can be reached is where it is now: reading where it was panics.
        go.walk();
        same_but_for_addresses(&stay, &go);
    }
}

/// Every table has the same entries, but for links to tables that moved.
fn same_but_for_addresses<F: RawFormat>(stay: &InPlace<F>, go: &Moving<F>) {
    let (moved, tables, format) = (go.moved(), go.frames(), stay.format());
    let now = |table: u64| moved.get(&table).copied().unwrap_or(table);
    let followed = |raw: u64| {
        (2..=F::LEVELS).filter_map(Level::new).filter_map(move |level| match format.decode(level, raw) {
            Entry::Table(linked) => format.relocate(level, raw, now(linked)),
            _ => None,
        })
    };
    let root = |register: u64| format.with_root(register, now(format.root(register))).expect("a root");
    assert_eq!(go.roots(), stay.roots().into_iter().map(root).collect::<Vec<_>>());
    assert_eq!(stay.frames().len(), tables.len());
    for (table, entries) in stay.frames() {
        for (index, (&raw, &other)) in entries.iter().zip(&tables[&now(table)]).enumerate() {
            let same = raw == other || followed(raw).any(|followed| followed == other);
            assert!(same, "{table:#x}[{index}]: {raw:#x} became {other:#x}");
        }
    }
}
