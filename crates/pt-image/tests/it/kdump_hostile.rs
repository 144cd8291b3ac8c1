//! kdump-compressed dumps that lie, are damaged or end early.

use crate::core_file::open;
use crate::hostile::{clear, exercise};
use crate::kdump::{page, small};
use crate::kdump_file::{KdumpFile, METHODS, PAGE, flatten};
use proptest::prelude::*;
use pt_core::{Memory, Unreadable};
use pt_image::{Defect, Error, Format, Image, OpenOptions};

#[track_caller]
fn defect(file: Vec<u8>) -> (u64, Defect) {
    match open(file) {
        Err(Error::Malformed { offset, defect, format: Format::Kdump, .. }) => (offset, defect),
        other => panic!("{other:?}"),
    }
}

fn with(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn read(image: &Image, number: u64) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = vec![0; PAGE];
    image.read(number << 12, &mut bytes).map(|()| bytes)
}

#[test]
fn headers_that_lie_are_named() {
    let file = small().build();
    let u32s = |at: usize, value: u32| with(&file, at, &value.to_le_bytes());
    let u64s = |at: usize, value: u64| with(&file, PAGE + at, &value.to_le_bytes());
    assert_eq!(defect(u32s(428, 8192)), (428, Defect::BlockSize(8192)));
    for (at, value) in [(432, u32::MAX), (436, 1000), (436, u32::MAX)] {
        let (offset, defect) = defect(u32s(at, value));
        assert!(offset == 436 && matches!(defect, Defect::Truncated { what: "bitmaps", .. }), "{defect}");
    }
    assert_eq!(defect(u32s(436, 1)), (436, Defect::Bitmap { pages: 110, bits: 0 }));
    assert_eq!(defect(u64s(96, 32769)), (436, Defect::Bitmap { pages: 32769, bits: 32768 }));
    let (offset, many) = defect(u64s(96, u64::MAX));
    assert!(offset == 4096 + 96 && matches!(many, Defect::TooMany { what: "pages", .. }), "{many}");
    let split = u32s(PAGE + 12, 1);
    let split = with(&split, PAGE + 80, &5_u64.to_le_bytes());
    for end in [4_u64, 111, u64::MAX] {
        let (_, defect) = defect(with(&split, PAGE + 88, &end.to_le_bytes()));
        assert_eq!(defect, Defect::PartRange { start: 5, end, pages: 110 });
    }
    for (start, len) in [(file.len() as u64, 1_u64), (u64::MAX, u64::MAX), (0, u64::MAX)] {
        let notes = with(&u64s(48, start), PAGE + 56, &len.to_le_bytes());
        let (offset, defect) = defect(notes);
        assert!(offset == 4096 + 48 && matches!(defect, Defect::Truncated { what: "notes", .. }), "{defect}");
    }
    // More pages said to be held than there are descriptors in the file.
    let half = small().descriptors() - PAGE;
    let dense = with(&file, half, &[0xff; 13]);
    let (_, short) = defect(dense[..small().descriptors() + 500].to_vec());
    assert!(matches!(short, Defect::Truncated { what: "page descriptors", .. }), "{short}");
}

#[test]
fn descriptors_that_lie_concern_their_page_only() {
    for method in METHODS {
        let dump = KdumpFile { method, ..small() };
        let file = dump.build();
        let second = dump.descriptors() + 24;
        let lies: [(usize, &[u8]); 8] = [
            (0, &u64::MAX.to_le_bytes()),
            (0, &(file.len() as u64 - 1).to_le_bytes()),
            (0, &0_u64.to_le_bytes()),
            (8, &u32::MAX.to_le_bytes()),
            (8, &4097_u32.to_le_bytes()),
            (8, &0_u32.to_le_bytes()),
            (8, &17_u32.to_le_bytes()),
            (12, &0x27_u32.to_le_bytes()),
        ];
        for (at, lie) in lies {
            let image = open(with(&file, second + at, lie)).unwrap();
            // A page that is not compressed may be anywhere in the file.
            let misled = at == 0 && lie == 0_u64.to_le_bytes();
            assert!(misled || read(&image, 2) == Err(Unreadable::Failed), "{method:?} {at} {lie:?}");
            assert!(read(&image, 1) == Ok(page(1)) && read(&image, 3) == Ok(page(3)), "{method:?}");
        }
        // The compression of another page.
        for flag in
            [1_u32, 2, 4, 0x20].into_iter().filter(|&flag| flag != [0, 1, 2, 4, 0x20][method as usize])
        {
            let image = open(with(&file, second + 12, &flag.to_le_bytes())).unwrap();
            assert_eq!(read(&image, 2), Err(Unreadable::Failed), "{method:?} {flag}");
        }
    }
}

