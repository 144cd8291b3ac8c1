//! Raw results made by hand: what cannot be in any table is an error that says where.

use pt_amd64::FourLevel;
use pt_core::raw::{
    BasicMapping, LinkRights, Mapping, MappingKind, SpaceAwareMapping, SpaceReferenceMapping,
};
use pt_core::{Cause, Fault, Level, Link, Unreadable, translate};
use pt_rebuild::{Arena, Faults, Graph, GraphError, Keep, Plan, PlanError, RebuildOptions};

const WRITABLE: MappingKind =
    MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });

fn page(pa: u64, va: u64) -> SpaceAwareMapping {
    SpaceAwareMapping::ThisSpace(Mapping::new(pa, va, 0x1000, WRITABLE))
}

fn reference(space: u64, depth: usize, va: u64) -> SpaceAwareMapping {
    let rights = LinkRights { writable: false, ..LinkRights::ALL };
    SpaceAwareMapping::AnotherSpace(SpaceReferenceMapping {
        depth,
        space,
        our_va: va,
        their_va: va,
        entry: 0x9007,
        rights,
    })
}

fn graph(spaces: &[(u64, Vec<SpaceAwareMapping>)]) -> Result<Graph<FourLevel>, GraphError> {
    Graph::from_raw(FourLevel::default(), spaces)
}

fn misplaced(spaces: &[(u64, Vec<SpaceAwareMapping>)]) -> (u64, &'static str) {
    match graph(spaces) {
        Err(GraphError::Misplaced { va, what, .. }) => (va, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_shared_table_is_made_with_what_leads_to_it_and_is_shared() {
    let spaces = [(0x1000, vec![]), (0x2000, vec![reference(0x1000, 3, 0x20_0000)])];
    let graph = graph(&spaces).expect("a graph");
    // Two roots, the owner's PDPT, PD and empty PT, and a PDPT and a PD that lead to the same PT.
    assert_eq!((graph.spaces(), graph.tables()), (2, 7));
    let plan = Plan::new(graph, RebuildOptions::default(), Keep).expect("a plan");
    let rebuilt = plan.reserve(&mut Arena::new([0x10_0000..=0x1f_ffff])).expect("tables");
    let mut memory = vec![0; 0x20_0000];
    rebuilt.commit_tables(&mut memory).expect("memory");
    // What the owner maps from now on, the other space has, too, and cannot write.
    let tables = rebuilt.tables().iter().filter(|table| table.bytes.iter().all(|&byte| byte == 0));
    let [empty] = tables.map(|table| table.address as usize).collect::<Vec<_>>()[..] else { panic!() };
    memory[empty..empty + 8].copy_from_slice(&0x5067_u64.to_le_bytes());
    let [one, other] = rebuilt.roots() else { panic!() };
    let at = |root| translate(&FourLevel::default(), &memory, root, 0x20_0000).expect("a page");
    assert_eq!((at(one.new).pa, at(other.new).pa), (0x5000, 0x5000));
    let writable = |root| at(root).rights.contains(pt_x86::Rights::WRITE);
    assert_eq!((writable(one.new), writable(other.new)), (true, false));
}

#[test]
fn two_things_in_one_place() {
    assert_eq!(misplaced(&[(0x1000, vec![page(0x5000, 0), page(0x6000, 0)])]), (0, "this page"));
    let large =
        Mapping { level: Level::new(2).expect("2"), len: 0x20_0000, ..Mapping::new(0, 0, 0, WRITABLE) };
    let large = SpaceAwareMapping::ThisSpace(large);
    assert_eq!(misplaced(&[(0x1000, vec![large, page(0x5000, 0x3000)])]), (0, "a table"));
    assert_eq!(misplaced(&[(0x1000, vec![page(0x5000, 0x3000), large])]), (0, "this page"));
    let spaces = [(0x1000, vec![]), (0x2000, vec![page(0x5000, 0), reference(0x1000, 3, 0)])];
    assert_eq!(misplaced(&spaces), (0, "this reference"));
}

#[test]
fn what_no_table_can_hold() {
    let wrong = [
        Mapping::new(0x5000, 0x8000_0000_0000, 0x1000, WRITABLE),
        Mapping::new(0x5000, 0x1000, 0x2000, WRITABLE),
        Mapping::new(0x5000, 0x1800, 0x1000, WRITABLE),
        Mapping::new(0x5800, 0x1000, 0x1000, WRITABLE),
        Mapping::new(u64::MAX, 0x1000, 0x1000, WRITABLE),
        Mapping { level: Level::HIGHEST, ..Mapping::new(0x5000, 0x1000, 0x1000, WRITABLE) },
    ];
    for mapping in wrong {
        let spaces = [(0x1000, vec![SpaceAwareMapping::ThisSpace(mapping)])];
        assert_eq!(misplaced(&spaces), (mapping.virt_base, "this page"), "{mapping:x?}");
    }
    for depth in [0, 4, usize::MAX] {
        let spaces = [(0x1000, vec![]), (0x2000, vec![reference(0x1000, depth, 0)])];
        assert_eq!(misplaced(&spaces), (0, "this reference"), "depth {depth}");
    }
}

#[test]
fn references_lead_back() {
    let missing = graph(&[(0x1000, vec![reference(0x3000, 1, 0)]), (0x3000, vec![])]).map(|_| ());
    assert_eq!(missing, Err(GraphError::NoSuchSpace { space: 0x1000, va: 0, owner: 0x3000 }));
}

/// A table of that level that could not be read, under the first entry of its holder, or as a root.
fn unreadable(level: u8, raw: u64, entry: Option<u64>) -> Fault {
    let level = Level::new(level).expect("a level");
    let cause =
        Cause::Unreadable { level, table: raw & !0xfff, link: Link { raw, entry }, why: Unreadable::Outside };
    Fault { space: 0, va: 0, cause }
}

fn plan(fault: Fault, faults: Faults) -> Result<Plan<FourLevel>, PlanError> {
    let graph = graph(&[(0x1000, vec![SpaceAwareMapping::Fault(fault)])]).expect("a graph");
    Plan::new(graph, RebuildOptions { faults, ..RebuildOptions::default() }, Keep)
}

#[test]
fn a_link_to_a_table_that_cannot_be_read_is_an_entry_of_the_table_above() {
    for (level, tables) in [(3, 1), (2, 2), (1, 3)] {
        let fault = unreadable(level, 0x9067, Some(0x5000));
        assert_eq!(plan(fault, Faults::Refuse).map(|_| ()), Err(PlanError::Fault(fault)));
        let plan = plan(fault, Faults::Keep).expect("a plan");
        assert_eq!(plan.new_tables(), tables, "level {level}");
        let rebuilt = plan.reserve(&mut Arena::new([0x10_0000..=0x1f_ffff])).expect("tables");
        let kept = rebuilt.tables().iter().filter(|table| table.bytes[..8] == 0x9067_u64.to_le_bytes());
        assert_eq!(kept.count(), 1, "level {level}");
    }
}

#[test]
fn a_root_that_cannot_be_read_is_no_root() {
    let fault = unreadable(4, 0x1000, None);
    for faults in [Faults::Refuse, Faults::Clear, Faults::Keep] {
        assert_eq!(plan(fault, faults).map(|_| ()), Err(PlanError::Fault(fault)));
    }
    // It alone.
    let spaces = [(0x1000, vec![SpaceAwareMapping::Fault(fault)]), (0x2000, vec![page(0x5000, 0)])];
    let graph = graph(&spaces).expect("a graph");
    assert_eq!(graph.spaces(), 2);
}
