//! kdump-compressed dumps as they should be: every compression, both widths, versions, parts, the flattened form.

use crate::core_file::{CoreFile, Load, note, open, qemu_cpu};
use crate::kdump_file::{KdumpFile, METHODS, Method, PAGE, flatten};
use pt_core::{Memory, Unreadable};
use pt_image::{Error, Format, Image, MemoryRange, OpenOptions};
use pt_x86::Mode;
use std::fs;
use tempfile::TempDir;

/// A page that compresses, but not to nothing; for some numbers one that does not.
pub(crate) fn page(number: u64) -> Vec<u8> {
    match number % 5 {
        0 => vec![number as u8; PAGE],
        1 => {
            (0..PAGE as u64).map(|at| (at.wrapping_mul(number ^ 0x9e37_79b9_7f4a_7c15) >> 29) as u8).collect()
        }
        _ => (0..PAGE as u64).map(|at| ((at / 8) ^ number) as u8 & 0x0f).collect(),
    }
}

/// Pages 1 to 9 but for 4, of which 6 to 8 are not held, and some after a gap.
pub(crate) fn small() -> KdumpFile {
    let low =
        [1, 2, 3, 5, 6, 7, 8, 9].map(|number| (number, (!(6..9).contains(&number)).then(|| page(number))));
    KdumpFile::new(low.into_iter().chain((100..110).map(|number| (number, Some(page(number))))))
}

fn ranges(image: &Image) -> Vec<(u64, u64, u64)> {
    image.ranges().map(|MemoryRange { start, len, held, .. }| (start >> 12, len >> 12, held >> 12)).collect()
}

#[track_caller]
pub(crate) fn agrees(image: &Image, dump: &KdumpFile) {
    for (&number, held) in &dump.pages {
        let mut bytes = vec![0xee; PAGE];
        let read = image.read(number << 12, &mut bytes).map(|()| bytes);
        assert!(read == held.clone().ok_or(Unreadable::NotHeld), "page {number}");
        assert_eq!(image.lend(number << 12, 8), None);
    }
}

#[test]
fn every_compression_in_both_widths_and_all_versions() {
    for method in METHODS {
        for (wide, version) in [(true, 6), (false, 6), (true, 5), (false, 4), (true, 1)] {
            let dump = KdumpFile { wide, version, method, ..small() };
            let image = open(dump.build()).unwrap();
            assert_eq!(image.format(), Format::Kdump);
            assert_eq!(ranges(&image), [(1, 3, 3), (5, 4, 1), (9, 1, 1), (100, 10, 10)]);
            assert_eq!(image.ranges().len(), 4);
            assert_eq!((image.memory_bytes(), image.held_bytes()), (18 << 12, 15 << 12));
            let content = [0x1000..=0x3fff, 0x5000..=0x5fff, 0x9000..=0x9fff, 0x6_4000..=0x6_dfff];
            assert_eq!(image.content_ranges(), content);
            // Twice: the second time from what was decoded before.
            agrees(&image, &dump);
            agrees(&image, &dump);
        }
    }
}

#[test]
fn reads_across_pages_and_outside() {
    let dump = small();
    let image = open(dump.build()).unwrap();
    let mut bytes = vec![0; 3 * PAGE - 16];
    image.read(0x1008, &mut bytes).unwrap();
    assert!(bytes == [page(1), page(2), page(3)].concat()[8..3 * PAGE - 8]);
    assert_eq!(image.read_entry(0x100c, 8), Ok(u64::from_le_bytes(page(1)[12..20].try_into().unwrap())));
    let mut eight = [0; 8];
    for (address, expected) in [
        (0x3ffc, Unreadable::Outside),
        (0x4000, Unreadable::Outside),
        (0x5ffc, Unreadable::NotHeld),
        (0x8ffc, Unreadable::NotHeld),
        (0, Unreadable::Outside),
        (110 << 12, Unreadable::Outside),
        (u64::MAX, Unreadable::Outside),
    ] {
        assert_eq!(image.read(address, &mut eight), Err(expected), "{address:#x}");
    }
    assert_eq!(image.read(u64::MAX, &mut []), Ok(()));
    for (address, expected) in [(0, Some(0x1000)), (0x1234, Some(0x1234)), (u64::MAX, None)] {
        assert_eq!(image.next_readable(address), expected, "{address:#x}");
    }
    for address in (0..120_u64).map(|page| page << 12) {
        let readable = |&at: &u64| image.read(at, &mut [0]).is_ok();
        assert_eq!(image.next_readable(address), (address..120 << 12).step_by(PAGE).find(readable));
    }
}