#[test]
fn truncated_at_every_byte() {
    let dump = small();
    let file = dump.build();
    let descriptors_end = dump.descriptors() + 24 * 15;
    for len in 8..descriptors_end {
        clear(&open(file[..len].to_vec()).unwrap_err());
    }
    // From there on only pages are missing.
    for len in descriptors_end..file.len() {
        let image = open(file[..len].to_vec()).unwrap();
        // The last page is the last in the file.
        assert_eq!(read(&image, 109), Err(Unreadable::Failed), "{len}");
    }
}

#[test]
fn flattened_forms_that_lie() {
    let core = crate::core_file::CoreFile::new64([crate::core_file::Load::new(0, [7; 32])]).build();
    let flat = flatten(&core, 64);
    for len in 16..flat.len() {
        clear(&open(flat[..len].to_vec()).unwrap_err());
    }
    for (at, value, expected) in [
        (16, 2_i64, Defect::Flattened { what: "type", found: 2 }),
        (24, 0, Defect::Flattened { what: "version", found: 0 }),
        (4096, -2, Defect::Flattened { what: "offset", found: -2 }),
        (4104, 0, Defect::Flattened { what: "size", found: 0 }),
        (4104, -1, Defect::Flattened { what: "size", found: -1 }),
    ] {
        assert_eq!(defect(with(&flat, at, &value.to_be_bytes())).1, expected);
    }
    let far = open(with(&flat, 4096, &i64::MAX.to_be_bytes())).unwrap_err();
    assert!(matches!(far, Error::Limit { .. }), "{far}");
}

fn mutated(mut file: Vec<u8>, edits: Vec<(usize, u64, usize)>) {
    for (at, value, len) in edits {
        let at = at % file.len();
        let len = len.min(file.len() - at);
        file[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    }
    match Image::from_bytes("test", file, &OpenOptions::new().decode_limit(1 << 20)) {
        Ok(image) => {
            exercise(&image);
            for number in (0..12).chain(98..112) {
                let _ = read(&image, number);
            }
        }
        Err(error) => clear(&error),
    }
}

/// Small numbers more often than others.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..=0x20, any::<u64>(), Just(u64::MAX), Just(1 << 40)]
}

proptest! {
    #[test]
    fn mutated_dumps(
        method in 0_usize..5,
        wide: bool,
        split: bool,
        in_headers in prop::collection::vec((400_usize..470, value(), 1_usize..=8), 0..3),
        in_sub_header in prop::collection::vec((PAGE..PAGE + 110, value(), 1_usize..=8), 0..3),
        in_bitmaps in prop::collection::vec((2 * PAGE..4 * PAGE, value(), 1_usize..=8), 0..3),
        in_the_rest in prop::collection::vec((4 * PAGE..12 * PAGE, value(), 1_usize..=8), 0..6),
    ) {
        let part = split.then_some(3..103);
        let file = KdumpFile { method: METHODS[method], wide, part, ..small() }.build();
        mutated(file, [in_headers, in_sub_header, in_bitmaps, in_the_rest].concat());
    }

    #[test]
    fn mutated_pages(
        method in 0_usize..5,
        edits in prop::collection::vec((0_usize..1 << 16, any::<u64>(), 1_usize..=8), 1..8),
    ) {
        let dump = KdumpFile { method: METHODS[method], ..small() };
        let data = dump.descriptors() + 24 * 15;
        let file = dump.build();
        let len = file.len() - data;
        mutated(file, edits.into_iter().map(|(at, value, count)| (data + at % len, value, count)).collect());
    }

    #[test]
    fn mutated_flattened_dumps(
        edits in prop::collection::vec((PAGE - 40..4 * PAGE, value(), 1_usize..=8), 1..6),
    ) {
        mutated(flatten(&small().build(), 4000), edits);
    }
}
