//! ELF notes: name, type, bytes, each padded to four bytes.
//!
//! Notes are kept as they are, in file order, those that are understood included: whoever writes the image again writes
//! them again.

use crate::cpu::{Cpu, Hint};
use crate::error::{Checked, Defect};
use std::ops::Range;

/// The notes' bytes that are accepted in all. 4096 CPUs have less than 4 MiB.
const LIMIT: u64 = 16 << 20;

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note<'a> {
    /// The owner's name, without the zero bytes that end it.
    pub name: &'a [u8],
    /// The type, in the owner's numbering.
    pub kind: u32,
    /// The description.
    pub bytes: &'a [u8],
}

impl Note<'_> {
    /// Whether this is the register state of a CPU in the format that all x86 cores share (`NT_PRSTATUS`).
    pub fn is_prstatus(&self) -> bool {
        self.name == b"CORE" && self.kind == 1
    }

    /// Whether this is the state of a CPU as QEMU adds it.
    pub fn is_qemu_cpu(&self) -> bool {
        self.name == b"QEMU" && self.kind == 0
    }
}

/// Where the notes of a file are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// The bytes of all segments so far. Without this sum, a thousand headers that name the same megabyte would cost a
    /// thousand megabytes.
    total: u64,
    notes: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    name: Range<usize>,
    kind: u32,
    bytes: Range<usize>,
}

impl Notes {
    /// Adds the notes of a segment, which lies within `file` and which the header at `described_at` describes.
    pub(crate) fn add(&mut self, file: &[u8], segment: Range<usize>, described_at: u64) -> Checked<()> {
        self.total = self.total.saturating_add(segment.len() as u64);
        if self.total > LIMIT {
            let defect = Defect::TooMany { what: "bytes of notes", count: self.total, limit: LIMIT };
            return Err((described_at, defect));
        }
        let mut at = segment.start;
        while at < segment.end {
            let left = segment.end - at;
            let lying = |needed| (at as u64, Defect::Note { needed, left: left as u64 });
            let Some((header, _)) = file[at..segment.end].split_first_chunk::<12>() else {
                // Padding at the end is harmless.
                if file[at..segment.end].iter().all(|&byte| byte == 0) {
                    break;
                }
                return Err(lying(12));
            };
            let [name_len, bytes_len, kind] = words(header);
            // As u64, so that neither the sum nor the padding can overflow.
            let bytes_start = 12 + padded(name_len);
            let needed = bytes_start + u64::from(bytes_len);
            if needed > left as u64 {
                return Err(lying(needed));
            }
            let bytes = at + bytes_start as usize..at + needed as usize;
            let name = at + 12..at + 12 + name_len as usize;
            at = bytes.start + (padded(bytes_len) as usize).min(segment.end - bytes.start);
            self.notes.push(Place { name, kind, bytes });
        }
        Ok(())
    }

    /// The CPUs in QEMU's notes, and how many there are by the notes that every core has. `first` is what the rest of the
    /// image says about the first CPU.
    pub(crate) fn cpus(&self, file: &[u8], first: Hint) -> Checked<(Vec<Cpu>, usize)> {
        let mut cpus = Vec::new();
        let mut prstatus_count = 0;
        for (index, (offset, note)) in self.iter(file).enumerate() {
            prstatus_count += usize::from(note.is_prstatus());
            if note.is_qemu_cpu() {
                let hint = if cpus.is_empty() { first } else { Hint::Another };
                cpus.push(Cpu::from_qemu(&note, index, hint).map_err(|defect| (offset, defect))?);
            }
        }
        Ok((cpus, prstatus_count))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.notes.len()
    }

    /// The notes, with the file offset of each one's bytes.
    pub(crate) fn iter<'a>(
        &'a self,
        file: &'a [u8],
    ) -> impl ExactSizeIterator<Item = (u64, Note<'a>)> + Clone + use<'a> {
        self.notes.iter().map(|place| {
            let name = &file[place.name.clone()];
            let name = &name[..name.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
            (place.bytes.start as u64, Note { name, kind: place.kind, bytes: &file[place.bytes.clone()] })
        })
    }
}

fn words(header: &[u8; 12]) -> [u32; 3] {
    let (words, _) = header.as_chunks::<4>();
    [0, 1, 2].map(|index| u32::from_le_bytes(words[index]))
}

fn padded(len: u32) -> u64 {
    u64::from(len).next_multiple_of(4)
}
