//! Writing images: never half a file.
//!
//! An image is written under a temporary name in the folder where it will be; [`Staged::commit`] gives it its name. Until
//! then, and whatever fails, a file that had this name is as it was. Between the two, a caller can check what it wrote from
//! ([`Image::check_unchanged`](crate::Image::check_unchanged)).
//!
//! Memory comes from a [`Memory`], in ascending order and a piece at a time: it need not exist as a whole anywhere. Pages of zeros become holes of the file, where the file system has those.

mod core;
mod note;
mod raw;
mod staged;

pub use self::core::CoreWriter;
pub use self::raw::RawWriter;
pub use staged::Staged;

use crate::image::MemoryRange;
use crate::layout::PHYSICAL_END;
use pt_core::{Memory, Unreadable};
use staged::Output;
use std::io;
use std::path::{Path, PathBuf};

/// Why an image was not written. What had its name before is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// No file can be made in the folder.
    #[error("{path:?}: cannot create a file beside it: {cause}")]
    Create {
        /// The image.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// What has this name is a directory, a device or a pipe, and is not replaced.
    #[error("{path:?}: exists and is not a file")]
    NotAFile {
        /// The image.
        path: PathBuf,
    },
    /// Writing failed: the disk is full, for example.
    #[error("{path:?}: cannot write: {cause}")]
    Write {
        /// The image.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file was written but could not be given its name.
    #[error("{path:?}: cannot replace: {cause}")]
    Rename {
        /// The image.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The memory that is to be written cannot be read.
    #[error("{path:?}: memory at {address:#x}..={last:#x} cannot be read: {cause}")]
    Memory {
        /// The image.
        path: PathBuf,
        /// Where reading started.
        address: u64,
        /// Where it was to end.
        last: u64,
        /// Why.
        cause: Unreadable,
    },
    /// A range goes past the last physical address, or holds more than it is long.
    #[error("the range at {start:#x} of {len:#x} bytes, {held:#x} of them held, is none of physical memory")]
    Range {
        /// Its first address.
        start: u64,
        /// Its length.
        len: u64,
        /// How many of its bytes are to be written.
        held: u64,
    },
    /// A range starts before the one before it ends.
    #[error("the range at {start:#x} overlaps the one that ends at {previous_last:#x}")]
    Overlap {
        /// The range's first address.
        start: u64,
        /// The last address of the one before it.
        previous_last: u64,
    },
    /// There is no memory at all, or more ranges than a core can have.
    #[error("{0} ranges: a core has at least 1 and at most 16777216")]
    Count(usize),
    /// A name or a description is too long for a note.
    #[error("a note of {0} bytes is too long")]
    Note(usize),
    /// There is no such CPU.
    #[error("there is no CPU {cpu}: {cpus} have QEMU's note")]
    NoCpu {
        /// Which one was asked for, from 0 on.
        cpu: usize,
        /// How many there are.
        cpus: usize,
    },
}

/// Sorts ranges, drops empty ones, and checks the rest.
fn checked(ranges: &[MemoryRange]) -> Result<Vec<MemoryRange>, WriteError> {
    let mut ranges: Vec<MemoryRange> = ranges.iter().copied().filter(|range| range.len > 0).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut previous_end = 0;
    for &MemoryRange { start, len, held } in &ranges {
        let end = start.checked_add(len).filter(|&end| end <= PHYSICAL_END && held <= len);
        let end = end.ok_or(WriteError::Range { start, len, held })?;
        if start < previous_end {
            return Err(WriteError::Overlap { start, previous_last: previous_end - 1 });
        }
        previous_end = end;
    }
    Ok(ranges)
}

/// Writes a file: its head, and what is held of each range from the offset on that stands with it. Offsets ascend; the file
/// ends at `end`.
fn written<'a, M: Memory + ?Sized>(
    path: &Path,
    head: &[u8],
    places: impl IntoIterator<Item = (u64, &'a MemoryRange)>,
    end: u64,
    memory: &M,
) -> Result<Staged, WriteError> {
    let mut output = Output::create(path)?;
    output.write(head)?;
    let mut buffer = buffer();
    for (offset, range) in places {
        output.skip_to(offset);
        stream(&mut output, range, memory, &mut buffer)?;
    }
    output.skip_to(end);
    output.finish()
}

/// Writes what is held of a range at the place that the output has reached.
fn stream<M: Memory + ?Sized>(
    output: &mut Output,
    range: &MemoryRange,
    memory: &M,
    buffer: &mut [u8],
) -> Result<(), WriteError> {
    let mut done = 0;
    while done < range.held {
        let len = buffer.len().min(usize::try_from(range.held - done).unwrap_or(usize::MAX));
        let address = range.start + done;
        let bytes = if let Some(lent) = memory.lend(address, len) {
            lent
        } else {
            memory.read(address, &mut buffer[..len]).map_err(|cause| WriteError::Memory {
                path: output.path(),
                address,
                last: address + (len as u64 - 1),
                cause,
            })?;
            &buffer[..len]
        };
        output.write(bytes)?;
        done += len as u64;
    }
    Ok(())
}

/// What is read at once. A multiple of the page size, so that a range of whole pages is read in whole pages.
fn buffer() -> Vec<u8> {
    vec![0; 1 << 20]
}