#[test]
fn a_width_that_two_places_tell() {
    // 4096 pages of a 32-bit dump look like the block size of a 64-bit one.
    let narrow = KdumpFile { wide: false, ..KdumpFile::new([(1, Some(page(1))), (4095, Some(page(4095)))]) };
    let image = open(narrow.build()).unwrap();
    agrees(&image, &narrow);
    // And microseconds of a 64-bit one, rarely, like the block size of a 32-bit one.
    let wide = KdumpFile { wide: true, ..narrow };
    let mut file = wide.build();
    file[416..420].copy_from_slice(&4096_u32.to_le_bytes());
    file[272..278].copy_from_slice(b"x86_64");
    agrees(&open(file).unwrap(), &wide);
}

#[test]
fn many_pages_go_through_the_small_memory_of_decoded_ones() {
    let dump =
        KdumpFile { method: Method::Snappy, ..KdumpFile::new((0..1500).map(|n| (n * 3, Some(page(n))))) };
    let image = open(dump.build()).unwrap();
    assert_eq!(image.ranges().len(), 1500);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| agrees(&image, &dump));
        }
    });
}

#[test]
fn notes_are_those_of_a_core() {
    let cpu = |cr3| qemu_cpu(440, 0x00a0_9b00, 0x8005_0033, cr3, 0x20);
    let prstatus = note(b"CORE\0", 1, &[0; 336]);
    let notes =
        [prstatus.clone(), prstatus, note(b"QEMU\0", 0, &cpu(0x1000)), note(b"QEMU\0", 0, &cpu(0x2000))];
    let dump = KdumpFile { notes: notes.concat(), ..small() };
    let image = open(dump.build()).unwrap();
    assert_eq!((image.notes().len(), image.prstatus_count(), image.machine()), (4, 2, None));
    assert!(image.has_qemu_notes());
    let cr3: Vec<u64> = image.cpus().iter().map(|cpu| cpu.cr3).collect();
    assert_eq!(cr3, [0x1000, 0x2000]);
    assert!(image.cpus().iter().all(|cpu| cpu.mode() == Mode::FourLevel));

    // Nothing but the size of its registers tells that the first CPU ran without long mode.
    let cpu = qemu_cpu(440, 0, 0x8005_0033, 0x1000, 0x20);
    for (wide, prstatus, mode) in
        [(true, 336, Mode::FourLevel), (true, 144, Mode::Pae), (false, 144, Mode::Pae), (false, 0, Mode::Pae)]
    {
        let notes = [note(b"CORE\0", 1, &vec![0; prstatus]), note(b"QEMU\0", 0, &cpu)].concat();
        let image = open(KdumpFile { wide, notes, ..small() }.build()).unwrap();
        assert_eq!(image.cpus()[0].mode(), mode, "{wide} {prstatus}");
    }
}

fn parts(dump: &KdumpFile, bounds: &[u64]) -> (TempDir, Vec<std::path::PathBuf>) {
    let dir = TempDir::new().unwrap();
    let write = |bounds: &[u64]| {
        let path = dir.path().join(format!("part{}", bounds[0]));
        fs::write(&path, KdumpFile { part: Some(bounds[0]..bounds[1]), ..dump.clone() }.build()).unwrap();
        path
    };
    let paths = bounds.windows(2).map(write).collect();
    (dir, paths)
}

#[test]
fn parts_in_any_order() {
    for (wide, version) in [(true, 6), (false, 6), (true, 5), (false, 5)] {
        let dump = KdumpFile { wide, version, ..small() };
        let (_dir, mut paths) = parts(&dump, &[0, 2, 102, 102, 110]);
        paths.dedup();
        for _ in 0..paths.len() {
            let image = Image::open_parts(&paths, &OpenOptions::new()).unwrap();
            assert_eq!((image.path(), image.held_bytes()), (&*paths[0], 15 << 12));
            agrees(&image, &dump);
            paths.rotate_left(1);
        }
    }
}

