//! xz and zstd: several streams and frames, limits, damage.

use lzma_rust2::{XzOptions, XzWriter};
use pt_core::Memory;
use pt_image::{Compression, Error, Image, OpenOptions};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::fs;
use std::io::Write;
use std::num::NonZeroU64;

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut options = XzOptions::with_preset(1);
    // Several blocks per stream.
    options.set_block_size(NonZeroU64::new(1 << 16));
    let mut writer = XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// 300,000 bytes that compress, but not to nothing.
fn memory() -> Vec<u8> {
    (0..300_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x0f).collect()
}

fn open(bytes: Vec<u8>, limit: u64) -> Result<Image, Error> {
    Image::from_bytes("test", bytes, &OpenOptions::new().decode_limit(limit))
}

fn content(image: &Image) -> &[u8] {
    image.lend(0, image.held_bytes() as usize).unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;
const BOTH: [(Compress, Compression); 2] = [(xz, Compression::Xz), (zstd, Compression::Zstd)];

#[test]
fn from_bytes_and_from_a_file_alike() {
    for (compress, compression) in BOTH {
        let (plain, packed) = (memory(), compress(&memory()));
        assert!(packed.len() < plain.len());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, &packed).unwrap();
        for image in [open(packed, 300_000).unwrap(), Image::open(&path, &OpenOptions::new()).unwrap()] {
            assert_eq!(image.compression(), Some(compression));
            assert!(!image.is_mapped());
            assert!(content(&image) == plain);
        }
    }
}

#[test]
fn streams_and_frames_follow_each_other() {
    let plain = memory();
    let (first, second) = plain.split_at(123_457);
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], &[9; 5]].concat();
    for packed in [
        [xz(first), xz(second)].concat(),
        [xz(first), vec![0; 8], xz(&[]), xz(second), vec![0; 4]].concat(),
        [zstd(first), zstd(second)].concat(),
        [zstd(first), skippable.clone(), zstd(&[]), zstd(second), skippable].concat(),
    ] {
        assert!(content(&open(packed, u64::MAX).unwrap()) == plain);
    }
}

#[test]
fn the_limit_is_exact_and_named() {
    for (compress, compression) in BOTH {
        let packed = compress(&memory());
        for limit in [0, 1, 65_536, 299_999] {
            let error = open(packed.clone(), limit).unwrap_err();
            assert!(matches!(error, Error::Limit { limit: named, .. } if named == limit), "{error}");
            let message = error.to_string();
            assert!(message.contains(&format!("{limit} bytes")), "{message}");
            assert!(message.contains(&compression.to_string()), "{message}");
        }
        assert!(open(packed, 300_000).is_ok());
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    for (compress, _) in BOTH {
        let packed = compress(&vec![0; 32 << 20]);
        assert!(packed.len() < 64 << 10);
        assert!(matches!(open(packed, 1 << 20), Err(Error::Limit { .. })));
    }
}

#[test]
fn nothing_compressed_is_empty() {
    for (compress, _) in BOTH {
        assert!(matches!(open(compress(&[]), u64::MAX), Err(Error::Empty { .. })));
    }
}

#[test]
fn cut_or_damaged_data_is_an_error() {
    for (compress, kind) in BOTH {
        let packed = compress(&memory()[..4000]);
        // From the magic on; shorter than that it is raw memory of a few bytes.
        for len in 6..packed.len() {
            match open(packed[..len].to_vec(), u64::MAX) {
                Err(Error::Decode { compression, .. }) => assert_eq!(compression, kind),
                other => panic!("{len}: {other:?}"),
            }
        }
        if kind == Compression::Xz {
            let cut = open(packed[..packed.len() - 1].to_vec(), u64::MAX).unwrap_err().to_string();
            assert!(cut.ends_with("it ends early"), "{cut}");
        }
        let mut damaged = packed.clone();
        damaged[packed.len() / 2] ^= 0x10;
        let error = open(damaged, u64::MAX).unwrap_err();
        assert!(matches!(error, Error::Decode { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
        let trailing = [packed, b"trailing".to_vec()].concat();
        assert!(matches!(open(trailing, u64::MAX), Err(Error::Decode { .. })));
    }
}

#[test]
fn claimed_sizes_are_not_believed() {
    // A zstd frame that announces 2^60 bytes, in a window of 2^27, and ends.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0xc0, 17 << 3, 0, 0, 0, 0, 0, 0, 0, 0x10];
    assert!(matches!(open(frame.to_vec(), u64::MAX), Err(Error::Decode { decoded: 0, .. })));
    // One whose window is larger than is ever needed to read what tools write by default.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 31 << 3, 1, 0, 0];
    let error = open(window.to_vec(), u64::MAX).unwrap_err();
    assert!(matches!(error, Error::Decode { decoded: 0, .. }), "{error}");
}

/// Two frames with checksums, as the `zstd` tool 1.5 writes them at levels 3 and 19.
const ZSTD_TOOL: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x1b, 0xd9, 0x00, 0x00, 0x67, 0x75, 0x65, 0x73, 0x74, 0x20, 0x6d, 0x65,
    0x6d, 0x6f, 0x72, 0x79, 0x2c, 0x20, 0x66, 0x69, 0x72, 0x73, 0x74, 0x20, 0x66, 0x72, 0x61, 0x6d, 0x65,
    0x2e, 0x20, 0x5b, 0xb3, 0xcd, 0xf3, 0x28, 0xb5, 0x2f, 0xfd, 0x64, 0x2c, 0x00, 0x9d, 0x00, 0x00, 0x60,
    0x70, 0x61, 0x67, 0x65, 0x20, 0x74, 0x61, 0x62, 0x6c, 0x65, 0x20, 0x0a, 0x01, 0x00, 0x1d, 0x57, 0x4b,
    0x12, 0x48, 0x8c, 0x48, 0x52,
];

#[test]
fn the_tools_own_frames_are_read() {
    let image = open(ZSTD_TOOL.to_vec(), 327).unwrap();
    let (first, second) = content(&image).split_at(27);
    assert_eq!(first, b"guest memory, first frame. ");
    assert!(second.iter().eq(b"page table \n".iter().cycle().take(300)));
    let mut damaged = ZSTD_TOOL.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(open(damaged, 327).unwrap_err().to_string().contains("checksum"));
}

#[test]
fn frame_checksums_are_compared() {
    let mut packed = zstd(&memory()[..4000]);
    // The encoder sets the checksum flag of the frame header; its four bytes end the frame.
    assert_ne!(packed[4] & 0x04, 0);
    let last = packed.len() - 1;
    packed[last] ^= 1;
    let error = open(packed, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}
