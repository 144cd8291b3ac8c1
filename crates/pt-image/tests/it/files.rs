//! Files as they come: mapped, read, empty, missing, of another format.

use crate::core_file::{CoreFile, Load};
use pt_core::{Memory, Unreadable};
use pt_image::{Defect, Error, Format, Image, OpenOptions, Region};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

fn file(content: &[u8]) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("image");
    fs::write(&path, content).unwrap();
    (dir, path)
}

#[test]
fn files_are_mapped_unless_told_otherwise() {
    let core = CoreFile::new64([Load::new(0x1000, [7; 4096])]).build();
    let (_dir, path) = file(&core);
    for map in [true, false] {
        let image = Image::open(&path, &OpenOptions::new().map(map)).unwrap();
        assert_eq!(image.is_mapped(), map);
        assert_eq!(image.compression(), None);
        assert_eq!(image.path(), path);
        assert_eq!(image.lend(0x1000, 4096), Some(&[7; 4096][..]));
        image.check_unchanged().unwrap();
    }
}

#[test]
fn a_mapped_file_has_no_limit_and_a_read_one_has() {
    let (_dir, path) = file(&[1; 4096]);
    let options = OpenOptions::new().decode_limit(4095);
    assert!(Image::open(&path, &options).is_ok());
    let error = Image::open(&path, &options.clone().map(false)).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: 4095, .. }));
    assert!(error.to_string().contains("4095 bytes"), "{error}");
    assert!(Image::open(&path, &options.decode_limit(4096).map(false)).is_ok());
}

#[test]
fn raw_files_start_at_address_zero() {
    let (_dir, path) = file(&(0..100).collect::<Vec<u8>>());
    let image = Image::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((image.format(), image.memory_bytes(), image.held_bytes()), (Format::Raw, 100, 100));
    assert_eq!(image.read_entry(8, 8), Ok(0x0f0e_0d0c_0b0a_0908));
    assert_eq!(image.read_entry(96, 8), Err(Unreadable::Outside));
    assert!(image.cpus().is_empty() && image.notes().len() == 0 && image.machine().is_none());
}

#[test]
fn a_changed_file_is_noticed() {
    let (_dir, path) = file(&[1; 4096]);
    let image = Image::open(&path, &OpenOptions::new()).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&[2; 4096]).unwrap();
    assert!(matches!(image.check_unchanged(), Err(Error::Changed { .. })));
    assert_eq!(image.memory_bytes(), 4096);
}

#[test]
fn what_is_no_file_is_said() {
    let dir = TempDir::new().unwrap();
    let open = |name: &str| Image::open(dir.path().join(name), &OpenOptions::new()).unwrap_err();
    assert!(matches!(open("missing"), Error::Open { .. }));
    assert!(matches!(open(""), Error::Directory { .. }));
    fs::write(dir.path().join("empty"), []).unwrap();
    assert!(matches!(open("empty"), Error::Empty { .. }));
    let error = Image::open("two\nlines", &OpenOptions::new()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn files_without_a_length_are_read() {
    let image = Image::open("/proc/self/maps", &OpenOptions::new()).unwrap();
    assert!(!image.is_mapped() && image.memory_bytes() > 0);
}

#[test]
fn the_format_can_be_forced() {
    let core = CoreFile::new64([Load::new(0x1000, [7; 16])]).build();
    let raw = Image::from_bytes("x", core.clone(), &OpenOptions::new().format(Format::Raw)).unwrap();
    assert_eq!((raw.format(), raw.memory_bytes()), (Format::Raw, core.len() as u64));
    let error = Image::from_bytes("x", vec![0; 64], &OpenOptions::new().format(Format::Elf)).unwrap_err();
    assert!(matches!(error, Error::Malformed { offset: 0, defect: Defect::NotElf, .. }));
}

#[test]
fn known_formats_that_are_not_read_are_not_taken_for_memory() {
    for start in [&b"AVML\x02\0\0\0"[..], b"\x1f\x8b\x08", b"QEVM\0\0\0\x03"] {
        let mut bytes = start.to_vec();
        bytes.resize(4096, 0);
        let error = Image::from_bytes("x", bytes.clone(), &OpenOptions::new()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(Image::from_bytes("x", bytes, &OpenOptions::new().format(Format::Raw)).is_ok());
    }
}

/// A file system may keep more than what was written, but no more than blocks of this size around it.
#[cfg(target_os = "linux")]
const BLOCK: u64 = 1 << 20;

#[cfg(target_os = "linux")]
#[test]
fn holes_are_no_content() {
    use std::io::{Seek, SeekFrom};

    const LEN: u64 = 1 << 40;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse");
    let mut file = fs::File::create(&path).unwrap();
    for at in [0x5000_u64, 1 << 35] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[7; 4096]).unwrap();
    }
    file.set_len(LEN).unwrap();
    let image = Image::open(&path, &OpenOptions::new()).unwrap();
    assert_eq!((image.held_bytes(), image.read_entry(1 << 39, 8)), (LEN, Ok(0)));
    let content = image.content_ranges();
    let has = |at: u64| content.iter().any(|range| range.contains(&at) && range.contains(&(at + 4095)));
    assert!(has(0x5000) && has(1 << 35), "{content:x?}");
    assert!(
        content.iter().map(|range| range.end() - range.start() + 1).sum::<u64>() <= 4 * BLOCK,
        "{content:x?}"
    );
    assert!(content.is_sorted_by_key(|range| *range.start()));

    // Where parts of the file lie at other addresses, in other orders, cut in the middle of what was written.
    let region = |start, offset, len| Region::new(start, &path).offset(offset).len(len);
    let regions = [region(1 << 45, 0x5800, 0x10_0000_0000), region(0, (1 << 35) - BLOCK, BLOCK + 0x800)];
    let image = Image::open_regions(&regions, &OpenOptions::new()).unwrap();
    let content = image.content_ranges();
    let starts_with_the_later =
        content.first().is_some_and(|range| range.contains(&BLOCK) && *range.end() == BLOCK + 0x7ff);
    assert!(starts_with_the_later && content.iter().any(|range| *range.start() == 1 << 45), "{content:x?}");
    // What is in memory has no holes, nor have the pages of a dump.
    let image = Image::from_bytes("zeros", vec![0; 0x3000], &OpenOptions::new()).unwrap();
    assert_eq!(image.content_ranges(), [0..=0x2fff]);
}
