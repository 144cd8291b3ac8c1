//! The bytes behind the pages.

use alloc::vec;
use alloc::vec::Vec;

use pt_core::{Encode, Memory};

use super::intervals::Intervals;
use super::judge::Findings;
use super::{Mismatch, Verified};
use crate::rebuilt::{PAGE, lacking};

/// How much is compared at once, in bytes.
const CHUNK: u64 = 65_536;

/// Compares what the frames hold that pages map. Where that is old tables, and the new ones are to be seen instead, it
/// checks that they are.
pub(super) fn compare<F, M, N>(
    findings: &Findings<'_, F>,
    old: &M,
    new: &N,
    verified: &mut Verified,
) -> Result<(), Mismatch<F::Rights>>
where
    F: Encode,
    M: Memory + ?Sized,
    N: Memory + ?Sized,
{
    let mut sides = Sides { old, new, buffers: (vec![0; CHUNK as usize], vec![0; CHUNK as usize]) };
    let none = Intervals::default();
    let live = if findings.are_live() { &findings.tables } else { &none };
    for (first, last, to) in findings.frames.iter() {
        let mut at = Some(first);
        for (table, end, new) in live.parts(first, last) {
            let shown = to.wrapping_add(table - first);
            if shown != new {
                return Err(Mismatch::LiveTable { old: table, new, shown });
            }
            if let Some(at) = at.filter(|&at| at < table) {
                sides.compare(at, table - 1, to + (at - first), verified)?;
            }
            at = end.checked_add(1);
        }
        if let Some(at) = at.filter(|&at| at <= last) {
            sides.compare(at, last, to + (at - first), verified)?;
        }
    }
    Ok(())
}

struct Sides<'a, M: ?Sized, N: ?Sized> {
    old: &'a M,
    new: &'a N,
    buffers: (Vec<u8>, Vec<u8>),
}

impl<M: Memory + ?Sized, N: Memory + ?Sized> Sides<'_, M, N> {
    fn compare<R: core::fmt::Debug>(
        &mut self,
        first: u64,
        last: u64,
        to: u64,
        verified: &mut Verified,
    ) -> Result<(), Mismatch<R>> {
        let mut at = first;
        loop {
            let left = (last - at).saturating_add(1);
            let mut len = lacking(self.old, at, left);
            if len > 0 {
                verified.unreadable = verified.unreadable.saturating_add(len);
            } else {
                len = left.min(CHUNK);
                self.chunk(at, to + (at - first), len as usize, verified)?;
            }
            match at.checked_add(len).filter(|&next| next <= last) {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
    }

    /// Lent whole on both sides, if that is possible, else page by page.
    fn chunk<R: core::fmt::Debug>(
        &mut self,
        old: u64,
        new: u64,
        len: usize,
        verified: &mut Verified,
    ) -> Result<(), Mismatch<R>> {
        if let (Some(one), Some(other)) = (self.old.lend(old, len), self.new.lend(new, len)) {
            verified.bytes += len as u64;
            return if one == other { Ok(()) } else { Err(Mismatch::Bytes { old, new }) };
        }
        let mut done = 0;
        while done < len {
            let (old, new) = (old + done as u64, new + done as u64);
            // No more than one page of the old memory, which has all of it or not.
            let part = ((PAGE - old % PAGE) as usize).min(len - done);
            let (one, other) = (&mut self.buffers.0[..part], &mut self.buffers.1[..part]);
            done += part;
            if self.old.read(old, one).is_err() {
                verified.unreadable += part as u64;
                continue;
            }
            if self.new.read(new, other).is_err() || one != other {
                return Err(Mismatch::Bytes { old, new });
            }
            verified.bytes += part as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pt_core::{Segment, Segments};

    use super::*;

    /// Frames need not begin at a page: where a table lies within one, what is before and behind it is compared.
    #[test]
    fn of_what_begins_and_ends_within_pages_each_byte_counts_once() {
        let (page, new) = ([7; 0x1000], vec![7; 0x4000]);
        let old = Segments::new([Segment::new(0, &page), Segment::new(0x2000, &page)]).expect("they ascend");
        let buffers = (vec![0; CHUNK as usize], vec![0; CHUNK as usize]);
        let mut sides = Sides { old: &old, new: &new, buffers };
        let mut compared = |first, last| {
            let mut verified = Verified::default();
            let same: Result<(), Mismatch<()>> = sides.compare(first, last, first + 0x1000, &mut verified);
            same.map(|()| (verified.bytes, verified.unreadable))
        };
        assert_eq!(compared(0x800, 0x8ff), Ok((0x100, 0)));
        assert_eq!(compared(0x800, 0x27ff), Ok((0x1000, 0x1000)));
        assert_eq!(compared(0x800, 0x2fff), Ok((0x1800, 0x1000)));
        assert_eq!(compared(0x1800, 0x27ff), Ok((0x800, 0x800)));
    }
}
