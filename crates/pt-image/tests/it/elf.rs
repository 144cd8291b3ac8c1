//! Cores as QEMU and others write them, and each field that can lie.

use crate::core_file::{CoreFile, Load, note, open};
use pt_core::{Memory, Unreadable};
use pt_image::{Defect, Error, Format, MemoryRange};

fn ranges(image: &pt_image::Image) -> Vec<(u64, u64, u64)> {
    image.ranges().map(|MemoryRange { start, len, held, .. }| (start, len, held)).collect()
}

#[track_caller]
fn defect(result: Result<pt_image::Image, Error>) -> (u64, Defect) {
    match result {
        Err(error @ Error::Malformed { .. }) => {
            assert!(!error.to_string().contains('\n'));
            let Error::Malformed { offset, defect, format: Format::Elf, .. } = error else {
                panic!("{error}");
            };
            (offset, defect)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_classes_are_read_alike() {
    for core in [CoreFile::new64 as fn(Vec<Load>) -> CoreFile, CoreFile::new32] {
        let core = core(vec![Load::new(0x1000, [1; 32]), Load::new(0x8000, [2; 32]).at_virtual(0x8000)]);
        let image = core.open().unwrap();
        assert_eq!(image.format(), Format::Elf);
        assert_eq!(ranges(&image), [(0x1000, 32, 32), (0x8000, 32, 32)]);
        assert_eq!((image.memory_bytes(), image.held_bytes()), (64, 64));
        assert_eq!(image.lend(0x8008, 24), Some(&[2; 24][..]));
        assert_eq!(image.machine(), Some(core.machine));
        assert!(image.cpus().is_empty());
    }
}

#[test]
fn holes_are_outside_and_the_rest_of_a_segment_is_not_held() {
    let loads =
        [Load::new(0x1000, [1; 16]).len(0x1000), Load::filtered(0x3000, 0x1000), Load::new(0x4000, [3; 16])];
    for core in [CoreFile::new64(loads.clone()), CoreFile::new32(loads)] {
        let image = core.open().unwrap();
        assert_eq!(ranges(&image), [(0x1000, 0x1000, 16), (0x3000, 0x1000, 0), (0x4000, 16, 16)]);
        for (address, expected) in [
            (0xfff, Err(Unreadable::Outside)),
            (0x1000, Ok(1)),
            (0x100f, Ok(1)),
            (0x1010, Err(Unreadable::NotHeld)),
            (0x1fff, Err(Unreadable::NotHeld)),
            (0x2000, Err(Unreadable::Outside)),
            (0x3000, Err(Unreadable::NotHeld)),
            (0x4000, Ok(3)),
            (0x4010, Err(Unreadable::Outside)),
            (u64::MAX, Err(Unreadable::Outside)),
        ] {
            let mut byte = [0];
            assert_eq!(image.read(address, &mut byte).map(|()| byte[0]), expected, "{address:#x}");
            assert_eq!(image.lend(address, 1).is_some(), expected.is_ok(), "{address:#x}");
        }
        assert_eq!(image.read_entry(0x1008, 8), Ok(0x0101_0101_0101_0101));
        assert_eq!(image.read_entry(0x100c, 8), Err(Unreadable::NotHeld));
        assert_eq!(image.read(u64::MAX, &mut []), Ok(()));
        assert_eq!(image.lend(0x1000, usize::MAX), None);
    }
}

#[test]
fn unsorted_segments_are_sorted_and_neighbours_joined() {
    // The first two are neighbours in memory and in the file; the last is one in memory only.
    let loads = [Load::new(0x1010, [2; 16]), Load::new(0x1020, [3; 16]), Load::new(0x1000, [1; 16])];
    let image = CoreFile::new64(loads).open().unwrap();
    assert_eq!(ranges(&image), [(0x1000, 16, 16), (0x1010, 32, 32)]);
    assert_eq!(image.lend(0x1018, 16), Some([[2; 8], [3; 8]].concat().as_slice()));
    assert_eq!(image.lend(0x1008, 16), None);
    let mut straddling = [0; 16];
    image.read(0x1008, &mut straddling).unwrap();
    assert_eq!(straddling, *[[1; 8], [2; 8]].concat());
}

#[test]
fn many_segments_are_counted_in_section_zero() {
    let few = CoreFile { count_in_section: true, ..CoreFile::new32([Load::new(0x1000, [1; 16])]) };
    assert_eq!(ranges(&few.open().unwrap()), [(0x1000, 16, 16)]);

    let many = (0..70_000_u64).rev().map(|page| Load::new(page << 12, [page as u8])).collect::<Vec<_>>();
    for core in [CoreFile::new64(many.clone()), CoreFile::new32(many)] {
        let image = core.open().unwrap();
        assert_eq!(image.ranges().len(), 70_000);
        assert_eq!(image.lend(69_999 << 12, 1), Some(&[69_999_u32 as u8][..]));
    }
}

#[test]
fn empty_segments_are_nothing() {
    let image = CoreFile::new64([Load::new(0x1000, []), Load::new(0x1000, [1; 8])]).open().unwrap();
    assert_eq!(ranges(&image), [(0x1000, 8, 8)]);
    let none = CoreFile::new64([Load::new(0x1000, [])]).open();
    assert_eq!(defect(none), (64, Defect::NoMemory));
    let none = CoreFile::new64([]).open();
    assert_eq!(defect(none), (56, Defect::NoMemory));
}

#[test]
fn overlapping_segments_are_refused() {
    let core = CoreFile::new64([Load::new(0x1008, [2; 16]), Load::new(0x1000, [1; 16])]);
    let expected = Defect::Overlap { start: 0x1008, other_start: 0x1000, other_last: 0x100f };
    assert_eq!(defect(core.open()), (core.load_header(0), expected));

    let same = CoreFile::new64([Load::new(0x1000, [2; 16]), Load::new(0x1000, [1; 16])]);
    let expected = Defect::Overlap { start: 0x1000, other_start: 0x1000, other_last: 0x100f };
    assert_eq!(defect(same.open()), (same.load_header(1), expected));

    // What is not held overlaps too.
    let filtered = CoreFile::new64([Load::filtered(0, 0x10000), Load::new(0xffff, [1; 1])]);
    assert!(matches!(defect(filtered.open()).1, Defect::Overlap { .. }));
}

#[test]
fn segments_past_the_end_of_the_file_are_refused() {
    let mut core = CoreFile::new64([Load::new(0, [1; 16]), Load::new(0x1000, [2; 16])]);
    let mut file = core.build();
    let (len, header) = (file.len() as u64, core.load_header(1));
    let truncated = |start, file| Defect::Truncated { what: "memory", start, len: 16, file };
    file.pop();
    assert_eq!(defect(open(file)), (header, truncated(len - 16, len - 1)));

    for offset in [u64::MAX, u64::MAX - 15, u64::MAX - 16, len - 15] {
        core.loads[1].offset = Some(offset);
        assert_eq!(defect(core.open()), (header, truncated(offset, len)), "{offset:#x}");
    }
    core.loads[1].offset = Some(len - 16);
    core.open().unwrap();
}

#[test]
fn addresses_end_at_52_bits() {
    let last = (1 << 52) - 16;
    let image = CoreFile::new64([Load::new(last, [1; 16])]).open().unwrap();
    assert_eq!(image.read_entry(last + 8, 8), Ok(0x0101_0101_0101_0101));
    let mut two = [0; 17];
    assert_eq!(image.read(last, &mut two), Err(Unreadable::Outside));

    for len in [17, u64::MAX, 1 << 63, (1 << 52) + 1] {
        let core = CoreFile::new64([Load::new(last, [1; 16]).len(len)]);
        assert_eq!(defect(core.open()), (64, Defect::AddressOverflow { start: last, len }));
    }
    let core = CoreFile::new64([Load::new(0x1000, [1; 16]).len(8)]);
    assert_eq!(defect(core.open()), (64, Defect::SegmentLength { start: 0x1000, len: 8, held: 16 }));
}

#[test]
fn dumps_by_virtual_address_are_refused() {
    let direct_map = Load::new(0x1000, [1; 16]).at_virtual(0xffff_8880_0000_1000);
    let pte_bits = Load::new(0x8010_0000_0000_1000, [1; 16]).at_virtual(0xffff_8880_0000_1000);
    let low = Load::new(0x1000, [1; 16]).at_virtual(0xc000_1000);
    let no_execute = Load::new(0x0010_0000_0000_1000, [1; 16]);
    for load in [direct_map, pte_bits, low.clone(), no_execute] {
        let core = CoreFile::new64([Load::new(0, [0; 16]), load.clone()]);
        let expected = Defect::VirtualAddresses { physical: load.physical, virtual_: load.virtual_ };
        assert_eq!(defect(core.open()), (core.load_header(1), expected));
    }
    let message = CoreFile::new32([low]).open().unwrap_err().to_string();
    assert!(message.contains("paging=true"), "{message}");
}

#[test]
fn every_lying_field_of_the_header_is_named() {
    let core64 = CoreFile::new64([Load::new(0x1000, [1; 16])]);
    let core32 = CoreFile::new32([Load::new(0x1000, [1; 16])]);
    let with = |core: &CoreFile, at: usize, value: &[u8]| {
        let mut file = core.build();
        file[at..at + value.len()].copy_from_slice(value);
        defect(open(file))
    };
    for core in [&core64, &core32] {
        assert_eq!(with(core, 4, &[3]), (4, Defect::Class(3)));
        assert_eq!(with(core, 5, &[2]), (5, Defect::Encoding(2)));
        assert_eq!(with(core, 6, &[0]), (6, Defect::Version(0)));
        assert_eq!(with(core, 16, &[2, 0]), (16, Defect::NotACore(2)));
        assert_eq!(with(core, 18, &[183, 0]), (18, Defect::Machine(183)));
    }

    let (len64, len32) = (core64.build().len() as u64, core32.build().len() as u64);
    let table = |start, len, file| Defect::Truncated { what: "table of program headers", start, len, file };
    assert_eq!(with(&core64, 32, &[0xff; 8]), (56, table(u64::MAX, 56, len64)));
    assert_eq!(with(&core32, 28, &[0xff; 4]), (44, table(u64::from(u32::MAX), 32, len32)));
    assert_eq!(with(&core64, 56, &[2, 0]), (56, table(64, 112, len64)));

    let headers = |found, expected| Defect::EntrySize { what: "program headers", found, expected };
    assert_eq!(with(&core64, 54, &[32, 0]), (54, headers(32, 56)));
    assert_eq!(with(&core32, 42, &[0, 0]), (42, headers(0, 32)));

    assert_eq!(with(&core64, 56, &[0xff, 0xff]), (40, Defect::NoSectionZero));
    assert_eq!(with(&core32, 44, &[0xff, 0xff]), (32, Defect::NoSectionZero));

    let in_section = CoreFile { count_in_section: true, ..core64 };
    let sections = |found| Defect::EntrySize { what: "section headers", found, expected: 64 };
    assert_eq!(with(&in_section, 58, &[40, 0]), (58, sections(40)));
    let info = 64 + 56 + 44;
    let too_many = Defect::TooMany { what: "segments", count: 0xffff_ffff, limit: 1 << 24 };
    assert_eq!(with(&in_section, info, &[0xff; 4]), (64 + 56, too_many));
    let (offset, lying) = with(&in_section, 40, &[0xff; 8]);
    assert!(matches!(lying, Defect::Truncated { what: "section header", .. }) && offset == 40);
}

#[test]
fn notes_are_kept_as_they_are() {
    let image = CoreFile::new64([Load::new(0, [1; 16])])
        .note(b"CORE\0", 1, [5; 7])
        .note(b"VMCOREINFO\0", 0, *b"OSRELEASE=6.1.0")
        .note(b"", 9, [])
        .open()
        .unwrap();
    let notes: Vec<_> = image.notes().map(|note| (note.name, note.kind, note.bytes)).collect();
    assert_eq!(
        notes,
        [(&b"CORE"[..], 1, &[5; 7][..]), (b"VMCOREINFO", 0, b"OSRELEASE=6.1.0"), (b"", 9, b"")]
    );
    assert_eq!(image.prstatus_count(), 1);
    assert!(!image.has_qemu_notes());
}

#[test]
fn notes_that_lie_are_refused() {
    let core = CoreFile::new64([Load::new(0, [1; 16])]).note(b"CORE\0", 1, [5; 8]);
    let at = 64 + 2 * 56;
    let with = |at: usize, value: u32| {
        let mut file = core.build();
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        defect(open(file))
    };
    let left = note(b"CORE\0", 1, &[5; 8]).len() as u64;
    assert_eq!(with(at, u32::MAX), (at as u64, Defect::Note { needed: 12 + (1 << 32) + 8, left }));
    assert_eq!(with(at + 4, 9), (at as u64, Defect::Note { needed: left + 1, left }));
    // Four bytes are left behind the note, and are not a header.
    assert_eq!(with(at + 4, 4), (at as u64 + 24, Defect::Note { needed: 12, left: 4 }));
    let (offset, past) = with(64 + 32, 0x1000);
    assert!(matches!(past, Defect::Truncated { what: "notes", start: 176, len: 0x1000, .. }), "{past:?}");
    assert_eq!(offset, 64);
}

#[test]
fn many_headers_for_the_same_notes_cost_no_more_than_the_limit() {
    let mut file = CoreFile::new64(vec![Load::new(0, []); 4000]).build();
    let notes = file.len() as u64;
    file.extend(vec![0; 1 << 20]);
    for header in file[64..notes as usize].chunks_exact_mut(56) {
        header[0] = 4;
        header[8..16].copy_from_slice(&notes.to_le_bytes());
        header[32..40].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    }
    let too_many = Defect::TooMany { what: "bytes of notes", count: 17 << 20, limit: 16 << 20 };
    assert_eq!(defect(open(file)), (64 + 16 * 56, too_many));
}
