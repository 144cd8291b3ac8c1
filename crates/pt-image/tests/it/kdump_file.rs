//! A builder of kdump-compressed dumps, from the format's description, in both widths.

use miniz_oxide::deflate::compress_to_vec_zlib;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) const PAGE: usize = 4096;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Plain,
    Zlib,
    Lzo,
    Snappy,
    Zstd,
}

pub(crate) const METHODS: [Method; 5] =
    [Method::Plain, Method::Zlib, Method::Lzo, Method::Snappy, Method::Zstd];

impl Method {
    fn flag(self) -> u32 {
        [0, 1, 2, 4, 0x20][self as usize]
    }

    fn compress(self, page: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => page.to_vec(),
            Self::Zlib => compress_to_vec_zlib(page, 6),
            Self::Lzo => lzo(page),
            Self::Snappy => snap::raw::Encoder::new().compress_vec(page).unwrap(),
            Self::Zstd => compress_to_vec(page, CompressionLevel::Fastest),
        }
    }
}

/// All of it as literals; or, where it is one byte again and again, 19 literals and a match for the rest.
fn lzo(page: &[u8]) -> Vec<u8> {
    let extended = |opcode: u8, len: usize| {
        [vec![opcode], vec![0; (len - 1) / 255], vec![((len - 1) % 255 + 1) as u8]].concat()
    };
    let repeats = page.iter().all(|byte| *byte == page[0]);
    let literals = if repeats { 19 } else { page.len() };
    let mut stream = extended(0x00, literals - 18);
    stream.extend(&page[..literals]);
    if repeats {
        stream.extend(extended(0x20, page.len() - literals - 33));
        stream.extend([0, 0]);
    }
    stream.extend([0x11, 0, 0]);
    stream
}

/// A dump to build.
#[derive(Clone, Debug)]
pub(crate) struct KdumpFile {
    pub(crate) wide: bool,
    pub(crate) version: u32,
    pub(crate) method: Method,
    /// The pages that exist, with their content if they are held.
    pub(crate) pages: BTreeMap<u64, Option<Vec<u8>>>,
    pub(crate) notes: Vec<u8>,
    /// The pages of this part, if the dump is split.
    pub(crate) part: Option<Range<u64>>,
}

impl KdumpFile {
    pub(crate) fn new(pages: impl IntoIterator<Item = (u64, Option<Vec<u8>>)>) -> Self {
        Self {
            wide: true,
            version: 6,
            method: Method::Zlib,
            pages: pages.into_iter().collect(),
            notes: Vec::new(),
            part: None,
        }
    }

    pub(crate) fn max_page(&self) -> u64 {
        self.pages.last_key_value().map_or(0, |(&page, _)| page + 1)
    }

    /// Where the descriptors start.
    pub(crate) fn descriptors(&self) -> usize {
        (2 + 2 * self.half_blocks()) * PAGE
    }

    fn half_blocks(&self) -> usize {
        (self.max_page().div_ceil(8) as usize).div_ceil(PAGE)
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = vec![0; self.descriptors()];
        let half = self.half_blocks();
        file[..8].copy_from_slice(b"KDUMP   ");
        let (status, max) = (self.method.flag(), self.max_page());
        let put =
            |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        let base = if self.wide { 424 } else { 412 };
        put(&mut file, 8, &self.version.to_le_bytes());
        for (index, value) in [status, 4096, 1, 2 * half as u32, max as u32].into_iter().enumerate() {
            put(&mut file, base + 4 * index, &value.to_le_bytes());
        }
        let pick = |wide, narrow| PAGE + if self.wide { wide } else { narrow };
        if let Some(part) = &self.part {
            put(&mut file, pick(12, 8), &1_u32.to_le_bytes());
            if self.version >= 6 {
                put(&mut file, pick(80, 56), &part.start.to_le_bytes());
                put(&mut file, pick(88, 64), &part.end.to_le_bytes());
            } else {
                put(&mut file, pick(16, 12), &(part.start as u32).to_le_bytes());
                put(&mut file, pick(24, 16), &(part.end as u32).to_le_bytes());
            }
        }
        if self.version >= 6 {
            put(&mut file, pick(96, 72), &max.to_le_bytes());
        }
        for (&page, held) in &self.pages {
            let at = 2 * PAGE + (page / 8) as usize;
            file[at] |= 1 << (page % 8);
            file[at + half * PAGE] |= if held.is_some() { 1 << (page % 8) } else { 0 };
        }
        let part = self.part.clone().unwrap_or(0..max);
        let held: Vec<&Vec<u8>> = self.pages.range(part).filter_map(|(_, held)| held.as_ref()).collect();
        let mut data = Vec::new();
        let data_at = file.len() + 24 * held.len() + self.notes.len();
        for page in held {
            let packed = self.method.compress(page);
            let (packed, flag) =
                if packed.len() < PAGE { (packed, self.method.flag()) } else { (page.clone(), 0) };
            file.extend(((data_at + data.len()) as u64).to_le_bytes());
            file.extend((packed.len() as u32).to_le_bytes());
            file.extend(flag.to_le_bytes());
            file.extend(0_u64.to_le_bytes());
            data.extend(packed);
        }
        if self.version >= 4 && !self.notes.is_empty() {
            let notes_at = file.len() as u64;
            put(&mut file, pick(48, 32), &notes_at.to_le_bytes());
            put(&mut file, pick(56, 40), &(self.notes.len() as u32).to_le_bytes());
        }
        file.extend(&self.notes);
        file.extend(data);
        file
    }
}

/// The flattened form of `file`: records of `size` bytes, the first of them once more at the end, as its writer does.
pub(crate) fn flatten(file: &[u8], size: usize) -> Vec<u8> {
    let mut flat = b"makedumpfile\0\0\0\0".to_vec();
    flat.extend([1_i64, 1].iter().flat_map(|number| number.to_be_bytes()));
    flat.resize(PAGE, 0);
    let mut record = |at: u64, len: u64, bytes: &[u8]| {
        flat.extend(at.to_be_bytes());
        flat.extend(len.to_be_bytes());
        flat.extend(bytes);
    };
    let mut zeros = vec![0; size.min(file.len())];
    zeros[0] = 1;
    record(0, zeros.len() as u64, &zeros);
    for (index, bytes) in file.chunks(size).enumerate().skip(1) {
        record((index * size) as u64, bytes.len() as u64, bytes);
    }
    record(0, zeros.len() as u64, &file[..zeros.len()]);
    record(u64::MAX, u64::MAX, &[]);
    flat
}
