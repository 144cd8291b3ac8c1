//! What is walked, mapped into fresh memory and walked again is the same but for the tables' addresses.

use pt_amd64::FourLevel;
use pt_core::raw::{LinkRights, Mapping, MappingKind, RawFormat, SpaceAwareMapping, SpaceReferenceMapping};
use pt_core::{Geometry, Level};
use pt_i686::TwoLevel;
use pt_rebuild::{Arena, Faults, Graph, Keep, Plan, PlanError, RebuildOptions};
use pt_testkit::generate::{Case, Kind};
use pt_testkit::naive::{Event, flat};
use pt_testkit::raw::{InPlace, NewRoots, Spaces, Walked, rebuild};

use crate::formats::OfMode;
use crate::{Choice, check};

/// Where new tables are: not where a case has any, or not for long.
const NEW: u64 = 0x10_0000;

#[test]
fn what_is_walked_is_rebuilt_on_four_levels() {
    check(Kind::FourLevel, 100, round_trip::<FourLevel>);
}

#[test]
fn what_is_walked_is_rebuilt_on_two_levels() {
    check(Kind::TwoLevel, 100, round_trip::<TwoLevel>);
}

fn round_trip<F: RawFormat + OfMode>(case: &Case, _: &[Choice]) {
    let format = F::of_mode(&case.mode);
    let before = InPlace::new(Spaces::of_case(format.clone(), case, 0));
    let (first, last) = case.range;
    let whole = (0, F::VA_MASK + 1);
    for range in [whole, (first, last.wrapping_sub(first).saturating_add(1))] {
        let walked = before.walk_range(range);
        let mapped =
            rebuild(format.clone(), &walked, NEW).unwrap_or_else(|error| panic!("{error}: {walked:x?}"));
        let graph = graph(&format, &walked);
        // Of a space that is given twice, a graph has one root. What is said of it the second time is said of the first.
        let given_before = |space: usize| walked[..space].iter().any(|(id, _)| *id == walked[space].0);
        let once: Vec<usize> = (0..walked.len()).filter(|&space| !given_before(space)).collect();
        let mapped = (mapped, (0..walked.len()).collect());
        for ((after, roots), spaces) in [mapped].into_iter().chain(graph.map(|graph| (graph, once))) {
            is_rebuilt(&format, &walked, &after.walk_range(range), &roots, &spaces);
            if range == whole {
                nothing_is_granted(case, &after);
            }
        }
    }
}

/// The same by way of a graph: planned, reserved and written. None where pages map all memory that can hold tables.
fn graph<F: RawFormat>(format: &F, walked: &Walked) -> Option<(InPlace<F>, NewRoots)> {
    let graph =
        Graph::from_raw(format.clone(), walked).unwrap_or_else(|error| panic!("{error}: {walked:x?}"));
    let mut arena = Arena::new([NEW..=format.highest_table_address(F::ROOT)]);
    graph.mapped().for_each(|frames| arena.reserve(&frames));
    let options = RebuildOptions { faults: Faults::Clear, ..RebuildOptions::default() };
    let plan = Plan::new(graph, options, Keep).unwrap_or_else(|error| panic!("{error}: {walked:x?}"));
    let rebuilt = match plan.reserve(&mut arena) {
        Err(PlanError::OutOfTables { .. }) if arena.take(0x1000, 0x1000, u64::MAX).is_none() => return None,
        rebuilt => rebuilt.unwrap_or_else(|error| panic!("{error}: {walked:x?}")),
    };
    let tables = rebuilt.tables().iter().map(|table| (table.address, &table.bytes[..]));
    let roots: NewRoots = rebuilt.roots().iter().map(|root| (root.old, root.new)).collect();
    let spaces = Spaces::of_tables(format.clone(), tables, roots.iter().map(|&(_, root)| root));
    Some((InPlace::new(spaces), roots))
}

