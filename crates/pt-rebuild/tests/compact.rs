//! What compaction moves, where it puts an extent for which there is no room as a whole, and what becomes of large pages
//! then.

use std::ops::RangeInclusive;

use pt_amd64::FourLevel;
use pt_core::{Limits, translate};
use pt_rebuild::{
    Arena, Compact, Dedup, Extent, Graph, NoRoom, Place, Placement, Plan, Proof, RebuildOptions, verify,
};

/// Every set of free pages, and extents of every length: whatever fits in pieces is put, in order, each byte once, where it
/// was free.
#[test]
fn an_extent_is_torn_where_it_must_be_and_never_else() {
    const PAGES: u64 = 7;
    for free in 0..1_u64 << PAGES {
        for len in 1..=4 {
            let extent = Extent {
                first: 0x10_0000,
                last: 0x10_0000 + (len << 12) - 1,
                grain: 0x1000,
                page: 0x1000,
                highest: u64::MAX,
                tables: false,
            };
            let free_pages = || (0..PAGES).filter(|page| free >> page & 1 == 1);
            let mut arena = Arena::new(free_pages().map(|page| page << 12..=(page << 12) + 0xfff));
            let mut puts = Vec::new();
            let mut compact = Compact::new(&mut arena, [0x10_0000..=0x1f_ffff]);
            let placed = compact.place(&[extent], &mut |range, place| puts.push((range, place)));
            let what = format!("{free:#b}, {len} pages: {puts:x?}");
            if free_pages().count() < len as usize {
                let missing = NoRoom { bytes: 0x1000, alignment: 0x1000, highest: u64::MAX };
                assert_eq!(placed, Err(missing), "{what}");
                continue;
            }
            assert_eq!(placed, Ok(()), "{what}");
            let (mut next, mut left) = (extent.first, free);
            for (range, place) in &puts {
                let Place::Move(to) = *place else { panic!("{what}") };
                assert_eq!(*range.start(), next, "{what}");
                next = range.end() + 1;
                for page in to >> 12..=(to + (range.end() - range.start())) >> 12 {
                    assert_eq!(left >> page & 1, 1, "{what}");
                    left &= !(1 << page);
                }
            }
            assert_eq!(next, extent.last + 1, "{what}");
            let whole = (0..PAGES).any(|page| free >> page & ((1 << len) - 1) == (1 << len) - 1);
            assert!(!whole || puts.len() == 1, "{what}");
        }
    }
}

fn extent(first: u64, last: u64, grain: u64, page: u64) -> Extent {
    Extent { first, last, grain, page, highest: u64::MAX, tables: false }
}

fn put(extent: &Extent, mut placement: impl Placement) -> Result<Vec<(RangeInclusive<u64>, Place)>, NoRoom> {
    let mut puts = Vec::new();
    placement.place(&[*extent], &mut |range, place| puts.push((range, place)))?;
    Ok(puts)
}

#[test]
fn every_whole_piece_that_is_held_moves_and_no_other() {
    let moved = |extent: &Extent, held: RangeInclusive<u64>| {
        let puts = put(extent, Compact::new(&mut Arena::new([0..=0xffff]), [held])).expect("there is room");
        puts.into_iter().map(|(range, _)| range).collect::<Vec<_>>()
    };
    for (grain, shift) in [(1, 0), (0x1000, 12)] {
        let extent = extent(8 << shift, (12 << shift) - 1, grain, grain);
        for first in 6..13_u64 {
            for last in first..13 {
                let range = |first: u64, last: u64| first << shift..=((last + 1) << shift) - 1;
                let (from, to) = (first.max(8), last.min(11));
                let expected = if from <= to { vec![range(from, to)] } else { vec![] };
                assert_eq!(moved(&extent, range(first, last)), expected, "{grain:#x}: {first}..={last}");
            }
        }
    }
    let extent = extent(0x8000, 0xbfff, 0x1000, 0x1000);
    assert_eq!(moved(&extent, 0x8001..=0xaffe), [0x9000..=0x9fff]);
    assert_eq!(moved(&extent, 0x9001..=0x9fff), []);
}

#[test]
fn what_is_not_held_stays_and_its_place_is_not_free() {
    let extent = extent(0x8000, 0x9fff, 0x1000, 0x1000);
    let placed = |held| put(&extent, Compact::new(&mut Arena::new([0x8000..=0x9fff]), [held]));
    // The other page has no place but its own.
    assert_eq!(placed(0x9000..=0x9fff), Ok(vec![(0x9000..=0x9fff, Place::Move(0x9000))]));
    assert_eq!(placed(0x8000..=0x8fff), Ok(vec![(0x8000..=0x8fff, Place::Move(0x8000))]));
}

#[test]
fn a_large_page_of_which_nothing_is_merged_moves_by_multiples_of_its_size() {
    let extent = extent(0x20_0000, 0x3f_ffff, 0x1000, 0x20_0000);
    let nothing: &[u8] = &[];
    let placed = |held| {
        let mut arena = Arena::new([0x1000..=0x7f_ffff]);
        put(&extent, Dedup::new(&mut arena, [held], nothing, 0x1000))
    };
    assert_eq!(placed(0x20_0000..=0x3f_ffff), Ok(vec![(0x20_0000..=0x3f_ffff, Place::Move(0x20_0000))]));
    // A part of it is no page.
    assert_eq!(placed(0x20_0000..=0x2f_ffff), Ok(vec![(0x20_0000..=0x2f_ffff, Place::Move(0x1000))]));
}

/// Moves everything by one small page.
struct ByOnePage;

impl Placement for ByOnePage {
    fn place(
        &mut self,
        extents: &[Extent],
        put: &mut dyn FnMut(RangeInclusive<u64>, Place),
    ) -> Result<(), NoRoom> {
        for extent in extents {
            put(extent.first..=extent.last, Place::Move(extent.first + 0x1000));
        }
        Ok(())
    }

    fn pieces(&self) -> Option<u64> {
        Some(0x1000)
    }
}

/// A large page whose frames stay together, but not at a multiple of its size, is split.
#[test]
fn a_large_page_that_moves_by_less_than_its_size_is_split() {
    let (format, mut old) = (FourLevel::default(), vec![0; 0x4000]);
    for (at, raw) in [(0x1000, 0x2007_u64), (0x2000, 0x3007), (0x3000, 0x20_0087)] {
        old[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    }
    let graph = Graph::read(format, &old, &[0x1000], 0..=u64::MAX, Limits::NONE).expect("a graph");
    let plan = Plan::new(graph, RebuildOptions::default(), ByOnePage).expect("a plan");
    let rebuilt = plan.reserve(&mut Arena::new([0x1000_0000..=0x100f_ffff])).expect("room for tables");
    let (new, roots) = (rebuilt.view(&old), rebuilt.roots());
    for va in [0, 0x1f_f123] {
        let page = translate(&format, &new, roots[0].new, va).expect("is mapped");
        assert_eq!((page.pa, page.level.number()), (0x20_1000 + va, 1));
    }
    let proof = Proof { sizes: true, frames: Some(rebuilt.frames()), ..Proof::default() };
    verify(&format, &old, &new, roots, &proof).expect("it is the same");
}
