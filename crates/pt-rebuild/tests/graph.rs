//! What a graph keeps of a walk: runs, tables that are not there, tables in one another, readings that differ; and
//! events that no walk gives.

use std::cell::Cell;

use pt_amd64::FourLevel;
use pt_core::{Event, Level, Limits, Memory, Options, TableId, TableRequest, Unreadable, Walk, translate};
use pt_i686::Pae;
use pt_rebuild::{Arena, Faults, Graph, GraphError, Keep, Place, Plan, PlanError, RebuildOptions};
use pt_x86::Rights;

const LINK: u64 = 7;

fn memory(entries: &[(u64, u64)]) -> Vec<u8> {
    let mut memory = vec![0; 0x1_0000];
    for &(at, raw) in entries {
        memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    memory
}

fn read(memory: &impl Memory) -> Result<Graph<FourLevel>, GraphError> {
    Graph::read(FourLevel::default(), memory, &[0x1000], 0..=u64::MAX, Limits::NONE)
}

#[test]
fn pages_that_follow_one_another_are_one_range() {
    let links = [(0x1000, 0x2000 | LINK), (0x2000, 0x3000 | LINK), (0x3000, 0x4000 | LINK)];
    let pages = [(0x4000, 0x8000 | LINK), (0x4008, 0x9000 | LINK), (0x4010, 0xb000 | LINK)];
    let graph = read(&memory(&[links, pages].concat())).expect("a graph");
    assert_eq!(graph.mapped().collect::<Vec<_>>(), [0x8000..=0x9fff, 0xb000..=0xbfff]);
}

#[test]
fn a_table_takes_as_much_memory_as_its_level_has_entries() {
    let old = memory(&[(0x1020, 0x2001), (0x2000, 0x3000 | LINK)]);
    let graph = Graph::read(Pae::default(), &old, &[0x1020], 0..=u64::MAX, Limits::NONE).expect("a graph");
    assert_eq!(graph.table_memory().collect::<Vec<_>>(), [0x1020..=0x103f, 0x2000..=0x2fff, 0x3000..=0x3fff]);
    let plan = Plan::new(graph, RebuildOptions::default(), Keep).expect("a plan");
    assert_eq!(plan.requests().map(|request| request.bytes).collect::<Vec<_>>(), [32, 4096, 4096]);
}

#[test]
fn what_a_kept_link_leads_to_is_named_and_stays_out_of_use() {
    const NOWHERE: u64 = 0x100_0000;
    let old = memory(&[
        (0x1000, 0x2000 | LINK),
        (0x1008, NOWHERE | LINK),
        // A PML4E that cannot be a page leads nowhere at all.
        (0x1010, NOWHERE | 0x80 | LINK),
        (0x2000, 0x4000_0083),
        (0x2008, NOWHERE | LINK),
        (0x2010, (NOWHERE + 0x1000) | LINK),
    ]);
    let graph = read(&old).expect("a graph");
    let [one, next] = [NOWHERE..=NOWHERE + 0xfff, NOWHERE + 0x1000..=NOWHERE + 0x1fff];
    assert_eq!(graph.unreadable().collect::<Vec<_>>(), [one.clone(), one, next]);
    let plan = |faults, to| {
        let options = RebuildOptions { faults, ..RebuildOptions::default() };
        Plan::new(graph.clone(), options, |_: &_| Place::Move(to)).map(|_| ())
    };
    let collision = PlanError::Collision { first: NOWHERE, last: NOWHERE + 0xfff };
    assert_eq!(plan(Faults::Keep, 0), Err(collision));
    assert_eq!(plan(Faults::Keep, 0x8000_0000), Ok(()));
    assert_eq!(plan(Faults::Clear, 0), Ok(()));
}

/// A PAE root of 32 bytes inside a page table, which another root leads to.
fn root_in_a_table() -> Vec<u8> {
    memory(&[
        (0x3000, 0x2001),
        (0x2000, 0x1000 | LINK),
        (0x1000, 0x9000 | LINK),
        // The root: its directory is shared. As an entry of the table it maps that as a page.
        (0x1020, 0x2001),
    ])
}

#[test]
fn a_table_with_a_root_in_it_goes_where_both_can_be() {
    let graph =
        Graph::read(Pae::default(), &root_in_a_table(), &[0x3000, 0x1020], 0..=u64::MAX, Limits::NONE);
    let request = |bytes, highest| TableRequest { bytes, alignment: bytes, highest };
    let directory = request(0x1000, (1 << 52) - 1);
    // The root ends at 4 GiB at the latest, and 0xfc0 bytes come behind it.
    let expected = [request(32, 0xffff_ffff), directory, request(0x1000, 0xffff_ffff + 0xfc0)];
    assert_eq!(graph.expect("a graph").requests().collect::<Vec<_>>(), expected);
}

#[test]
fn a_table_with_a_root_in_it_has_what_each_met() {
    let old = root_in_a_table();
    // As far as the range goes, the table's own entries end where the root begins.
    let graph = Graph::read(Pae::default(), &old, &[0x3000, 0x1020], 0..=0x3fff, Limits::NONE);
    let plan = Plan::new(graph.expect("a graph"), RebuildOptions::default(), Keep).expect("a plan");
    let rebuilt = plan.reserve(&mut Arena::new([0x10_0000..=0x1f_ffff])).expect("tables");
    for root in rebuilt.roots() {
        let page = translate(&Pae::default(), &rebuilt.view(&old), root.new, 0x123);
        assert_eq!(page.expect("a page").pa, 0x9123, "root {:#x}", root.old);
    }
}

/// The entry at 0x1008 is another each time that it is read, and never present.
struct Changing(Vec<u8>, Cell<u8>);

impl Memory for Changing {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read(address, into)?;
        if address == 0x1000 {
            self.1.set(self.1.get() + 1);
            into[9] = self.1.get();
        }
        Ok(())
    }
}

