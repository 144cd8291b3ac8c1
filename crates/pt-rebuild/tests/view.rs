//! The new memory as it is seen before it is written: where one thing in it ends, the next begins.

use std::ops::RangeInclusive;

use pt_amd64::FourLevel;
use pt_core::{Limits, Memory, Unreadable};
use pt_rebuild::{
    Arena, Extent, Graph, NoRoom, Place, Placement, Plan, RebuildOptions, Rebuilt, TableFrames,
};

const LINK: u64 = 7;

/// The frames go to addresses that follow one another.
struct Together;

impl Placement for Together {
    fn place(&mut self, _: &[Extent], put: &mut dyn FnMut(RangeInclusive<u64>, Place)) -> Result<(), NoRoom> {
        let frames = [(0x5000, 0x20_0000), (0x6000, 0x20_1000), (0x9000, 0x20_2000), (0xc000, 0x20_3000)];
        for (first, to) in frames {
            put(first..=first + 0xfff, Place::Move(to));
        }
        Ok(())
    }
}

/// Every byte is the number of its page, but in tables. One frame holds the page table, as live memory.
fn rebuilt() -> (Vec<u8>, Rebuilt) {
    let mut old: Vec<u8> = (0..0xe000_u32).map(|at| (at >> 12) as u8).collect();
    for table in [0x1000, 0x2000, 0x3000, 0x6000] {
        old[table..table + 0x1000].fill(0);
    }
    let links = [(0x1000, 0x2000 | LINK), (0x2000, 0x3000 | LINK), (0x3000, 0x6000 | LINK)];
    let pages = [0x5000, 0x6000, 0x9000, 0xc000].into_iter().zip(0..);
    let pages = pages.map(|(page, index)| (0x6000 + index * 8, page | LINK));
    for (at, raw) in links.into_iter().chain(pages) {
        old[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    }
    let graph = Graph::read(FourLevel::default(), &old, &[0x1000], 0..=u64::MAX, Limits::NONE);
    let options = RebuildOptions { table_frames: TableFrames::Live, ..RebuildOptions::default() };
    let plan = Plan::new(graph.expect("a graph"), options, Together).expect("a plan");
    let rebuilt = plan.reserve(&mut Arena::new([0x10_0000..=0x10_ffff])).expect("tables");
    (old, rebuilt)
}

#[test]
fn a_read_goes_on_from_frames_to_a_table_and_to_other_frames() {
    let (old, rebuilt) = rebuilt();
    let view = rebuilt.view(&old);
    let read = |at| {
        let mut bytes = [0xff; 16];
        view.read(at, &mut bytes).map(|()| bytes)
    };
    let halves = |one: u64, other: u64| {
        let mut both = [0; 16];
        both[..8].copy_from_slice(&one.to_ne_bytes());
        both[8..].copy_from_slice(&other.to_ne_bytes());
        Ok(both)
    };
    let all = |byte: u8| u64::from_ne_bytes([byte; 8]);
    // The table's first entry, moved.
    assert_eq!(read(0x20_0ff8), halves(all(5), u64::to_le(0x20_0000 | LINK)));
    assert_eq!(read(0x20_1ff8), halves(0, all(9)));
    assert_eq!(read(0x20_2ff8), halves(all(9), all(12)));
    assert_eq!(read(0x20_3ff0), halves(all(12), all(12)));
    assert_eq!(read(0x20_3ff8), Err(Unreadable::Outside));
}

#[test]
fn frames_are_lent_as_far_as_they_go() {
    let (old, rebuilt) = rebuilt();
    let view = rebuilt.view(&old);
    assert_eq!(view.lend(0x20_0ff8, 8), Some(&[5; 8][..]));
    assert_eq!(view.lend(0x20_0ff8, 9), None, "the table begins");
    assert_eq!(view.lend(0x20_2ff8, 8), Some(&[9; 8][..]));
    assert_eq!(view.lend(0x20_2ff8, 9), None, "other frames begin");
    assert_eq!(view.lend(0x20_3000, 0x1000), Some(&[12; 0x1000][..]));
    assert_eq!(view.lend(0x20_3000, 0x1001), None, "nothing begins");
}
