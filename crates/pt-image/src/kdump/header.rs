//! The header and the sub-header.
//!
//! ```text
//! header     64   32     sub-header                  64   32
//! version     8    8     split (version 2)           12    8
//! status    424  412     first, end page (2 to 5)    16   12   words
//! block     428  416     notes: offset u64, size     48   32   (version 4), size is a word
//! sub       432  420     first, end page (version 6) 80   56   u64
//! bitmap    436  424     number of pages (version 6) 96   72   u64
//! pages     440  428
//! ```
//!
//! The numbers are C structures of the machine that wrote the dump, so their places depend on the width of its words, and
//! nothing records that: a header is of the width at which its block size is that of an x86 page. Where both are (a 32-bit
//! dump of 4096 pages, or a 64-bit one taken 4096 microseconds after a full second), the machine's name decides, if there
//! is one.

use super::{Defect, MAGIC, Notes, PAGE_BYTES, PHYSICAL_END};
use crate::error::Checked;
use std::ops::Range;

const DESCRIPTOR: u64 = 24;
/// The name in `struct new_utsname`, at the same place in both.
const MACHINE: usize = 272;
const BLOCK_SIZE_64: u64 = 428;
const BLOCK_SIZE_32: u64 = 416;

/// What the headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// 64 bits wide.
    pub(super) wide: bool,
    /// How many pages the bitmaps are about.
    pub(super) pages: u64,
    /// The pages that this part has descriptors of.
    pub(super) part: Range<u64>,
    notes: Range<u64>,
    /// Where each of the two bitmaps has the bits of all pages. Both are within the file.
    bitmaps: [Range<u64>; 2],
    descriptors: u64,
}

impl Header {
    pub(super) fn parse(file: &[u8]) -> Checked<Self> {
        if !file.starts_with(&MAGIC) {
            return Err((0, Defect::NotKdump));
        }
        let fields = Fields(file);
        let version = fields.u32(8)?;
        let wide = match (fields.u32(BLOCK_SIZE_64)?, fields.u32(BLOCK_SIZE_32)?) {
            (4096, 4096) => file.get(MACHINE..MACHINE + 6) == Some(b"x86_64"),
            (4096, _) => true,
            (_, 4096) => false,
            (found, _) => return Err((BLOCK_SIZE_64, Defect::BlockSize(found))),
        };
        let pick = |wide_at: u64, narrow_at: u64| if wide { wide_at } else { narrow_at };
        let (sub_at, bitmap_at) = (pick(432, 420), pick(436, 424));
        let sub = u64::from(fields.u32(sub_at)?);
        let bitmap_blocks = u64::from(fields.u32(bitmap_at)?);
        // Products of 32-bit numbers with 4096: no overflow.
        let bitmap_start = (1 + sub) * PAGE_BYTES;
        let descriptors = bitmap_start + bitmap_blocks * PAGE_BYTES;

        let sub_field = |wide_at, narrow_at| PAGE_BYTES + pick(wide_at, narrow_at);
        let word = |wide_at, narrow_at| fields.word(wide, sub_field(wide_at, narrow_at));
        let (pages, pages_at) = if version >= 6 {
            let at = sub_field(96, 72);
            (fields.u64(at)?, at)
        } else {
            let at = pick(440, 428);
            (u64::from(fields.u32(at)?), at)
        };
        let limit = PHYSICAL_END / PAGE_BYTES;
        if pages > limit {
            return Err((pages_at, Defect::TooMany { what: "pages", count: pages, limit }));
        }
        let half = (bitmap_blocks / 2) * PAGE_BYTES;
        if pages > half * 8 {
            return Err((bitmap_at, Defect::Bitmap { pages, bits: half * 8 }));
        }
        // A part without pages ends with the second bitmap's last bit: the padding of its block is not written.
        let bitmaps = [bitmap_start, bitmap_start + half].map(|start| start..start + pages.div_ceil(8));
        within("bitmaps", bitmap_start, bitmaps[1].end - bitmap_start, file.len() as u64)
            .map_err(|defect| (bitmap_at, defect))?;
        let split = version >= 2 && fields.u32(sub_field(12, 8))? != 0;
        let part = match (split, version) {
            (false, _) => 0..pages,
            (true, 6..) => fields.u64(sub_field(80, 56))?..fields.u64(sub_field(88, 64))?,
            (true, _) => word(16, 12)?..word(24, 16)?,
        };
        if part.start > part.end || part.end > pages {
            let defect = Defect::PartRange { start: part.start, end: part.end, pages };
            return Err((sub_field(80, 56), defect));
        }
        let mut notes = 0..0;
        if version >= 4 {
            let at = sub_field(48, 32);
            let (start, len) = (fields.u64(at)?, word(56, 40)?);
            if len > 0 {
                within("notes", start, len, file.len() as u64).map_err(|defect| (at, defect))?;
                notes = start..start + len;
            }
        }
        Ok(Self { wide, pages, part, notes, bitmaps, descriptors })
    }

    /// The bitmap of pages that exist, and that of pages that are held.
    pub(super) fn bitmaps<'a>(&self, file: &'a [u8]) -> [&'a [u8]; 2] {
        let bytes = |range: &Range<u64>| file.get(range.start as usize..range.end as usize);
        self.bitmaps.each_ref().map(|range| bytes(range).unwrap_or_default())
    }

    /// Where the descriptors start, if there are any.
    pub(super) fn descriptors(&self) -> u64 {
        self.descriptors
    }

    /// Whether the descriptors of `count` pages are in a file of `len` bytes.
    pub(super) fn check_descriptors(&self, count: u64, len: u64) -> Checked<()> {
        let start = self.descriptors;
        if count == 0 {
            return Ok(());
        }
        within("page descriptors", start, count.saturating_mul(DESCRIPTOR), len)
            .map_err(|defect| (start, defect))
    }

    /// Adds the notes that the header points at.
    pub(super) fn notes(&self, file: &[u8], notes: &mut Notes) -> Checked<()> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let described_at = PAGE_BYTES + if self.wide { 48 } else { 32 };
        notes.add(file, self.notes.start as usize..self.notes.end as usize, described_at)
    }
}

/// The descriptor at `index` after `start`: where the page is, how long, and how it is compressed.
pub(super) fn descriptor(file: &[u8], start: u64, index: u64) -> Option<(Range<usize>, u32)> {
    let fields = Fields(file);
    let at = index.checked_mul(DESCRIPTOR)?.checked_add(start)?;
    let (offset, size, flags) = (fields.u64(at).ok()?, fields.u32(at + 8).ok()?, fields.u32(at + 12).ok()?);
    let start = usize::try_from(offset).ok()?;
    Some((start..start.checked_add(size as usize)?, flags))
}

fn within(what: &'static str, start: u64, len: u64, file: u64) -> Result<(), Defect> {
    match start.checked_add(len) {
        Some(end) if end <= file => Ok(()),
        _ => Err(Defect::Truncated { what, start, len, file }),
    }
}

/// Little-endian numbers at offsets.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: u64) -> Checked<[u8; N]> {
        let from = usize::try_from(at).ok().and_then(|at| self.0.get(at..));
        let defect =
            Defect::Truncated { what: "header", start: at, len: N as u64, file: self.0.len() as u64 };
        from.and_then(|from| from.first_chunk()).copied().ok_or((at, defect))
    }

    fn u32(&self, at: u64) -> Checked<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: u64) -> Checked<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    fn word(&self, wide: bool, at: u64) -> Checked<u64> {
        if wide { self.u64(at) } else { self.u32(at).map(u64::from) }
    }
}
