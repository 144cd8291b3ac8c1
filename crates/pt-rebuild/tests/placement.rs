//! What a placement may put where, and the map that comes of it.

use std::ops::RangeInclusive;

use pt_amd64::FourLevel;
use pt_core::{Level, Limits};
use pt_rebuild::{
    Extent, Graph, NoRoom, Place, Placement, Plan, PlanError, RebuildOptions, Stretch, TableFrames,
};

const LINK: u64 = 7;
/// A page that can be read and nothing else.
const READ: u64 = 1 << 63 | 1;

/// Puts these.
struct Puts<'a> {
    puts: &'a [(RangeInclusive<u64>, Place)],
    pieces: Option<u64>,
}

impl Placement for Puts<'_> {
    fn place(&mut self, _: &[Extent], put: &mut dyn FnMut(RangeInclusive<u64>, Place)) -> Result<(), NoRoom> {
        self.puts.iter().for_each(|(range, place)| put(range.clone(), *place));
        Ok(())
    }

    fn pieces(&self) -> Option<u64> {
        self.pieces
    }
}

/// Where the frames go of four pages side by side, 0x8000 to 0xbfff, and of one that shows their table, at 0x4000, if that
/// is to be live.
fn placed(placement: Puts<'_>, table_frames: TableFrames) -> Result<Vec<Stretch>, PlanError> {
    let mut memory = vec![0; 0x5000];
    let links = [(0x1000, 0x2000 | LINK), (0x2000, 0x3000 | LINK), (0x3000, 0x4000 | LINK)];
    let pages = (0..4).map(|page| (0x4000 + page * 8, (0x8000 + page * 0x1000) | READ));
    let shown = (table_frames == TableFrames::Live).then_some((0x4800, 0x4000 | READ));
    for (at, raw) in links.into_iter().chain(pages).chain(shown) {
        memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    let graph = Graph::read(FourLevel::default(), &memory, &[0x1000], 0..=u64::MAX, Limits::NONE);
    let options = RebuildOptions { table_frames, ..RebuildOptions::default() };
    Plan::new(graph.expect("a graph"), options, placement).map(|plan| plan.frames().stretches().to_vec())
}

/// The same for placements that keep pages whole, and tables that are data.
fn map(puts: &[(RangeInclusive<u64>, Place)]) -> Result<Vec<Stretch>, PlanError> {
    placed(Puts { puts, pieces: None }, TableFrames::Data)
}

const fn misplaced(first: u64, last: u64) -> Result<Vec<Stretch>, PlanError> {
    Err(PlanError::Misplaced { first, last })
}

const fn stretch(first: u64, last: u64, to: u64, shared: bool) -> Stretch {
    Stretch { first, last, to: Some(to), shared }
}

#[test]
fn what_is_put_is_made_of_whole_pages_of_one_extent() {
    for (first, last) in [(0x8000, 0xbfff), (0x8000, 0x8fff), (0x9000, 0xafff), (0xb000, 0xbfff)] {
        assert_eq!(map(&[(first..=last, Place::Keep)]), Ok(vec![stretch(0x8000, 0xbfff, 0x8000, false)]));
    }
    let wrong = [
        (0x8000, 0x87ff),
        (0x8800, 0x8fff),
        (0x8800, 0xbfff),
        (0x8001, 0xbfff),
        (0x8000, 0xbffe),
        (0x9000, 0x97ff),
        (0x9800, 0x9fff),
        (0x8000, 0xcfff),
        (0x7000, 0xbfff),
        (0xc000, 0xcfff),
        (0x9000, 0x8fff),
        (0x9000, 0x7fff),
    ];
    for (first, last) in wrong {
        let put = [(RangeInclusive::new(first, last), Place::Keep)];
        assert_eq!(map(&put), misplaced(first, last), "{put:x?}");
    }
}

#[test]
fn frames_share_those_that_others_bring_whole() {
    let others = (0x8000..=0xafff, Place::Move(0x10_0000));
    let last = |to, shared| stretch(0xb000, 0xbfff, to, shared);
    let share = |to| map(&[others.clone(), (0xb000..=0xbfff, Place::Share(to))]);
    let first_is_shared =
        [stretch(0x8000, 0x8fff, 0x10_0000, true), stretch(0x9000, 0xafff, 0x10_1000, false)];
    assert_eq!(share(0x10_0000), Ok([&first_is_shared[..], &[last(0x10_0000, true)]].concat()));
    let second_is_shared = vec![
        stretch(0x8000, 0x8fff, 0x10_0000, false),
        stretch(0x9000, 0x9fff, 0x10_1000, true),
        stretch(0xa000, 0xafff, 0x10_2000, false),
        last(0x10_1000, true),
    ];
    assert_eq!(share(0x10_1000), Ok(second_is_shared));
    // Two of two.
    let both = [stretch(0x8000, 0x9fff, 0x8000, true), stretch(0xa000, 0xbfff, 0x8000, true)];
    assert_eq!(map(&[(0xa000..=0xbfff, Place::Share(0x8000))]), Ok(both.to_vec()));

    // Where nothing is, or is no more.
    for to in [0, 0xb000, 0x8000, 0x10_3000] {
        assert_eq!(share(to), misplaced(0xb000, 0xbfff), "{to:#x}");
    }
    // Where a part of them is.
    assert_eq!(map(&[(0xa000..=0xbfff, Place::Share(0x9000))]), misplaced(0xa000, 0xbfff));
    // What is shared itself is brought by others.
    let chain = [(0xa000..=0xafff, Place::Share(0x8000)), (0xb000..=0xbfff, Place::Share(0xa000))];
    assert_eq!(map(&chain), misplaced(0xb000, 0xbfff));
}

#[test]
fn live_tables_share_their_frames_with_nothing() {
    let map = |first: u64, to| {
        let puts = [(first..=first + 0xfff, Place::Share(to))];
        placed(Puts { puts: &puts, pieces: None }, TableFrames::Live)
    };
    assert_eq!(map(0xb000, 0x4000), misplaced(0xb000, 0xbfff));
    assert_eq!(map(0x4000, 0x8000), misplaced(0x4000, 0x4fff));
    assert!(map(0xb000, 0x8000).is_ok());
}

/// In pieces of a byte, too, what others share a part of does not stay together.
#[test]
fn a_page_whose_first_byte_others_share_is_torn() {
    let puts = [(0xb000..=0xb000, Place::Share(0x8000))];
    let torn = PlanError::Torn { entry: 0x4000, level: Level::LEAF, raw: 0x8000 | READ };
    assert_eq!(placed(Puts { puts: &puts, pieces: Some(1) }, TableFrames::Data), Err(torn));
}
