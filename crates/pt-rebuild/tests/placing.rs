//! Where frames and tables are put: at the end of what there can be, several in one place, and what is copied then.

use std::ops::RangeInclusive;

use pt_amd64::FourLevel;
use pt_core::{Limits, Memory, TableAllocator, TableRequest, Unreadable};
use pt_rebuild::{
    Arena, Extent, Graph, Keep, NoRoom, Place, Placement, Plan, PlanError, RebuildOptions, Stretch, Written,
};

const LINK: u64 = 7;
const LINKS: [(u64, u64); 3] = [(0x1000, 0x2000 | LINK), (0x2000, 0x3000 | LINK), (0x3000, 0x4000 | LINK)];

fn graph(entries: &[(u64, u64)]) -> Graph<FourLevel> {
    let mut old = vec![0; 0x5000];
    for &(at, raw) in entries {
        old[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    Graph::read(FourLevel::default(), &old, &[0x1000], 0..=u64::MAX, Limits::NONE).expect("a graph")
}

fn plan(graph: Graph<FourLevel>, placement: impl Placement) -> Plan<FourLevel> {
    Plan::new(graph, RebuildOptions::default(), placement).expect("a plan")
}

#[test]
fn a_placement_by_reference_places_as_it_does_by_value() {
    let graph = graph(&[LINKS[0], LINKS[1], LINKS[2], (0x4000, 0x9000 | LINK)]);
    let mut far = |extent: &Extent| Place::Move(extent.first + (64 << 30));
    let far: &mut dyn Placement = &mut far;
    assert_eq!(plan(graph, far).frames().get(0x9004), Some(0x10_0000_9004));
}

/// The same table, whatever is asked for.
struct Always(u64);

impl TableAllocator for Always {
    fn allocate(&mut self, _: &TableRequest) -> Option<u64> {
        Some(self.0)
    }

    fn release(&mut self, _: u64, _: &TableRequest) {}
}

#[test]
fn a_table_can_end_at_the_highest_address_and_not_behind_it() {
    let highest = (1 << 52) - 1;
    let reserve = |table| {
        let rebuilt = plan(graph(&[]), Keep).reserve(&mut Always(table));
        rebuilt.map(|rebuilt| rebuilt.tables()[0].address)
    };
    assert_eq!(reserve(highest - 0xfff), Ok(highest - 0xfff));
    for table in [highest + 1, u64::MAX - 0xfff] {
        assert_eq!(reserve(table), Err(PlanError::BadTable { table, alignment: 0x1000, highest }));
    }
}

/// Small pages and what becomes of them.
struct EachPage<'a>(&'a [(u64, Place)]);

impl Placement for EachPage<'_> {
    fn place(&mut self, _: &[Extent], put: &mut dyn FnMut(RangeInclusive<u64>, Place)) -> Result<(), NoRoom> {
        for &(page, place) in self.0 {
            put(page..=page + 0xfff, place);
        }
        Ok(())
    }
}

/// Three frames that do not follow one another, and two pairs that do: one shares the first two, one the last two.
#[test]
fn shared_frames_are_copied_once_in_the_longest_pieces() {
    use Place::{Move, Share};
    let placed = [
        (0x1_0000, Share(0x8_0000)),
        (0x1_1000, Share(0x8_1000)),
        (0x2_0000, Share(0x8_1000)),
        (0x2_1000, Share(0x8_2000)),
        (0x3_0000, Move(0x8_0000)),
        (0x4_0000, Move(0x8_1000)),
        (0x5_0000, Move(0x8_2000)),
    ];
    let pages = placed.iter().zip(0..).map(|(&(page, _), index)| (0x4000 + index * 8, page | LINK));
    let entries: Vec<_> = LINKS.into_iter().chain(pages).collect();
    let plan = plan(graph(&entries), EachPage(&placed));
    let rebuilt = plan.reserve(&mut Arena::new([0x10_0000..=0x1f_ffff])).expect("tables");
    let copied = |first, last, to| Stretch { first, last, to: Some(to), shared: true };
    let expected = [copied(0x1_0000, 0x1_1fff, 0x8_0000), copied(0x2_1000, 0x2_1fff, 0x8_2000)];
    assert_eq!(rebuilt.copies(), expected);
}

/// Memory that begins in the middle of a page, and says so.
struct Late;

impl Late {
    const FIRST: u64 = 0x30_1800;
}

impl Memory for Late {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        assert!(address >= Self::FIRST & !0xfff, "there is no page at {address:#x}, as was said");
        if address < Self::FIRST {
            return Err(Unreadable::Outside);
        }
        into.fill(7);
        Ok(())
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        Some(address.max(Self::FIRST))
    }
}

#[test]
fn whole_pages_that_the_old_memory_lacks_are_not_asked_for() {
    let graph = graph(&[LINKS[0], LINKS[1], (0x3000, 0x20_0000 | 0x80 | LINK)]);
    let rebuilt = plan(graph, Keep).reserve(&mut Arena::new([0x1000..=0x3fff])).expect("three tables");
    let mut new = vec![0; 0x40_0000];
    let written = Written { tables: 3, bytes: 0xf_e000, unreadable: 0x10_2000 };
    assert_eq!(rebuilt.commit(&Late, &mut new), Ok(written));
    assert_eq!((new[0x30_1fff], new[0x30_2000], new[0x3f_ffff]), (0, 7, 7));
}

/// Memory that lends what it has, which is all from an address on.
struct Lending(Vec<u8>);

impl Lending {
    const FIRST: u64 = 0x30_1000;
}

impl Memory for Lending {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        into.copy_from_slice(self.lend(address, into.len()).ok_or(Unreadable::Outside)?);
        Ok(())
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(address.checked_sub(Self::FIRST)?).ok()?;
        self.0.get(from..from.checked_add(len)?)
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        Some(address.max(Self::FIRST))
    }
}

#[test]
fn what_is_lent_after_what_is_lacking_ends_with_the_frames() {
    let graph = graph(&[LINKS[0], LINKS[1], (0x3000, 0x20_0000 | 0x80 | LINK)]);
    let rebuilt = plan(graph, Keep).reserve(&mut Arena::new([0x1000..=0x3fff])).expect("three tables");
    let mut new = vec![0; 0x60_0000];
    let written = Written { tables: 3, bytes: 0xf_f000, unreadable: 0x10_1000 };
    assert_eq!(rebuilt.commit(&Lending(vec![7; 0x40_0000]), &mut new), Ok(written));
    assert_eq!((new[0x30_0fff], new[0x30_1000], new[0x3f_ffff], new[0x40_0000]), (0, 7, 7, 0));
}
