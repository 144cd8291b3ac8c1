//! Files that are taken for images: an image whose reads agree with each other, or an error of one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pt_core::Memory;
use pt_image::{Format, Image, MemoryRange, OpenOptions};

/// More than this is not decoded.
const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, file)) = bytes.split_first() else { return };
    let options = OpenOptions::new().decode_limit(LIMIT);
    let options = match kind % 8 {
        0 => options.format(Format::Elf),
        1 => options.format(Format::Kdump),
        2 => options.format(Format::Lime),
        3 => {
            options.layout([0x1000..0x2000, 0x10_0000..0x10_0000 + file.len().saturating_sub(0x1000) as u64])
        }
        _ => options,
    };
    match Image::from_bytes("fuzz", file.to_vec(), &options) {
        Ok(image) => check(&image),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
});

fn check(image: &Image) {
    for cpu in image.cpus() {
        let _ = (cpu.mode(), cpu.control_registers());
    }
    assert_eq!(image.notes().filter(|note| note.is_prstatus()).count(), image.prstatus_count());
    let content = image.content_ranges();
    assert!(content.is_sorted_by(|one, other| one.end() < other.start()));
    let mut end = 0;
    for MemoryRange { start, len, held, .. } in image.ranges().take(1 << 10) {
        assert!(start >= end && len > 0 && held <= len);
        end = start + len;
        for address in [start, start + held / 2, start + held, end].map(|at| at.saturating_sub(4)) {
            let (mut whole, mut parts) = ([0; 16], [0; 16]);
            let read = image.read(address, &mut whole);
            let (low, high) = parts.split_at_mut(8);
            let apart = image.read(address, low).and(image.read(address.saturating_add(8), high));
            assert_eq!(read, apart, "{address:#x}");
            assert!(read.is_err() || whole == parts, "{address:#x}");
            if let Some(lent) = image.lend(address, 16) {
                assert_eq!((read, lent), (Ok(()), &whole[..]));
            }
        }
    }
    assert_eq!(image.ranges().count(), image.ranges().len());
}
