//! What holds of every image, whatever its format: its reads agree with each other and with what is known of the file.

use pt_core::{Memory, Unreadable};
use pt_image::{Error, Image, MemoryRange, OpenOptions};

/// More than this is not decoded.
pub(crate) const LIMIT: u64 = 1 << 16;

/// How images are opened here.
pub(crate) fn options() -> OpenOptions {
    OpenOptions::new().decode_limit(LIMIT)
}

/// A stretch of memory that an image must have: its address, its length, and what of it is held.
pub(crate) type Stretch<'a> = (u64, u64, &'a [u8]);

/// An image that is as `known` says, or an error of one line.
pub(crate) fn check<'a>(
    opened: Result<Image, Error>,
    known: impl FnOnce(&Image) -> Option<Vec<Stretch<'a>>>,
) {
    let image = match opened {
        Ok(image) => image,
        Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
    };
    reads(&image, 8);
    let Some(mut known) = known(&image) else { return };
    known.retain(|&(_, len, _)| len > 0);
    assert_eq!(image.memory_bytes(), known.iter().map(|known| known.1).sum::<u64>());
    for (start, len, held) in known {
        let mut read = [0; 16];
        for at in [0, held.len() / 2, held.len().saturating_sub(16)] {
            let expected = &held[at..held.len().min(at + 16)];
            let read = &mut read[..expected.len()];
            assert_eq!(image.read(start + at as u64, read), Ok(()));
            assert_eq!(read, expected);
        }
        if len > held.len() as u64 {
            let first_missing = start + held.len() as u64;
            assert_eq!(image.read(first_missing, &mut read[..1]), Err(Unreadable::NotHeld));
        }
    }
}

/// Ranges ascend and reads agree with each other, at both ends of the first ranges.
pub(crate) fn reads(image: &Image, ranges: usize) {
    for cpu in image.cpus() {
        let _ = (cpu.mode(), cpu.control_registers());
    }
    assert_eq!(image.notes().filter(|note| note.is_prstatus()).count(), image.prstatus_count());
    assert!(image.content_ranges().is_sorted_by(|one, other| one.end() < other.start()));
    assert!(image.held_bytes() <= image.memory_bytes());
    assert_eq!(image.ranges().count(), image.ranges().len());
    let mut end = 0;
    for MemoryRange { start, len, held, .. } in image.ranges().take(ranges) {
        assert!(start >= end && len > 0 && held <= len);
        end = start + len;
        let next = image.next_readable(start);
        assert!(next == Some(start) || held == 0 && next.is_none_or(|next| next >= end));
        for address in [start, start + held, end].map(|at| at.saturating_sub(4)) {
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
    for address in [u64::MAX, u64::MAX - 15] {
        assert_eq!(image.read(address, &mut [0; 16]), Err(Unreadable::Outside));
        assert_eq!((image.lend(address, 16), image.next_readable(address)), (None, None));
    }
}
