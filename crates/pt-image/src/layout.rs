//! Where in which file which physical memory lies: pieces in ascending order that do not overlap.
//!
//! ```text
//! physical   0 ......... 0xa0000      0x100000 .............. 0x8000000
//!            |   held   |     hole    |    held    | not held |
//! a file          [ 0x1000..0xa1000 ]   [ 0xa1000..0x200000 ]
//! ```
//!
//! Invariant, established by [`Layout::new`] and relied upon by every read: the held bytes of each piece lie within
//! its file, no piece ends past the last physical address, and each starts after the one before it ended.

use crate::error::{Checked, Defect};
use crate::source::Source;
use pt_core::Unreadable;
use std::ops::{Range, RangeInclusive};

/// The first address that is not physical: x86 has at most 52 address bits.
pub(crate) const PHYSICAL_END: u64 = 1 << 52;

/// A piece of guest memory as a file describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The physical address of its first byte.
    pub(crate) start: u64,
    /// Its length in the guest.
    pub(crate) len: u64,
    /// Its length in the file, from its start on.
    pub(crate) held: u64,
    /// Which of the image's files holds it.
    pub(crate) file: usize,
    /// The file offset of its first byte.
    pub(crate) offset: u64,
    /// The file offset of the header that says all this: what errors point at.
    pub(crate) described_at: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Whether `next` continues this piece in the guest and in the file alike.
    fn continues_with(&self, next: &Self) -> bool {
        self.held == self.len
            && self.end() == next.start
            && (next.held == 0 || (self.file == next.file && self.offset + self.held == next.offset))
    }

    fn check(&self, sources: &[Source]) -> Result<(), Defect> {
        let Self { start, len, held, offset, .. } = *self;
        let file = sources.get(self.file).map_or(0, Source::len);
        if held > len {
            return Err(Defect::SegmentLength { start, len, held });
        }
        if start.checked_add(len).is_none_or(|end| end > PHYSICAL_END) {
            return Err(Defect::AddressOverflow { start, len });
        }
        if held > 0 && offset.checked_add(held).is_none_or(|end| end > file) {
            return Err(Defect::Truncated { what: "memory", start: offset, len: held, file });
        }
        Ok(())
    }
}

/// The pieces of an image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pieces: Vec<Piece>,
}

impl Layout {
    /// Checks `pieces` against the files, sorts them, and joins those that continue each other, so that a
    /// table across two of them can still be lent. Empty ones are dropped.
    pub(crate) fn new(mut pieces: Vec<Piece>, sources: &[Source]) -> Checked<Self> {
        for piece in &pieces {
            piece.check(sources).map_err(|defect| (piece.described_at, defect))?;
        }
        pieces.retain(|piece| piece.len > 0);
        pieces.sort_unstable_by_key(|piece| (piece.start, piece.described_at));
        for pair in pieces.windows(2) {
            let (before, piece) = (&pair[0], &pair[1]);
            if piece.start < before.end() {
                let (other_start, other_last) = (before.start, before.end() - 1);
                return Err((
                    piece.described_at,
                    Defect::Overlap { start: piece.start, other_start, other_last },
                ));
            }
        }
        pieces.dedup_by(|next, before| {
            let joined = before.continues_with(next);
            if joined {
                before.len += next.len;
                before.held += next.held;
            }
            joined
        });
        Ok(Self { pieces })
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The piece that covers `address`, and how far into it that is.
    fn find(&self, address: u64) -> Option<(&Piece, u64)> {
        let after = self.pieces.partition_point(|piece| piece.start <= address);
        let piece = &self.pieces[after.checked_sub(1)?];
        let into = address - piece.start;
        (into < piece.len).then_some((piece, into))
    }

    /// The `len` bytes at `address`, if one piece holds them all.
    pub(crate) fn lend<'a>(&self, sources: &'a [Source], address: u64, len: usize) -> Option<&'a [u8]> {
        let (piece, into) = self.find(address)?;
        if len as u64 > piece.held.checked_sub(into)? {
            return None;
        }
        let start = usize::try_from(piece.offset + into).ok()?;
        sources.get(piece.file)?.bytes().get(start..start + len)
    }

    /// The first address from `address` on that is held.
    pub(crate) fn next_held(&self, address: u64) -> Option<u64> {
        let after = self.pieces.partition_point(|piece| piece.start + piece.held <= address);
        let piece = self.pieces[after..].iter().find(|piece| piece.held > 0)?;
        Some(piece.start.max(address))
    }

    /// The addresses of what is held in those stretches of the files, which ascend in each.
    pub(crate) fn content(&self, files: &[Vec<Range<u64>>]) -> Vec<RangeInclusive<u64>> {
        let mut ranges = Vec::new();
        for piece in self.pieces.iter().filter(|piece| piece.held > 0) {
            let stretches = files.get(piece.file).map_or(&[][..], Vec::as_slice);
            let (start, end) = (piece.offset, piece.offset + piece.held);
            let first = stretches.partition_point(|stretch| stretch.end <= start);
            for stretch in stretches[first..].iter().take_while(|stretch| stretch.start < end) {
                // Not empty, and within the piece.
                let address = |offset: u64| piece.start + (offset.clamp(start, end) - start);
                ranges.push(address(stretch.start)..=address(stretch.end) - 1);
            }
        }
        ranges
    }

    /// Copies the bytes at `address`, across pieces.
    pub(crate) fn read(
        &self,
        sources: &[Source],
        mut address: u64,
        mut to: &mut [u8],
    ) -> Result<(), Unreadable> {
        while !to.is_empty() {
            let (piece, into) = self.find(address).ok_or(Unreadable::Outside)?;
            let held = piece.held.saturating_sub(into);
            if held == 0 {
                return Err(Unreadable::NotHeld);
            }
            let now = usize::try_from(held).map_or(to.len(), |held| held.min(to.len()));
            let bytes = self.lend(sources, address, now).ok_or(Unreadable::Failed)?;
            let (filled, rest) = to.split_at_mut(now);
            filled.copy_from_slice(bytes);
            to = rest;
            // Cannot overflow: it is at most the end of the piece.
            address += now as u64;
        }
        Ok(())
    }
}
