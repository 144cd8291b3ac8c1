//! Which tables become large pages, and which stay.

use pt_amd64::FourLevel;
use pt_core::Limits;
use pt_rebuild::{Graph, Keep, Pages, Plan, RebuildOptions, TableFrames};

const LINK: u64 = 7;
const PAGES: u64 = 0x20_0000;

/// How many tables are left of a PML4, a PDPT, a PD and a page table whose pages follow one another. The page table is at
/// `table`, and the PD links it so often.
fn left(table: u64, links: u64, shared: bool, table_frames: TableFrames) -> usize {
    let mut memory = vec![0; 0x40_0000];
    let above = [(0x1000, 0x2000 | LINK), (0x2000, 0x3000 | LINK)];
    let links = (0..links).map(|link| (0x3000 + link * 8, table | LINK));
    let pages = (0..512).map(|page| (table + page * 8, (PAGES + page * 0x1000) | LINK));
    for (at, raw) in above.into_iter().chain(links).chain(pages) {
        memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    let graph = Graph::read(FourLevel::default(), &memory, &[0x1000], 0..=u64::MAX, Limits::NONE);
    let options =
        RebuildOptions { pages: Pages::Promote { shared }, table_frames, ..RebuildOptions::default() };
    Plan::new(graph.expect("a graph"), options, Keep).expect("a plan").new_tables()
}

#[test]
fn a_table_of_several_links_becomes_pages_only_where_it_may_be_shared_no_more() {
    let left = |links, shared| left(0x4000, links, shared, TableFrames::Data);
    assert_eq!([left(1, false), left(2, false), left(512, false)], [3, 4, 4]);
    assert_eq!([left(1, true), left(2, true)], [3, 3]);
}

#[test]
fn a_table_that_a_page_shows_stays() {
    // The fifth of its own pages.
    let own = PAGES + 0x5000;
    for shared in [false, true] {
        assert_eq!(left(own, 1, shared, TableFrames::Live), 4);
        assert_eq!(left(own, 1, shared, TableFrames::Data), 3);
        assert_eq!(left(0x4000, 1, shared, TableFrames::Live), 3);
    }
}
