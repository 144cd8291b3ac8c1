//! Raw files: the byte at physical address `n` goes to offset `n`; what no range covers is a hole.

use super::{Memory, MemoryRange, Output, Staged, Unreadable, WriteError, buffer, checked, reader, stream};
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
    /// As [`RawWriter::write_with`].
    pub fn write<M: Memory + ?Sized>(
        &self,
        path: impl AsRef<Path>,
        memory: &M,
    ) -> Result<Staged, WriteError> {
        self.write_with(path, reader(memory))
    }

    /// Writes the file from what `fill` puts into the bytes that it is given, those at an address; addresses ascend.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Range`], [`WriteError::Overlap`]: the ranges cannot be;
    /// - [`WriteError::NotAFile`], [`WriteError::Create`]: the folder or the name is unusable;
    /// - [`WriteError::Memory`]: `fill` failed;
    /// - [`WriteError::Write`]: the disk is full, or the highest address is larger than files can be.
    pub fn write_with(
        &self,
        path: impl AsRef<Path>,
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<(), Unreadable>,
    ) -> Result<Staged, WriteError> {
        let ranges = checked(&self.ranges)?;
        let mut output = Output::create(path.as_ref())?;
        let mut buffer = buffer();
        for range in &ranges {
            output.skip_to(range.start);
            stream(&mut output, range, &mut buffer, &mut fill)?;
            output.skip_to(range.start + range.len);
        }
        output.finish()
    }
}
