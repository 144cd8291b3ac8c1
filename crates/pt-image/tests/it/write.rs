//! What is written is read as it was, and what cannot be written leaves the old file.

use crate::core_file::{CoreFile, Load, qemu_cpu};
use proptest::prelude::*;
use pt_core::{Memory, Unreadable};
use pt_image::{CoreWriter, Format, Image, MemoryRange, OpenOptions, RawWriter, WriteError};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const HELD: fn(u64, u64) -> MemoryRange = MemoryRange::held;

fn reopen(path: &Path) -> Image {
    Image::open(path, &OpenOptions::new()).unwrap()
}

/// Memory that comes from a function, and is nowhere as a whole.
struct Filled<F>(F);

impl<F: Fn(u64, &mut [u8]) -> Result<(), Unreadable>> Memory for Filled<F> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        (self.0)(address, into)
    }
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// A core as QEMU would have written it, of two CPUs.
fn guest() -> Image {
    let mut core = CoreFile::new64([])
        .note(b"CORE\0", 1, [1; 336])
        .note(b"CORE\0", 1, [2; 336])
        .note(b"QEMU\0", 0, qemu_cpu(440, 0x00a0_9b00, 0x8005_0033, 0x1007, 0x20))
        .note(b"QEMU\0", 0, qemu_cpu(432, 0x00a0_9b00, 0x8005_0033, 0x2007, 0x20))
        .note(b"VMCOREINFO\0", 0, *b"PAGESIZE=4096\n#");
    core.loads = vec![
        Load::new(0x1000, (0..0x2345_u32).map(|at| (at / 7) as u8).collect::<Vec<u8>>()).len(0x3000),
        Load::filtered(0x8000, 0x1000),
        Load::new(1 << 32, [9; 0x1000]),
    ];
    core.open().unwrap()
}

#[test]
fn a_core_written_again_is_the_same_but_for_cr3() {
    let (dir, image) = (TempDir::new().unwrap(), guest());
    let path = dir.path().join("out");
    let mut writer = CoreWriter::like(&image).ranges(image.ranges());
    writer.set_cr3(1, 0xabc_d00f).unwrap();
    writer.write(&path, &image).unwrap().commit().unwrap();

    let written = reopen(&path);
    assert_eq!((written.format(), written.machine()), (Format::Elf, Some(62)));
    assert!(written.ranges().eq(image.ranges()));
    for range in image.ranges() {
        let mut bytes = [vec![0; range.held as usize], vec![1; range.held as usize]];
        image.read(range.start, &mut bytes[0]).unwrap();
        written.read(range.start, &mut bytes[1]).unwrap();
        assert!(bytes[0] == bytes[1]);
    }
    assert_eq!(written.read_entry(0x3345, 4), Err(Unreadable::NotHeld));
    let differ: Vec<_> = written.notes().zip(image.notes()).map(|(new, old)| new != old).collect();
    assert_eq!(differ, [false, false, false, true, false]);
    let mut expected = image.cpus()[1].clone();
    expected.cr3 = 0xabc_d00f;
    assert_eq!(written.cpus(), [image.cpus()[0].clone(), expected]);
    // The program headers follow the header: some readers look nowhere else.
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[32..40], 64_u64.to_le_bytes());
    let refused = writer.set_cr3(2, 0).unwrap_err();
    assert!(matches!(refused, WriteError::NoCpu { cpu: 2, cpus: 2 }), "{refused}");
}

