//! Where compaction puts an extent for which there is no room as a whole.

use pt_rebuild::{Arena, Compact, Extent, NoRoom, Place, Placement};

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
