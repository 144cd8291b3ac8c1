//! Runs of entries that are dealt with alike: one decision for all of them, and one loop that writes them.

use crate::edit::change::Change;
use crate::scan::Entries;
use crate::{Encode, Entry, Geometry, Level};

impl Change {
    /// How many entries from `index` on are like the first: what becomes of them is what becomes of it, at addresses that go
    /// on.
    #[inline(always)]
    pub(super) fn alike<F: Encode>(
        &self,
        format: &F,
        level: Level,
        entries: Entries<'_>,
        index: usize,
    ) -> usize {
        let raw = entries.raw::<F>(index);
        match (self, format.decode(level, raw)) {
            // Not zero, and not present: software's.
            (_, Entry::Absent) if raw != 0 => 1,
            (_, Entry::Absent) => entries.next_used::<F>(index) - index,
            // Nearly always the next page is here or nowhere near, which is seen without decoding it.
            (_, Entry::Leaf(page))
                if entries.raw::<F>(index + 1) == raw.wrapping_add(F::entry_span(level)) =>
            {
                entries.run(format, level, index, page, 0)
            }
            // What they map does not matter.
            (Self::Unmap | Self::Collapse, Entry::Leaf(_)) => {
                let leaves = (index..entries.count::<F>())
                    .take_while(|&at| matches!(format.decode(level, entries.raw::<F>(at)), Entry::Leaf(_)));
                leaves.count()
            }
            _ => 1,
        }
    }

    /// What `stored` grows by from one entry to the next, and how many entries it can be made so for.
    #[inline(always)]
    pub(super) fn steps<F: Encode>(&self, format: &F, level: Level, stored: u64) -> (u64, usize) {
        match self {
            Self::Unmap | Self::Collapse => (0, usize::MAX),
            // Past the end of an address field the sum is no entry any more.
            Self::Map { .. } | Self::Protect(_) => {
                let most = usize::try_from(format.contiguous(level, stored)).unwrap_or(usize::MAX);
                (F::entry_span(level), most)
            }
        }
    }
}

/// Stores `raw`, `raw + step`, `raw + 2 × step` and so on.
#[inline(always)]
pub(super) fn fill<F: Encode>(bytes: &mut [u8], mut raw: u64, step: u64) {
    if bytes.len() == F::ENTRY_BYTES {
        return bytes.copy_from_slice(&raw.to_le_bytes()[..F::ENTRY_BYTES]);
    }
    if F::ENTRY_BYTES == 4 {
        let (mut raw, step) = (raw as u32, step as u32);
        for entry in bytes.as_chunks_mut::<4>().0 {
            *entry = raw.to_le_bytes();
            raw = raw.wrapping_add(step);
        }
    } else {
        for entry in bytes.as_chunks_mut::<8>().0 {
            *entry = raw.to_le_bytes();
            raw = raw.wrapping_add(step);
        }
    }
}
