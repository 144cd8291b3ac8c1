//! kdump-compressed dumps: a small dump of every kind, changed where it matters; flattened, in parts, or any bytes.

use std::sync::OnceLock;

use pt_image::{Format, Image};

use crate::choices::Choices;
use crate::files::Nameless;
use crate::image::{options, reads};

const PAGE: usize = 4096;
/// How many pages a dump describes, and where the descriptors of those that are held start.
const PAGES: usize = 24;
const DESCRIPTORS: usize = 4 * PAGE;

/// The input is which dump, what to do with it, and changes: where, and what is there instead.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let kind = choices.byte();
    let options = options().format(Format::Kdump);
    if kind & 0x3f == 0 {
        return opened(Image::from_bytes("fuzz", [b"KDUMP   ", choices.rest()].concat(), &options));
    }
    static DUMPS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let dumps = DUMPS.get_or_init(|| (0..16).map(|kind| dump(kind & 1 == 0, kind >> 1)).collect());
    let mut file = dumps[usize::from(kind & 15)].clone();
    let split = kind & 0xf0 == 0xf0;
    changed(&mut file, &mut choices, if split { 2 } else { 32 });
    if split {
        let mut other = file.clone();
        changed(&mut other, &mut choices, 32);
        return parts(&[file, other]);
    }
    if kind & 0xc0 == 0x80 {
        file = flattened(&file, &mut choices);
    }
    opened(Image::from_bytes("fuzz", file, &options));
}