#[test]
fn more_ranges_than_the_header_can_count() {
    let dir = TempDir::new().unwrap();
    for count in [0xfffd, 0xfffe, 0xffff, 70_000_u64] {
        let path = dir.path().join("many");
        let ranges = (0..count).map(|index| HELD(index * 16, 8));
        let writer = CoreWriter::new().note(b"A", 1, b"").ranges(ranges);
        let fill = |address: u64, into: &mut [u8]| {
            into.fill((address >> 4) as u8 | 1);
            Ok(())
        };
        writer.write(&path, &Filled(fill)).unwrap().commit().unwrap();
        let image = reopen(&path);
        assert_eq!((image.ranges().len() as u64, image.notes().len()), (count, 1));
        assert_eq!(image.lend((count - 1) * 16, 8), Some(&[(count - 1) as u8 | 1; 8][..]));
        let header = fs::read(&path).unwrap();
        assert_eq!(header[56..58] == [0xff; 2], count >= 0xfffe);
    }
}

#[test]
fn an_image_without_cpus_becomes_a_core_without_notes() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("out");
    let raw = Image::from_bytes("raw", vec![1; 16], &OpenOptions::new()).unwrap();
    CoreWriter::like(&raw).ranges(raw.ranges()).write(&path, &raw).unwrap().commit().unwrap();
    let written = reopen(&path);
    assert_eq!((written.notes().len(), written.machine()), (0, Some(62)));
    assert_eq!(written.lend(0, 16), Some(&[1; 16][..]));
}

#[test]
fn raw_files_have_holes() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("raw");
    let mut memory = vec![0; 8 << 20];
    memory[5 << 20] = 7;
    let ranges = [HELD(1 << 32, 16), MemoryRange::partly_held(0x0100_0000, 0x2000, 0), HELD(0, 8 << 20)];
    let fill = |address: u64, into: &mut [u8]| {
        let start = (address & 0xffff_ffff) as usize;
        into.copy_from_slice(&memory[start..start + into.len()]);
        Ok(())
    };
    RawWriter::new().ranges(ranges).write(&path, &Filled(fill)).unwrap().commit().unwrap();
    let image = reopen(&path);
    assert_eq!((image.format(), image.memory_bytes()), (Format::Raw, (1 << 32) + 16));
    assert_eq!(image.lend(0, 8 << 20), Some(&memory[..]));
    assert_eq!(image.read_entry((1 << 32) + 8, 8), Ok(0));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert!(fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20);
    }
}

