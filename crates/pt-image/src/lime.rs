//! `LiME` dumps: ranges of memory, each after its own header.
//!
//! ```text
//! 0   magic "EMiL", version 1 (u32)      16  address of the last byte (u64)
//! 8   address of the first byte (u64)    24  reserved (u64)                    32  the bytes
//! ```
//!
//! Little-endian throughout. What the module writes with `format=lime`; its `padded` and `raw` have no headers, so they are
//! raw files.

use crate::error::{Checked, Defect};
use crate::image::Contents;
use crate::layout::{Layout, Piece};
use crate::source::Source;

pub(crate) const MAGIC: [u8; 4] = *b"EMiL";
const VERSION: u32 = 1;
const HEADER: usize = 32;

/// Reads all headers.
pub(crate) fn parse(source: &Source) -> Checked<Contents> {
    let file = source.bytes();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let described_at = at as u64;
        let Some(header) = file[at..].first_chunk::<HEADER>() else {
            let len = HEADER as u64;
            let defect =
                Defect::Truncated { what: "header", start: described_at, len, file: file.len() as u64 };
            return Err((described_at, defect));
        };
        let (start, len) = range(header).map_err(|defect| (described_at, defect))?;
        let offset = described_at + HEADER as u64;
        pieces.push(Piece { start, len, held: len, file: 0, offset, described_at });
        // What lies past the end of the file is reported with the pieces.
        at = offset.saturating_add(len).min(file.len() as u64) as usize;
    }
    let memory = Layout::new(pieces, std::slice::from_ref(source))?.into();
    Ok(Contents { memory, ..Contents::default() })
}

/// Where the range starts, and its length.
fn range(header: &[u8; HEADER]) -> Result<(u64, u64), Defect> {
    let (words, _) = header.as_chunks::<4>();
    let (longs, _) = header.as_chunks::<8>();
    if words[0] != MAGIC {
        return Err(Defect::LimeMagic(u32::from_le_bytes(words[0])));
    }
    let version = u32::from_le_bytes(words[1]);
    if version != VERSION {
        return Err(Defect::LimeVersion(version));
    }
    let (start, last) = (u64::from_le_bytes(longs[1]), u64::from_le_bytes(longs[2]));
    let len = last.checked_sub(start).and_then(|len| len.checked_add(1));
    Ok((start, len.ok_or(Defect::LimeRange { start, last })?))
}
