//! How many bytes are kept of each table, where there are many.

use pt_amd64::FourLevel;
use pt_core::{Counter, Event, FrameIndex, Leaves, Level, Options, Recording, Sharing, Visited, Walk};

use crate::heap::peak;
use crate::made::{Made, link, page};

/// Page tables in all, each with a run of two pages, below ten directories.
const TABLES: u64 = 10 * 512;
/// The tables above them.
const ABOVE: u64 = 10 + 2;

fn large(format: &FourLevel) -> Made<'_> {
    let level = |number| Level::new(number).expect("a level");
    Made::new(format, move |table, index| match table {
        1 => Some(if index == 0 { link(format, level(4), 2) } else { 0 }),
        2 => Some(if index < 10 { link(format, level(3), 0x1000 + index) } else { 0 }),
        0x1000..0x2000 => Some(link(format, level(2), 0x10_0000 + (table - 0x1000) * 512 + index)),
        _ => Some(if index < 2 { page(format, (table << 9 | index) & 0xffff_ffff) } else { 0 }),
    })
}

/// A walk with its pages in runs.
fn walk<'a>(format: FourLevel, memory: &'a Made<'_>) -> Walk<'a, FourLevel, Made<'a>, Visited> {
    Walk::new(format, memory, &[0x1000], Options { leaves: Leaves::Runs, ..Options::default() })
}

#[test]
fn a_walk_keeps_little_of_each_table() {
    let format = FourLevel::default();
    let memory = large(&format);
    let (tables, bytes) =
        peak(|| walk(format, &memory).filter(|event| matches!(event, Ok(Event::Table(_)))).count() as u64);
    assert_eq!((tables, memory.reads()), (TABLES + ABOVE, TABLES + ABOVE));
    assert!(bytes <= 96 * tables, "{} bytes each", bytes / tables);
}

#[test]
fn what_is_derived_keeps_little_of_each_event() {
    let format = FourLevel::default();
    let memory = large(&format);
    let events = walk(format, &memory).count() as u64;
    assert_eq!(events, 2 * TABLES + ABOVE);
    let walk_alone = 96 * (TABLES + ABOVE);
    let sizes = [
        peak(|| Recording::new(format, walk(format, &memory)).map(|kept| kept.tables())).1,
        peak(|| {
            FrameIndex::new::<FourLevel>(walk(format, &memory))
                .map(|kept| kept.find::<FourLevel>(0..=0).count())
        })
        .1,
        peak(|| Sharing::of_walk::<FourLevel>(walk(format, &memory)).map(drop)).1,
        peak(|| {
            walk(format, &memory)
                .flatten()
                .fold(Counter::new(), |mut counter, event| {
                    counter.observe::<FourLevel>(&event);
                    counter
                })
                .spaces()
                .len()
        })
        .1,
    ];
    // Vectors that double hold at most three times what is in them while they do.
    for (bytes, most) in sizes.into_iter().zip([400, 400, 300, 300]) {
        let each = bytes.saturating_sub(walk_alone) / events;
        assert!(each <= most, "{each} bytes for each event, of {sizes:?}");
    }
}
