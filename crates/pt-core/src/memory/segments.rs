//! A sparse image as a memory: pieces in ascending order.

use core::fmt;

use super::{Memory, Unreadable};

/// One piece of a sparse image: the bytes from physical `start` on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The physical address of the first byte.
    pub start: u64,
    /// How many bytes of the guest's memory the piece stands for. Those past `bytes.len()` exist in the guest but not
    /// in the image ([`Unreadable::NotHeld`]).
    pub len: u64,
    /// What the image holds of it, from `start` on.
    pub bytes: &'a [u8],
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({:#x}+{:#x}, {:#x} held)", self.start, self.len, self.bytes.len())
    }
}

impl<'a> Segment<'a> {
    /// A piece that is held whole.
    pub const fn new(start: u64, bytes: &'a [u8]) -> Self {
        Self { start, len: bytes.len() as u64, bytes }
    }

    /// The address of the last byte. Only for pieces that [`Segments::new`] accepted.
    fn last(&self) -> u64 {
        self.start + (self.len - 1)
    }
}

/// A sparse image: pieces in ascending order that do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a, S: AsRef<[Segment<'a>]>> {
    pieces: S,
    lifetime: core::marker::PhantomData<&'a [u8]>,
}

/// Why pieces do not make a sparse image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentsError {
    /// A piece has no bytes at all, or holds more than it says it stands for.
    #[error("piece {index} at {start:#x} stands for {len:#x} bytes and holds {held:#x}")]
    Length {
        /// Which piece.
        index: usize,
        /// Its first address.
        start: u64,
        /// The bytes that it stands for.
        len: u64,
        /// The bytes that it holds.
        held: u64,
    },
    /// A piece goes past the last physical address.
    #[error("piece {index} at {start:#x} of {len:#x} bytes ends past the last address")]
    Overflow {
        /// Which piece.
        index: usize,
        /// Its first address.
        start: u64,
        /// The bytes that it stands for.
        len: u64,
    },
    /// A piece starts before the one before it ended.
    #[error("piece {index} at {start:#x} overlaps the one before it, which ends at {previous_last:#x}")]
    Order {
        /// Which piece.
        index: usize,
        /// Its first address.
        start: u64,
        /// The last address of the piece before it.
        previous_last: u64,
    },
}

impl<'a, S: AsRef<[Segment<'a>]>> Segments<'a, S> {
    /// Takes pieces in ascending order.
    ///
    /// ```
    /// use pt_core::{Memory, Segment, Segments, Unreadable};
    ///
    /// let (low, high) = ([1; 4096], [2; 4096]);
    /// let memory = Segments::new([Segment::new(0x1000, &low), Segment::new(0x8000, &high)])?;
    /// assert_eq!(memory.read_entry(0x8008, 4), Ok(0x0202_0202));
    /// assert_eq!(memory.read_entry(0x2000, 8), Err(Unreadable::Outside));
    /// # Ok::<(), pt_core::SegmentsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`SegmentsError::Length`]: a piece is empty or holds more than it stands for;
    /// - [`SegmentsError::Overflow`]: a piece goes past the last physical address;
    /// - [`SegmentsError::Order`]: pieces are not ascending, or overlap.
    pub fn new(pieces: S) -> Result<Self, SegmentsError> {
        let mut previous_last = None;
        for (index, piece) in pieces.as_ref().iter().enumerate() {
            let (start, len) = (piece.start, piece.len);
            if len == 0 || piece.bytes.len() as u64 > len {
                return Err(SegmentsError::Length { index, start, len, held: piece.bytes.len() as u64 });
            }
            if start.checked_add(len - 1).is_none() {
                return Err(SegmentsError::Overflow { index, start, len });
            }
            if let Some(previous_last) = previous_last.filter(|&last| start <= last) {
                return Err(SegmentsError::Order { index, start, previous_last });
            }
            previous_last = Some(piece.last());
        }
        Ok(Self { pieces, lifetime: core::marker::PhantomData })
    }

    /// The pieces, ascending.
    pub fn pieces(&self) -> &[Segment<'a>] {
        self.pieces.as_ref()
    }

    /// The piece that holds `address`, and how far into it that is.
    fn find(&self, address: u64) -> Option<(&Segment<'a>, u64)> {
        let pieces = self.pieces();
        let after = pieces.partition_point(|piece| piece.start <= address);
        let piece = &pieces[after.checked_sub(1)?];
        (address <= piece.last()).then(|| (piece, address - piece.start))
    }
}

impl<'a, S: AsRef<[Segment<'a>]>> Memory for Segments<'a, S> {
    type Buffer = [u8; 4096];

    fn read(&self, mut address: u64, mut into: &mut [u8]) -> Result<(), Unreadable> {
        while !into.is_empty() {
            let (piece, offset) = self.find(address).ok_or(Unreadable::Outside)?;
            let held = usize::try_from(offset).ok().and_then(|offset| piece.bytes.get(offset..));
            let held = held.filter(|held| !held.is_empty()).ok_or(Unreadable::NotHeld)?;
            let (now, rest) = into.split_at_mut(held.len().min(into.len()));
            now.copy_from_slice(&held[..now.len()]);
            into = rest;
            match address.checked_add(now.len() as u64) {
                Some(next) => address = next,
                None if into.is_empty() => break,
                None => return Err(Unreadable::Outside),
            }
        }
        Ok(())
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        let (piece, offset) = self.find(address)?;
        let offset = usize::try_from(offset).ok()?;
        piece.bytes.get(offset..offset.checked_add(len)?)
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        // Pieces whose bytes, if they hold any, all lie before the address.
        let is_past =
            |piece: &Segment<'_>| address.checked_sub(piece.start) >= Some(piece.bytes.len() as u64);
        let pieces = self.pieces();
        let rest = &pieces[pieces.partition_point(is_past)..];
        rest.iter().find(|piece| !piece.bytes.is_empty()).map(|piece| piece.start.max(address))
    }
}