fn opened(opened: Result<Image, pt_image::Error>) {
    match opened {
        Ok(image) => reads(&image, 2),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}

fn parts(files: &[Vec<u8>; 2]) {
    static PARTS: OnceLock<[Nameless; 2]> = OnceLock::new();
    let parts = PARTS.get_or_init(|| [(); 2].map(|()| Nameless::new(&[])));
    for (part, file) in parts.iter().zip(files) {
        part.write(file);
    }
    let paths = parts.each_ref().map(Nameless::path);
    // Read and not mapped: the files are written again and again.
    opened(Image::open_parts(&paths, &options().map(false)));
}

/// Changes at most so many fields.
fn changed(file: &mut [u8], choices: &mut Choices<'_>, most: usize) {
    for _ in 0..most {
        if choices.is_empty() {
            return;
        }
        let (region, at) = (choices.byte(), usize::from(choices.byte()));
        let at = match region & 7 {
            // The header, from where the block size is in the narrower form; the sub-header.
            0 | 1 => 408 + at % 40,
            2 => PAGE + at % 112,
            3 => [0, 8, 272][at % 3],
            4 => 2 * PAGE + at % 4,
            5 => 3 * PAGE + at % 4,
            6 => DESCRIPTORS + at,
            _ => DESCRIPTORS + 256 + at * 3,
        };
        let width = [1, 2, 4, 8][usize::from(region >> 3 & 3)];
        let value = choices.edge().to_le_bytes();
        if let Some(place) = file.get_mut(at..at + width) {
            place.copy_from_slice(&value[..width]);
        }
    }
}

/// Records of the file in its flattened form, and some that lie.
fn flattened(file: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut flat = b"makedumpfile\0\0\0\0".to_vec();
    flat.extend([1_i64, 1].iter().flat_map(|number| number.to_be_bytes()));
    flat.resize(PAGE, 0);
    let mut record = |at: u64, len: u64, bytes: &[u8]| {
        flat.extend(at.to_be_bytes().into_iter().chain(len.to_be_bytes()));
        flat.extend(bytes);
    };
    for (index, bytes) in file.chunks(3 * PAGE).enumerate() {
        record((index * 3 * PAGE) as u64, bytes.len() as u64, bytes);
    }
    for _ in 0..choices.below(4) {
        let (at, bytes) = (choices.edge(), choices.bytes(8));
        let len = if choices.byte() & 7 == 0 { choices.edge() } else { bytes.len() as u64 };
        record(at, len, bytes);
    }
    if choices.byte() & 15 != 15 {
        record(u64::MAX, u64::MAX, &[]);
    }
    flat
}

/// A dump with one page compressed in each way and two that are not, in each width and version.
fn dump(wide: bool, version: u32) -> Vec<u8> {
    let mut file = vec![0; DESCRIPTORS];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDUMP   ");
    put(8, &version.to_le_bytes());
    let fields = if wide { 424 } else { 412 };
    for (index, value) in [1, PAGE as u32, 1, 2, PAGES as u32].into_iter().enumerate() {
        put(fields + 4 * index, &value.to_le_bytes());
    }
    put(PAGE + if wide { 96 } else { 72 }, &(PAGES as u64).to_le_bytes());
    // Of the pages, those of the third byte do not exist, and some of the second are not held.
    put(2 * PAGE, &[0xff, 0xff, 0]);
    put(3 * PAGE, &[0x3f, 0, 0]);
    let (lzo, snappy) = (lzo(), snappy());
    let pages: [(u32, &[u8]); 6] =
        [(0, &[7; PAGE]), (1, ZLIB), (2, &lzo), (4, &snappy), (0x20, ZSTD), (0, &[9; 16])];
    let mut data = DESCRIPTORS + 256;
    for (flag, bytes) in pages {
        file.extend((data as u64).to_le_bytes());
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend(flag.to_le_bytes());
        file.extend([0; 8]);
        data += bytes.len();
    }
    file.resize(DESCRIPTORS + 256, 0);
    // What is not compressed comes last, so that the others are near each other.
    let (plain, packed) = (pages[0].1, &pages[1..]);
    let start = (data - plain.len()) as u64;
    file[DESCRIPTORS..DESCRIPTORS + 8].copy_from_slice(&start.to_le_bytes());
    let mut at = DESCRIPTORS + 256;
    for (index, (_, bytes)) in packed.iter().enumerate() {
        let descriptor = DESCRIPTORS + 24 * (index + 1);
        file[descriptor..descriptor + 8].copy_from_slice(&(at as u64).to_le_bytes());
        file.extend(*bytes);
        at += bytes.len();
    }
    file.extend(plain);
    file
}

/// A page of sevens: 19 literals, and a match for the rest.
fn lzo() -> Vec<u8> {
    let extended = |opcode: u8, len: usize| {
        [vec![opcode], vec![0; (len - 1) / 255], vec![((len - 1) % 255 + 1) as u8]].concat()
    };
    [extended(0x00, 1), vec![7; 19], extended(0x20, PAGE - 19 - 33), vec![0, 0, 0x11, 0, 0]].concat()
}

/// A page of sevens: one literal, and copies of what is one byte before.
fn snappy() -> Vec<u8> {
    let copies = (0..63).flat_map(|_| [0xfe, 1, 0]).chain([0xfa, 1, 0]);
    [0x80, 0x20, 0x00, 7].into_iter().chain(copies).collect()
}

/// A page that begins with words and goes on with zeros, as zlib has it, and as zstd has it.
const ZLIB: &[u8] = &[
    0x78, 0xda, 0xed, 0xcb, 0xd1, 0x09, 0xc0, 0x20, 0x14, 0x43, 0x51, 0x47, 0x79, 0x03, 0x48, 0x17, 0xe8,
    0x1a, 0x2e, 0x60, 0x41, 0x41, 0x14, 0x05, 0x75, 0x7f, 0x8a, 0xb5, 0xe0, 0x02, 0xfa, 0x77, 0xcf, 0x57,
    0x48, 0x88, 0xb1, 0x4f, 0x72, 0x4d, 0x8b, 0xcb, 0xbd, 0x86, 0x11, 0x52, 0xc8, 0xb1, 0xdd, 0xd2, 0xbf,
    0x5e, 0x8a, 0x5f, 0xcb, 0x1f, 0x46, 0x37, 0xd7, 0x4b, 0xcc, 0xa1, 0xb7, 0x02, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x1b, 0xbd, 0x84, 0x26, 0x35, 0x6d,
];
const ZSTD: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 0x9d, 0x01, 0x00, 0xd8, 0x54, 0x61, 0x62, 0x6c, 0x65, 0x73, 0x2c,
    0x20, 0x65, 0x6e, 0x74, 0x72, 0x69, 0x6c, 0x69, 0x6e, 0x6b, 0x73, 0x3b, 0x20, 0x74, 0x20, 0x6f, 0x66,
    0x2e, 0x20, 0x00, 0x08, 0x00, 0x66, 0xc7, 0x7d, 0x51, 0x41, 0x98, 0x18, 0x54, 0xc6, 0xcd, 0x06, 0xae,
    0x00, 0x3d, 0x77, 0xec, 0x6c, 0x8e, 0x6b, 0xf9, 0x02,
];