#[test]
fn whatever_fails_the_old_file_stays() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("out");
    fs::write(&path, "old").unwrap();
    let old = |entries_now: usize| {
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(entries(dir.path()), entries_now);
    };
    let core = CoreWriter::new().ranges([HELD(0, 4 << 20)]);
    let failing = |address: u64, into: &mut [u8]| {
        into.fill(1);
        if address < 3 << 20 { Ok(()) } else { Err(Unreadable::Failed) }
    };
    let raw = RawWriter::new().ranges([HELD(0, 4 << 20)]);
    let failing = Filled(failing);
    for error in [core.write(&path, &failing).unwrap_err(), raw.write(&path, &failing).unwrap_err()] {
        assert!(matches!(error, WriteError::Memory { address: 0x30_0000, last: 0x3f_ffff, .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
        old(1);
    }
    // Staged, and dropped.
    let staged = core.write(&path, &vec![7; 4 << 20]).unwrap();
    assert!(staged.temporary_path().parent() == path.parent());
    old(2);
    drop(staged);
    old(1);
    // A file as large as no file system takes.
    let ones = Filled(|_, into: &mut [u8]| {
        into.fill(1);
        Ok(())
    });
    let far = RawWriter::new().range(HELD((1 << 52) - 4096, 4096)).write(&path, &ones);
    if let Err(error) = far {
        assert!(matches!(error, WriteError::Write { .. }), "{error}");
    }
    old(1);
    core.write(&path, &vec![7; 4 << 20]).unwrap().commit().unwrap();
    assert_eq!((entries(dir.path()), reopen(&path).memory_bytes()), (1, 4 << 20));
}

#[test]
fn what_cannot_be_written_is_said() {
    let dir = TempDir::new().unwrap();
    let write = |ranges: &[MemoryRange]| {
        let path = dir.path().join("out");
        CoreWriter::new().ranges(ranges.iter().copied()).write(&path, &vec![0; 64]).map(drop).unwrap_err()
    };
    assert!(matches!(write(&[]), WriteError::Count(0)));
    assert!(matches!(write(&[HELD(5, 0)]), WriteError::Count(0)));
    for range in
        [HELD(1 << 52, 1), HELD(u64::MAX, 2), HELD(1, (1 << 52) - 1 + 1), MemoryRange::partly_held(0, 8, 9)]
    {
        assert!(matches!(write(&[range]), WriteError::Range { .. }), "{range:?}");
    }
    let overlap = write(&[HELD(16, 8), HELD(0, 17)]);
    assert!(matches!(overlap, WriteError::Overlap { start: 16, previous_last: 16 }), "{overlap}");
    let outside = write(&[HELD(0, 65)]);
    assert!(matches!(outside, WriteError::Memory { address: 0, last: 64, .. }), "{outside}");

    let one = CoreWriter::new().range(HELD(0, 1));
    let missing = one.write(dir.path().join("no folder/out"), &vec![0; 1]).unwrap_err();
    assert!(matches!(missing, WriteError::Create { .. }), "{missing}");
    let folder = one.write(dir.path(), &vec![0; 1]).unwrap_err();
    assert!(matches!(folder, WriteError::NotAFile { .. }), "{folder}");
    #[cfg(unix)]
    {
        // Written beside and renamed, this would replace the device.
        let device = one.write("/dev/null", &vec![0; 1]).unwrap_err();
        assert!(matches!(device, WriteError::NotAFile { .. }), "{device}");
    }
    assert_eq!(entries(dir.path()), 0);
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_what_it_points_at_is_replaced() {
    let dir = TempDir::new().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    CoreWriter::new().range(HELD(0, 16)).write(&link, &vec![7; 16]).unwrap().commit().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(reopen(&target).lend(0, 16), Some(&[7; 16][..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any layout, as a core: the same ranges and bytes. As a raw file: the bytes, and zeros elsewhere.
    #[test]
    fn layouts_come_back(
        gaps in prop::collection::vec((0_u64..9000, 1_u64..9000, 0_u64..9000, any::<bool>()), 1..8),
        swap: bool,
    ) {
        let (mut ranges, mut at) = (Vec::new(), 0);
        let mut memory = Vec::new();
        for (gap, len, held, zero) in gaps {
            at += gap;
            ranges.push(MemoryRange::partly_held(at, len, held.min(len)));
            memory.resize(at as usize, 0xaa);
            memory.extend((at..at + len).map(|byte| if zero { 0 } else { (byte / 3) as u8 }));
            at += len;
        }
        let sorted = ranges.clone();
        if swap {
            ranges.reverse();
        }
        let dir = TempDir::new().unwrap();
        let (core, raw) = (dir.path().join("core"), dir.path().join("raw"));
        CoreWriter::new().ranges(ranges.clone()).write(&core, &memory).unwrap().commit().unwrap();
        RawWriter::new().ranges(ranges).write(&raw, &memory).unwrap().commit().unwrap();
        let (core, raw) = (reopen(&core), reopen(&raw));
        prop_assert_eq!(raw.memory_bytes(), at);
        prop_assert_eq!(core.memory_bytes(), sorted.iter().map(|range| range.len).sum::<u64>());
        for range in sorted {
            let expected = &memory[range.start as usize..(range.start + range.held) as usize];
            for image in [&core, &raw] {
                let mut bytes = vec![0xee; expected.len()];
                image.read(range.start, &mut bytes).unwrap();
                prop_assert!(bytes == expected);
            }
            if range.held < range.len {
                let mut byte = [0xee];
                prop_assert_eq!(core.read(range.start + range.held, &mut byte), Err(Unreadable::NotHeld));
                prop_assert_eq!(raw.read(range.start + range.held, &mut byte).map(|()| byte), Ok([0]));
            }
        }
    }
}
