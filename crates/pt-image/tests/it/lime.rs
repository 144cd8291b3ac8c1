//! `LiME` dumps, from the format's description.

use crate::core_file::open;
use crate::hostile::{clear, exercise};
use proptest::prelude::*;
use pt_core::{Memory, Unreadable};
use pt_image::{Defect, Error, Format, Image, OpenOptions};

fn range(start: u64, last: u64, bytes: &[u8]) -> Vec<u8> {
    let mut range = b"EMiL\x01\0\0\0".to_vec();
    for word in [start, last, 0] {
        range.extend(word.to_le_bytes());
    }
    range.extend(bytes);
    range
}

fn small() -> Vec<u8> {
    let low: Vec<u8> = (0..64).collect();
    [range(0x1000, 0x103f, &low), range(0x1040, 0x105f, &[7; 32]), range(1 << 32, (1 << 32) + 15, &[9; 16])]
        .concat()
}

#[track_caller]
fn defect(bytes: Vec<u8>) -> (u64, Defect) {
    match open(bytes) {
        Err(Error::Malformed { offset, defect, format: Format::Lime, .. }) => (offset, defect),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ranges_are_where_their_headers_say() {
    let image = open(small()).unwrap();
    assert_eq!((image.format(), image.ranges().len(), image.held_bytes()), (Format::Lime, 3, 112));
    assert_eq!(image.lend(0x1000, 64), Some(&(0..64).collect::<Vec<u8>>()[..]));
    assert_eq!(image.read_entry(0x103c, 8), Ok(0x0707_0707_3f3e_3d3c));
    assert_eq!(image.read_entry(1 << 32, 8), Ok(0x0909_0909_0909_0909));
    assert_eq!(image.read_entry(0x1060, 4), Err(Unreadable::Outside));
    assert!(image.cpus().is_empty());
    assert_eq!(image.format().to_string(), "LiME dump");
}

#[test]
fn headers_that_lie_are_named() {
    let first = 32 + 64;
    let at = |at: usize, value: u64| {
        let mut file = small();
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        file
    };
    assert_eq!(defect(at(first, 0)), (96, Defect::LimeMagic(0)));
    assert_eq!(defect(at(0, 0x2_4c69_4d45)), (0, Defect::LimeVersion(2)));
    assert_eq!(defect(at(8, 0x2000)), (0, Defect::LimeRange { start: 0x2000, last: 0x103f }));
    assert_eq!(defect(range(0, u64::MAX, &[1])), (0, Defect::LimeRange { start: 0, last: u64::MAX }));
    let (offset, overflow) = defect(range(1 << 52, 1 << 52, &[1]));
    assert!(offset == 0 && matches!(overflow, Defect::AddressOverflow { .. }));
    let (offset, overlap) = defect([small(), range(0x1000, 0x1000, &[1])].concat());
    assert!(offset == 208 && matches!(overlap, Defect::Overlap { .. }), "{overlap}");
    let (offset, truncated) = defect(at(first + 16, 0x105f + 49));
    assert!(offset == 96 && matches!(truncated, Defect::Truncated { what: "memory", .. }), "{truncated}");
}

#[test]
fn truncated_at_every_byte() {
    let file = small();
    for len in 1..file.len() {
        match open(file[..len].to_vec()) {
            Ok(image) if len < 4 => assert_eq!(image.format(), Format::Raw),
            // Cut between two ranges, nothing shows that there were more.
            Ok(image) => assert!((len == 96 || len == 160) && image.format() == Format::Lime, "{len}"),
            Err(error) => clear(&error),
        }
    }
}

proptest! {
    #[test]
    fn mutated(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 1_usize..=8), 1..5),
    ) {
        let mut file = small();
        for (at, value, len) in edits {
            let at = at.index(file.len());
            let len = len.min(file.len() - at);
            file[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        }
        match Image::from_bytes("test", file, &OpenOptions::new()) {
            Ok(image) => exercise(&image),
            Err(error) => clear(&error),
        }
    }
}