/// Whether everything that was walked of these spaces is walked again.
fn is_rebuilt<F: RawFormat>(format: &F, walked: &Walked, again: &Walked, roots: &NewRoots, spaces: &[usize]) {
    assert_eq!(again.len(), walked.len());
    for ((id, mappings), (new, found)) in spaces.iter().map(|&space| (&walked[space], &again[space])) {
        let expected = mappings.iter().filter(|mapping| !matches!(mapping, SpaceAwareMapping::Fault(_)));
        let expected: Vec<_> = expected.map(|mapping| rebuilt(format, mapping)).collect();
        let found: Vec<_> = found.iter().map(|mapping| unplaced(format, mapping, roots)).collect();
        assert_eq!(found, expected, "space {id:#x}, now {new:#x}, of {walked:x?}");
    }
}

/// What becomes of a mapping. A page keeps every bit but those that its path withheld; so does a link.
fn rebuilt<F: RawFormat>(format: &F, mapping: &SpaceAwareMapping) -> SpaceAwareMapping {
    let of_link = |link: SpaceReferenceMapping| {
        let level = Level::at_depth::<F>(link.depth - 1).expect("a depth");
        let raw = format.narrow(level, link.entry, link.rights).expect("a path of this format");
        SpaceReferenceMapping { entry: format.relocate(level, raw, 0).expect("a link"), ..link }
    };
    match *mapping {
        SpaceAwareMapping::ThisSpace(page) => {
            let (writable, executable) = match page.kind {
                MappingKind::Basic(basic) => (basic.writable, basic.executable),
                MappingKind::Cow(cow) => (false, cow.executable),
                MappingKind::Unmapped => panic!("{page:x?} is reported"),
            };
            let rights = LinkRights { writable, executable, user_accessible: page.user_accessible };
            let entry = format.narrow(page.level, page.entry, rights).expect("a path of this format");
            SpaceAwareMapping::ThisSpace(Mapping { entry, ..page })
        }
        SpaceAwareMapping::AnotherSpace(link) => SpaceAwareMapping::AnotherSpace(of_link(link)),
        SpaceAwareMapping::SameSpace(link) => SpaceAwareMapping::SameSpace(of_link(link)),
        SpaceAwareMapping::Fault(fault) => panic!("{fault:x?}"),
    }
}

/// What was found, by the spaces' old ids and without the new tables' addresses.
fn unplaced<F: RawFormat>(format: &F, mapping: &SpaceAwareMapping, roots: &NewRoots) -> SpaceAwareMapping {
    let of_link = |link: SpaceReferenceMapping| {
        let level = Level::at_depth::<F>(link.depth - 1).expect("a depth");
        let (space, _) = roots.iter().find(|(_, root)| *root == link.space).expect("a space");
        SpaceReferenceMapping {
            space: *space,
            entry: format.relocate(level, link.entry, 0).expect("a link"),
            ..link
        }
    };
    match *mapping {
        SpaceAwareMapping::AnotherSpace(link) => SpaceAwareMapping::AnotherSpace(of_link(link)),
        SpaceAwareMapping::SameSpace(link) => SpaceAwareMapping::SameSpace(of_link(link)),
        other => other,
    }
}

/// Every page that a root reached, it reaches, with no right that it had not.
fn nothing_is_granted<F: RawFormat>(case: &Case, after: &InPlace<F>) {
    for (number, &root) in case.roots.iter().enumerate() {
        after.act_on(number);
        for event in flat(&case.mode, &case.memory, root, (0, u64::MAX)) {
            let Event::Leaf { va, pa, rights, .. } = event else { continue };
            let found = after.page(va).unwrap_or_else(|| panic!("{event:x?} is lost"));
            assert_eq!(found.phys_base, pa, "{event:x?}");
            let (writable, executable) = match found.kind {
                MappingKind::Basic(basic) => (basic.writable, basic.executable),
                MappingKind::Cow(cow) => (false, cow.executable),
                MappingKind::Unmapped => panic!("{found:x?}"),
            };
            let now = [writable, found.user_accessible, executable];
            let was = [rights.write, rights.user, rights.execute];
            assert!(
                now.iter().zip(was).all(|(now, was)| was || !now),
                "{event:x?} is granted more: {found:x?}"
            );
        }
    }
}
