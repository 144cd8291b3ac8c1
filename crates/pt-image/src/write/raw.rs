//! Raw files: the byte at physical address `n` goes to offset `n`; what no range covers is a hole.

use super::{Memory, MemoryRange, Staged, WriteError, checked, written};
use std::path::Path;

/// Writes raw files.
///
/// ```
/// use pt_image::{Image, MemoryRange, OpenOptions, RawWriter};
///
/// let memory = vec![7; 0x3000];
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ram");
/// RawWriter::new().range(MemoryRange::held(0x1000, 0x2000)).write(&path, &memory)?.commit()?;
///
/// let image = Image::open(&path, &OpenOptions::new())?;
/// assert_eq!(image.memory_bytes(), 0x3000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RawWriter {
    ranges: Vec<MemoryRange>,
}

impl RawWriter {
    /// Writes nothing, until there are ranges.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes what is held of `range`, too.
    pub fn range(self, range: MemoryRange) -> Self {
        self.ranges([range])
    }

    /// Writes what is held of `ranges`, too.
    pub fn ranges(mut self, ranges: impl IntoIterator<Item = MemoryRange>) -> Self {
        self.ranges.extend(ranges);
        self
    }

    /// Writes the file. It gets its name from [`Staged::commit`].
    ///
    /// # Errors
    ///
    /// - [`WriteError::Range`], [`WriteError::Overlap`]: the ranges cannot be;
    /// - [`WriteError::NotAFile`], [`WriteError::Create`]: the folder or the name is unusable;
    /// - [`WriteError::Memory`]: the memory does not have what is to be held;
    /// - [`WriteError::Write`]: the disk is full, or the highest address is larger than files can be.
    pub fn write<M: Memory + ?Sized>(
        &self,
        path: impl AsRef<Path>,
        memory: &M,
    ) -> Result<Staged, WriteError> {
        let ranges = checked(&self.ranges)?;
        let end = ranges.last().map_or(0, |last| last.start + last.len);
        written(path.as_ref(), &[], ranges.iter().map(|range| (range.start, range)), end, memory)
    }
}
