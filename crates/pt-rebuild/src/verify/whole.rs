//! What must hold of all pairs together, once all were met.

use alloc::vec::Vec;

use hashbrown::HashSet;
use pt_core::{Encode, Geometry, Level};

use super::judge::Findings;
use super::{Count, Mismatch, Verified};
use crate::{FrameMap, TableFrames};

impl<F: Encode> Findings<'_, F> {
    /// The totals, or the first mismatch that no one pair shows.
    pub(super) fn verified(&self) -> Result<Verified, Mismatch<F::Rights>> {
        self.only_merged_frames_are_read_only()?;
        if let Some(expected) = self.proof.frames {
            self.as_expected(expected)?;
        }
        self.no_other_table_is_shown()?;
        let mut old: HashSet<u64> = self.pairs.iter().map(|pair| pair.0).collect();
        let mut new: HashSet<u64> = self.pairs.iter().map(|pair| pair.1).collect();
        let live = old.iter().filter(|&&table| self.frames.at(table).is_some()).count();
        old.extend(self.only_old.keys());
        new.extend(self.only_new.keys());
        Ok(Verified {
            tables: Count { old: old.len() as u64, new: new.len() as u64 },
            mapped: Count { old: self.frames.bytes(), new: self.frames_back.bytes() },
            live_tables: if self.are_live() { live as u64 } else { 0 },
            ..Verified::default()
        })
    }

    /// Whether pages that map tables show the new ones.
    pub(super) fn are_live(&self) -> bool {
        self.proof.table_frames == TableFrames::Live
    }

    fn only_merged_frames_are_read_only(&self) -> Result<(), Mismatch<F::Rights>> {
        for (first, last, _) in self.merged.iter() {
            if let Some((new, ..)) = self.writable.parts(first, last).next() {
                return Err(Mismatch::Writable { new });
            }
        }
        let gap = self.narrowed.iter().find_map(|(first, last, _)| self.merged.first_gap(first, last));
        gap.map_or(Ok(()), |new| Err(Mismatch::NotWritable { new }))
    }

    /// Whether frames went where they were to go.
    fn as_expected(&self, expected: &FrameMap) -> Result<(), Mismatch<F::Rights>> {
        for (first, last, to) in self.frames.iter() {
            let mut at = first;
            loop {
                let new = to + (at - first);
                let known = expected.get(at);
                if known != Some(new) {
                    return Err(Mismatch::Frame { va: 0, old: at, new, known });
                }
                match expected.end_of(at).filter(|&end| end < last) {
                    Some(end) => at = end + 1,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Whether pages show no new table but, where tables are live, the one that the old page showed. A page that shows
    /// another lets whoever writes to it change the spaces.
    fn no_other_table_is_shown(&self) -> Result<(), Mismatch<F::Rights>> {
        for (first, last, old) in self.tables_back.iter() {
            for (table, end, frame) in self.frames_back.parts(first, last) {
                let own = frame == old.wrapping_add(table - first)
                    && self.merged.parts(table, end).next().is_none();
                if !(self.are_live() && own) {
                    return Err(Mismatch::Shown { table, frame });
                }
            }
        }
        // Tables that stand for pages are new: they are no other tables, either.
        let mut only_new: Vec<(u64, Level, u64)> =
            self.only_new.iter().map(|(&table, &(level, va))| (table, level, va)).collect();
        only_new.sort_unstable();
        for (table, level, va) in only_new {
            let last = table.saturating_add(F::table_bytes(level) as u64 - 1);
            if let Some((table, _, frame)) = self.frames_back.parts(table, last).next() {
                return Err(Mismatch::Shown { table, frame });
            }
            if self.tables_back.parts(table, last).next().is_some() {
                return Err(Mismatch::Table { va, level, old: None, new: Some(table) });
            }
        }
        Ok(())
    }
}
