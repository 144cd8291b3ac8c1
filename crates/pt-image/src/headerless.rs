//! Memory without any header: ranges of it, one after the other in a file, in an order that the file itself does not tell.
//!
//! ```text
//! file       [ 0 .. 0xc0000000 )[ 0xc0000000 .. 0x140000000 )
//! physical     0 .. 0xc0000000    0x100000000 .. 0x180000000      Firecracker's order, as an example
//! ```

use crate::error::Checked;
use crate::image::Contents;
use crate::layout::{Layout, Piece};
use crate::source::Source;

/// A range of guest memory in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// Its physical address.
    pub(crate) start: u64,
    /// Its length, in memory and in the file.
    pub(crate) len: u64,
    /// Which of the image's files; none of them has memory that is not held.
    pub(crate) file: usize,
    /// Where in that file.
    pub(crate) offset: u64,
    /// What errors point at.
    pub(crate) described_at: u64,
}

/// Ranges that follow each other in file 0.
pub(crate) fn in_order(ranges: impl IntoIterator<Item = (u64, u64)>) -> Vec<Stretch> {
    let mut offset = 0_u64;
    let place = |(start, len)| {
        let stretch = Stretch { start, len, file: 0, offset, described_at: offset };
        offset = offset.saturating_add(len);
        stretch
    };
    ranges.into_iter().map(place).collect()
}

/// The layout of such memory. Where holes of a file count as missing, what lies in one is not held.
pub(crate) fn parse(stretches: &[Stretch], sources: &[Source]) -> Checked<Contents> {
    let mut pieces = Vec::new();
    for stretch in stretches {
        let present = sources.get(stretch.file).map(|source| source.present.as_deref());
        match present {
            Some(Some(present)) => with_holes(stretch, present, &mut pieces),
            Some(None) => pieces.push(piece(stretch, 0, stretch.len, stretch.len)),
            None => pieces.push(piece(stretch, 0, stretch.len, 0)),
        }
    }
    Ok(Contents { memory: Layout::new(pieces, sources)?.into(), ..Contents::default() })
}

/// The part of `stretch` that starts `into` it.
fn piece(stretch: &Stretch, into: u64, len: u64, held: u64) -> Piece {
    let &Stretch { start, file, offset, described_at, .. } = stretch;
    let (start, offset) = (start.saturating_add(into), offset.saturating_add(into));
    Piece { start, len, held, file, offset, described_at }
}

/// One piece per stretch of content, with the hole that follows it; one before the first, if there is a hole.
fn with_holes(stretch: &Stretch, present: &[std::ops::Range<u64>], pieces: &mut Vec<Piece>) {
    let end = stretch.offset.saturating_add(stretch.len);
    let first = present.partition_point(|data| data.end <= stretch.offset);
    let inside = present[first..].iter().take_while(|data| data.start < end);
    // As offsets into the stretch.
    let into = |at: u64| at.clamp(stretch.offset, end) - stretch.offset;
    let mut starts: Vec<(u64, u64)> = inside.map(|data| (into(data.start), into(data.end))).collect();
    if starts.first().is_none_or(|&(start, _)| start > 0) {
        starts.insert(0, (0, 0));
    }
    for (index, &(start, data_end)) in starts.iter().enumerate() {
        let next = starts.get(index + 1).map_or(stretch.len, |&(next, _)| next);
        pieces.push(piece(stretch, start, next - start, data_end - start));
    }
}
