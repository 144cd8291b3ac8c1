//! kdump-compressed dumps, as `makedumpfile` and QEMU write them: a bitmap of pages, and each page compressed by itself.
//!
//! ```text
//! block 0          header: 64 or 32 bits wide, which only its shape tells
//! block 1          sub-header: split range, where the notes are, the true number of pages
//! 1 + sub          bitmap of the pages that exist, then, half-way, bitmap of those that are held
//! 1 + sub + bitmap one descriptor per held page, in order        then notes and pages, anywhere
//! ```
//!
//! A dump in parts (`--split`) has both bitmaps in each part, and descriptors of the part's own range only: none at all, if
//! it holds no page of that range. Parts that are missing leave pages that are not held.

mod bitmap;
mod cache;
pub(crate) mod flat;
mod header;
mod page;

use crate::cpu::Hint;
use crate::error::Defect;
use crate::image::{Contents, MemoryRange};
use crate::layout::PHYSICAL_END;
use crate::note::Notes;
use crate::source::Source;
use bitmap::Bits;
use cache::{Cache, PAGE};
use header::Header;
use pt_core::Unreadable;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

pub(crate) const MAGIC: [u8; 8] = *b"KDUMP   ";
const PAGE_BYTES: u64 = PAGE as u64;

/// A fault in the part of that index.
pub(crate) type InPart<T> = Result<T, (usize, (u64, Defect))>;

/// The pages of a dump.
#[derive(Debug)]
pub(crate) struct Pages {
    exists: Bits,
    held: Bits,
    /// In ascending order, without overlap. Every page that is held is in one of them.
    parts: Vec<Part>,
    runs: usize,
    /// Pages cannot be lent, and tables are read entry by entry: without a memory of what was decoded last, each entry
    /// would cost a page.
    cache: Mutex<Cache>,
}

/// The pages whose descriptors one file has.
#[derive(Debug)]
struct Part {
    pages: Range<u64>,
    file: usize,
    /// Where the descriptors start.
    descriptors: u64,
}

/// Reads the headers and bitmaps of all parts of a dump. The notes are in the first file.
pub(crate) fn parse(sources: &[Source]) -> InPart<Contents> {
    let mut headers = Vec::new();
    for (file, source) in sources.iter().enumerate() {
        headers.push(Header::parse(source.bytes()).map_err(|fault| (file, fault))?);
    }
    let (Some(first), Some(source)) = (headers.first(), sources.first()) else {
        return Err((0, (0, Defect::NoMemory)));
    };
    for (file, (header, other)) in headers.iter().zip(sources).enumerate().skip(1) {
        let same = header.bitmaps(other.bytes()) == first.bitmaps(source.bytes());
        if header.pages != first.pages || !same {
            return Err((file, (0, Defect::OtherDump)));
        }
    }
    let pages = Pages::new(&headers, source.bytes())?;
    for part in &pages.parts {
        let count = pages.held_before(part, part.pages.end);
        headers[part.file]
            .check_descriptors(count, sources[part.file].len())
            .map_err(|fault| (part.file, fault))?;
    }
    let mut notes = Notes::default();
    let in_first = |fault| (0, fault);
    first.notes(source.bytes(), &mut notes).map_err(in_first)?;
    let (cpus, prstatus_count) = notes.cpus(source.bytes(), hint(first, &notes, source)).map_err(in_first)?;
    Ok(Contents { memory: pages.into(), notes, cpus, prstatus_count, machine: None })
}

/// What tells whether the first CPU was in long mode. The width of the header does not, where memory goes past 4 GiB.
fn hint(header: &Header, notes: &Notes, source: &Source) -> Hint {
    const PRSTATUS_X86_64: usize = 336;
    const PRSTATUS_I386: usize = 144;
    let prstatus = notes.iter(source.bytes()).map(|(_, note)| note).find(crate::Note::is_prstatus);
    match prstatus.map(|note| note.bytes.len()) {
        Some(PRSTATUS_X86_64) => Hint::FirstOf { x86_64: true },
        Some(PRSTATUS_I386) => Hint::FirstOf { x86_64: false },
        _ if !header.wide => Hint::FirstOf { x86_64: false },
        _ => Hint::Another,
    }
}
