//! Whatever the bytes: a value or an error, never a panic, and every read of an accepted image agrees with a model.

use crate::core_file::{CoreFile, Load, open, qemu_cpu};
use lzma_rust2::{XzOptions, XzWriter};
use proptest::prelude::*;
use pt_core::{Memory, Unreadable};
use pt_image::{Error, Format, Image, OpenOptions};
use std::io::Write;

/// A small core with all that a core can have.
fn small(class64: bool) -> CoreFile {
    let core = if class64 { CoreFile::new64([]) } else { CoreFile::new32([]) };
    let mut core = core
        .note(b"CORE\0", 1, [0; 36])
        .note(b"CORE\0", 1, [0; 36])
        .note(b"QEMU\0", 0, qemu_cpu(440, 0x00a0_9b00, 0x8005_0033, 0x1000, 0x20))
        .note(b"QEMU\0", 0, qemu_cpu(432, 0x00a0_9b00, 0x8005_0033, 0x2000, 0x20))
        .note(b"VMCOREINFO\0", 0, *b"PAGESIZE=4096\n");
    core.loads = vec![
        Load::new(0x2000, (0..48).collect::<Vec<u8>>()),
        Load::filtered(0x3000, 0x1000),
        Load::new(0x1000, [7; 32]).len(0x100),
        Load::new(0x1100, [8; 32]),
    ];
    core
}

/// Uses all that an image offers.
pub(crate) fn exercise(image: &Image) {
    let _ = format!("{image:?}");
    for cpu in image.cpus() {
        let _ = (cpu.mode(), cpu.control_registers());
    }
    assert_eq!(image.notes().filter(pt_image::Note::is_prstatus).count(), image.prstatus_count());
    assert!(image.held_bytes() <= image.memory_bytes());
    let mut previous_end = 0;
    for range in image.ranges() {
        assert!(range.start >= previous_end && range.len > 0 && range.held <= range.len);
        previous_end = range.start + range.len;
        for address in [range.start, range.start + range.held, previous_end].map(|end| end.saturating_sub(4))
        {
            let mut read = [0; 8];
            if image.read(address, &mut read).is_ok() {
                if let Some(lent) = image.lend(address, 8) {
                    assert_eq!(lent, read);
                }
            } else {
                assert_eq!(image.lend(address, 8), None);
            }
        }
    }
}

#[track_caller]
pub(crate) fn clear(error: &Error) {
    let message = error.to_string();
    assert!(message.starts_with("\"test\": ") && !message.contains('\n'), "{message}");
}

#[test]
fn truncated_at_every_byte() {
    for class64 in [true, false] {
        let file = small(class64).build();
        for len in 0..file.len() {
            match open(file[..len].to_vec()) {
                // Too short to be recognised.
                Ok(image) => assert!(len < 4 && image.format() == Format::Raw, "{len}"),
                Err(error) => clear(&error),
            }
        }
        exercise(&open(file).unwrap());
    }
}

#[test]
fn every_byte_of_the_headers_changed() {
    for class64 in [true, false] {
        let file = small(class64).build();
        for at in 0..file.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff, file[at] ^ 0x04] {
                let mut file = file.clone();
                file[at] = value;
                match open(file) {
                    Ok(image) => exercise(&image),
                    Err(error) => clear(&error),
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn mutated_cores(
        class64: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 1_usize..=8), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = small(class64).build();
        for (at, value, len) in edits {
            // Rather in the headers than in the notes.
            let at = at.index(file.len() / 2 * 2) % if len & 1 == 0 { 400 } else { file.len() };
            let end = (at + len).min(file.len());
            file[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        match open(file) {
            Ok(image) => exercise(&image),
            Err(error) => clear(&error),
        }
    }

    #[test]
    fn any_bytes_after_a_magic(
        magic in prop::sample::select(vec![&b"\x7fELF\x02\x01\x01"[..], b"\x7fELF\x01\x01\x01", b"\xfd7zXZ\0\0\x04", b"\x28\xb5\x2f\xfd", b""]),
        rest in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let options = OpenOptions::new().decode_limit(1 << 20);
        match Image::from_bytes("test", [magic, &rest].concat(), &options) {
            Ok(image) => exercise(&image),
            Err(error) => clear(&error),
        }
    }

    #[test]
    fn mutated_compressed_cores(
        use_xz: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let plain = small(true).build();
        let mut file = if use_xz {
            let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
            writer.write_all(&plain).unwrap();
            writer.finish().unwrap()
        } else {
            ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest)
        };
        for (at, value) in edits {
            let at = at.index(file.len());
            file[at] = value;
        }
        match Image::from_bytes("test", file, &OpenOptions::new().decode_limit(1 << 20)) {
            Ok(image) => exercise(&image),
            Err(error) => clear(&error),
        }
    }

    /// Layouts in any order, with holes, neighbours and bytes that are not held, against a lookup byte by byte.
    #[test]
    fn reads_agree_with_a_model(
        class64: bool,
        gaps in prop::collection::vec((0_u64..3, 1_u64..24, 0_u64..24), 1..12),
        order: u64,
        reads in prop::collection::vec((0_u64..400, 0_usize..80), 32),
    ) {
        let mut model = vec![Err(Unreadable::Outside); 512];
        let mut loads = Vec::new();
        let mut at = 0;
        for (gap, len, held) in gaps {
            let held = held.min(len);
            at += gap * 3;
            let bytes: Vec<u8> = (0..held).map(|byte| (at * 31 + byte * 7) as u8).collect();
            for byte in 0..len {
                model[(at + byte) as usize] = bytes.get(byte as usize).copied().ok_or(Unreadable::NotHeld);
            }
            loads.push(Load::new(at, bytes).len(len));
            at += len;
        }
        let middle = order as usize % loads.len();
        loads.rotate_left(middle);
        if order & 1 == 1 {
            loads.reverse();
        }
        let core = if class64 { CoreFile::new64(loads) } else { CoreFile::new32(loads) };
        let image = core.open().unwrap();
        exercise(&image);
        for (address, len) in reads {
            let expected: Result<Vec<u8>, _> = model[address as usize..address as usize + len].iter().copied().collect();
            let mut bytes = vec![0; len];
            let read = image.read(address, &mut bytes).map(|()| bytes);
            prop_assert_eq!(&read, &expected);
            if let Some(lent) = image.lend(address, len) {
                prop_assert_eq!(Ok(lent.to_vec()), expected);
            }
            let next = model.iter().skip(address as usize).position(Result::is_ok);
            prop_assert_eq!(image.next_readable(address), next.map(|after| address + after as u64));
        }
    }
}
