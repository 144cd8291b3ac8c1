//! Pages: found through bitmaps and descriptors, decoded, remembered.

use super::bitmap::{self, Bits};
use super::cache::PAGE;
use super::header::{Header, descriptor};
use super::{Defect, InPart, MemoryRange, Mutex, PAGE_BYTES, Pages, Part, PoisonError, Source, Unreadable};
use ruzstd::decoding::FrameDecoder;

const ZLIB: u32 = 1;
const LZO: u32 = 2;
const SNAPPY: u32 = 4;
const ZSTD: u32 = 0x20;

/// Compressors are told the size of a page, and choose a window that fits.
const ZSTD_WINDOW: u64 = 1 << 17;

impl Pages {
    /// The pages of all parts, whose bitmaps are those in the first file.
    pub(super) fn new(headers: &[Header], first_file: &[u8]) -> InPart<Self> {
        let mut order: Vec<usize> = (0..headers.len()).collect();
        order.sort_by_key(|&file| headers[file].part.start);
        for pair in order.windows(2) {
            let (before, after) = (&headers[pair[0]].part, &headers[pair[1]].part);
            if after.start < before.end {
                let defect = Defect::PartOverlap { start: after.start, end: before.end };
                return Err((pair[1], (0, defect)));
            }
        }
        let Some(first) = headers.first() else {
            return Err((0, (0, Defect::NoMemory)));
        };
        let [exists, held] = first.bitmaps(first_file);
        let part = |file: usize| {
            let header = &headers[file];
            let pages = header.part.clone();
            Part { pages, file, descriptors: header.descriptors() }
        };
        let parts: Vec<Part> = order.into_iter().map(part).collect();
        // What other parts hold is not here.
        let held = Bits::new(held, first.pages).only(parts.iter().map(|part| part.pages.clone()));
        let exists = Bits::new(exists, first.pages);
        let mut pages = Self { exists, held, parts, runs: 0, cache: Mutex::default() };
        pages.runs = pages.ranges().count();
        Ok(pages)
    }

    /// How many pages are held that lie in a part before `page`, or before its end.
    pub(super) fn held_before(&self, part: &Part, page: u64) -> u64 {
        self.held.rank(page) - self.held.rank(part.pages.start)
    }

    /// How many ranges there are.
    pub(crate) fn range_count(&self) -> usize {
        self.runs
    }

    /// The guest's memory, in ascending order.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = MemoryRange> + Clone {
        let run_from = |page| bitmap::run(&self.exists, &self.held, page);
        std::iter::successors(run_from(0), move |run| run_from(run.start + run.len)).map(|run| MemoryRange {
            start: run.start * PAGE_BYTES,
            len: run.len * PAGE_BYTES,
            held: run.held * PAGE_BYTES,
        })
    }

    /// The first address from `address` on that is held.
    pub(crate) fn next_held(&self, address: u64) -> Option<u64> {
        let page = address / PAGE_BYTES;
        let next = self.held.next(page, true);
        self.held.get(next).then(|| address.max(next * PAGE_BYTES))
    }

    /// Copies the bytes at `address`, across pages.
    pub(crate) fn read(
        &self,
        sources: &[Source],
        mut address: u64,
        mut to: &mut [u8],
    ) -> Result<(), Unreadable> {
        while !to.is_empty() {
            let (page, into) = (address / PAGE_BYTES, (address % PAGE_BYTES) as usize);
            if !self.held.get(page) {
                return Err(if self.exists.get(page) { Unreadable::NotHeld } else { Unreadable::Outside });
            }
            let (filled, rest) = to.split_at_mut(to.len().min(PAGE - into));
            self.read_page(sources, page, into, filled)?;
            // Cannot overflow: no page that is held ends past the last physical address.
            address += filled.len() as u64;
            to = rest;
        }
        Ok(())
    }

    /// Copies what is `into` a page that is held.
    fn read_page(&self, sources: &[Source], page: u64, into: usize, to: &mut [u8]) -> Result<(), Unreadable> {
        // A panic elsewhere leaves whole pages behind, at worst fewer of them.
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let part = into..into + to.len();
        if let Some(bytes) = cache().get(page) {
            to.copy_from_slice(&bytes[part]);
            return Ok(());
        }
        // Nobody waits while a page is decoded.
        let mut bytes = [0; PAGE];
        self.decode(sources, page, &mut bytes).ok_or(Unreadable::Failed)?;
        cache().insert(page, &bytes);
        to.copy_from_slice(&bytes[part]);
        Ok(())
    }

    /// Fills `to` with a page that is held.
    fn decode(&self, sources: &[Source], page: u64, to: &mut [u8; PAGE]) -> Option<()> {
        let part = self.parts.iter().find(|part| part.pages.contains(&page))?;
        let file = sources.get(part.file)?.bytes();
        let (place, flags) = descriptor(file, part.descriptors, self.held_before(part, page))?;
        if place.len() > PAGE {
            return None;
        }
        let data = file.get(place)?;
        let len = match flags & (ZLIB | LZO | SNAPPY | ZSTD) {
            0 if data.len() == PAGE => {
                to.copy_from_slice(data);
                PAGE
            }
            ZLIB => zlib(data, to)?,
            LZO => crate::lzo::decode(data, to).ok()?,
            SNAPPY => snap::raw::Decoder::new().decompress(data, to).ok()?,
            ZSTD => zstd(data, to)?,
            _ => return None,
        };
        (len == PAGE).then_some(())
    }
}

fn zlib(data: &[u8], to: &mut [u8]) -> Option<usize> {
    let input = std::iter::once(data);
    miniz_oxide::inflate::decompress_slice_iter_to_slice(to, input, true, false).ok()
}

fn zstd(data: &[u8], to: &mut [u8]) -> Option<usize> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(ZSTD_WINDOW);
    decoder.decode_all(data, to).ok()
}
