//! What is printed where a message is made of it.

use pt_amd64::FourLevel;
use pt_core::{Event, Extents, Level, Limits, Options, Segment, Translator, Walk};

#[test]
fn a_level_is_its_number_and_says_so_in_debug_output() {
    assert_eq!(format!("{} {:>2} {:?}", Level::LEAF, Level::HIGHEST, Level::HIGHEST), "1  5 level 5");
}

#[test]
fn a_piece_of_an_image_is_printed_without_its_bytes() {
    let piece = Segment { start: 0x1000, len: 0x2000, bytes: &[7; 0x800] };
    assert_eq!(format!("{piece:?}"), "Segment(0x1000+0x2000, 0x800 held)");
}

#[test]
fn what_goes_through_tables_prints_where_it_is() {
    let mut memory = vec![0; 0x2000];
    memory[0x1000..0x1008].copy_from_slice(&0x1003_u64.to_le_bytes());
    let (format, options) = (FourLevel::default(), Options { range: 0..=0x1fff, ..Options::default() });
    let limits = Limits { events: 100, ..Limits::NONE };
    let mut walk = Walk::single(format, &memory, 0x1000, options, limits);
    assert!(matches!(walk.next(), Some(Ok(Event::Table(_)))));
    assert_eq!(
        format!("{walk:?}"),
        "Walk { range: Some((0, 8191)), tables: 1, room: 99, next_root: 1, open: 1, .. }"
    );
    let mut space = Translator::new(format, &memory, 0x1000);
    space.translate(0xabc).expect("a table that links itself");
    assert_eq!(format!("{space:?}"), "Translator { va: 2748, .. }");
    let mut extents = Extents::new(format, &memory, 0x1000, 0xabc..=0x1fff);
    assert_eq!(extents.next().map(|extent| extent.len), Some(0x544));
    assert_eq!(format!("{extents:?}"), "Extents { next: 4096, last: 8191, .. }");
}