#[test]
fn an_entry_that_is_read_in_two_ways_has_changed() {
    // The root links itself, so that it is read at every level.
    let changing = Changing(memory(&[(0x1000, 0x1000 | LINK)]), Cell::new(0));
    let changed = GraphError::Changed { entry: 0x1008, raw: 0x200, other: 0x100 };
    assert_eq!(read(&changing).map(|_| ()), Err(changed));
}

/// A PDPT that is linked twice, with a large page and an absent entry.
fn events() -> Vec<Event<Rights>> {
    let entries = [(0x1000, 0x2007), (0x1008, 0x2007), (0x2000, 0x4000_0083), (0x2ff8, 0x200)];
    let (old, options) = (memory(&entries), Options { absent: true, ..Options::default() });
    let walk = Walk::new(FourLevel::default(), &old, &[0x1000], options);
    walk.collect::<Result<_, _>>().expect("no limit")
}

fn record(events: &[Event<Rights>]) -> Result<Graph<FourLevel>, GraphError> {
    Graph::record(FourLevel::default(), events.iter().copied().map(Ok))
}

#[test]
fn events_of_what_no_table_has_are_refused() {
    let refused = |index: usize, change: &dyn Fn(&mut Event<Rights>)| {
        let mut events = events();
        change(&mut events[index]);
        let disordered = GraphError::Disordered { index: index as u64 };
        assert_eq!(record(&events).map(|_| ()), Err(disordered), "{:x?}", events[index]);
    };
    assert!(record(&events()).is_ok());
    let past_the_end = |event: &mut Event<Rights>| match event {
        Event::Leaf(leaf) => leaf.entry = 0x3000,
        Event::Absent(absent) => absent.entry = 0x3000,
        Event::Alias(alias) => alias.table = TableId(2),
        other => panic!("{other:x?}"),
    };
    for index in 2..5 {
        refused(index, &past_the_end);
    }
}

#[test]
fn a_page_that_is_not_where_its_entry_says_is_not_rebuilt() {
    let mut events = events();
    let plan = |events: &[Event<Rights>]| {
        Plan::new(record(events).expect("a graph"), RebuildOptions::default(), Keep).map(|_| ())
    };
    assert_eq!(plan(&events), Ok(()));
    let Event::Leaf(leaf) = &mut events[2] else { panic!("the third is a page") };
    leaf.pa += 1 << 30;
    let level = Level::new(3).expect("3");
    assert_eq!(plan(&events), Err(PlanError::Torn { entry: 0x2000, level, raw: 0x4000_0083 }));
}