#[test]
fn parts_that_are_missing_are_not_held() {
    let dump = small();
    let (_dir, paths) = parts(&dump, &[0, 3, 103, 110]);
    let kept = |range: std::ops::Range<u64>| {
        let mut dump = dump.clone();
        dump.pages
            .iter_mut()
            .filter(|(number, _)| !range.contains(number))
            .for_each(|(_, held)| *held = None);
        dump
    };
    let middle = Image::open(&paths[1], &OpenOptions::new()).unwrap();
    agrees(&middle, &kept(3..103));
    assert_eq!(ranges(&middle), [(1, 2, 0), (3, 1, 1), (5, 4, 1), (9, 1, 1), (100, 10, 3)]);
    agrees(&Image::open_parts(&paths[1..], &OpenOptions::new()).unwrap(), &kept(3..110));
}

#[test]
fn parts_without_pages_end_with_their_bitmaps() {
    for (wide, version) in [(true, 6), (false, 6), (true, 5)] {
        let dump = KdumpFile { wide, version, ..small() };
        let (_dir, paths) = parts(&dump, &[0, 10, 100, 110]);
        // As makedumpfile 1.7.2 writes it: the second bitmap without what fills its block, and nothing after it.
        let bits = dump.descriptors() - PAGE + 110_usize.div_ceil(8);
        let whole = fs::read(&paths[1]).unwrap();
        assert!(whole[bits..].iter().all(|&byte| byte == 0));
        fs::write(&paths[1], &whole[..bits]).unwrap();
        for order in [[0, 1, 2], [1, 2, 0]] {
            let image = Image::open_parts(&order.map(|part| &paths[part]), &OpenOptions::new()).unwrap();
            agrees(&image, &dump);
        }
        let alone = Image::open(&paths[1], &OpenOptions::new()).unwrap();
        assert_eq!((alone.memory_bytes(), alone.held_bytes()), (18 << 12, 0));
        // A bit that is missing is not taken for a page that is.
        let short = open(whole[..bits - 1].to_vec()).unwrap_err().to_string();
        assert!(
            short.contains("bad kdump-compressed dump at offset") && short.contains("bitmaps"),
            "{short}"
        );
    }
}

#[test]
fn what_are_no_parts_of_one_dump() {
    let (_dir, paths) = parts(&small(), &[0, 3, 103, 110]);
    let mut other = small();
    other.pages.remove(&1);
    let (_other_dir, others) = parts(&other, &[0, 3, 103]);
    let core = paths[0].with_file_name("core");
    fs::write(&core, CoreFile::new64([Load::new(0, [0; 16])]).build()).unwrap();
    for (bad, with) in [(&paths[1], &paths[1]), (&others[1], &paths[0]), (&core, &paths[0])] {
        let error = Image::open_parts(&[with, bad], &OpenOptions::new()).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(matches!(error, Error::Malformed { path, format: Format::Kdump, .. } if path == *bad));
    }
    let none = Image::open_parts(&[""; 0], &OpenOptions::new());
    assert!(matches!(none, Err(Error::NoFiles)));
}

#[test]
fn the_flattened_form() {
    let dump = small();
    let file = dump.build();
    for size in [1000, 4096, 1 << 20] {
        let flat = flatten(&file, size);
        let image = open(flat.clone()).unwrap();
        assert_eq!(image.format(), Format::Kdump);
        agrees(&image, &dump);
        let limited =
            |limit| Image::from_bytes("test", flat.clone(), &OpenOptions::new().decode_limit(limit));
        assert!(limited(file.len() as u64).is_ok());
        assert!(matches!(limited(file.len() as u64 - 1), Err(Error::Limit { .. })));
    }
    // What is flattened need not be kdump-compressed.
    let core = CoreFile::new64([Load::new(0x1000, [7; 32])]).build();
    let image = open(flatten(&core, 64)).unwrap();
    assert_eq!((image.format(), image.read_entry(0x1000, 4)), (Format::Elf, Ok(0x0707_0707)));
}
