//! [`OpenOptions`]: how images are opened.

use crate::Format;
use std::ops::Range;

/// How images are opened.
///
/// ```
/// let options = pt_image::OpenOptions::new().decode_limit(1 << 30).map(false);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(crate) decode_limit: u64,
    pub(crate) format: Option<Format>,
    pub(crate) map: bool,
    pub(crate) holes_missing: bool,
    pub(crate) layout: Vec<Range<u64>>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// What [`decode_limit`](Self::decode_limit) is unless set: 4 GiB.
    pub const DEFAULT_DECODE_LIMIT: u64 = 4 << 30;

    /// The defaults: a limit of 4 GiB, the format by content, files mapped, holes read as zeros.
    pub const fn new() -> Self {
        Self {
            decode_limit: Self::DEFAULT_DECODE_LIMIT,
            format: None,
            map: true,
            holes_missing: false,
            layout: Vec::new(),
        }
    }

    /// The most bytes that a file of an image may have in memory: decoded, or read because it cannot be mapped. Mapped
    /// files have no limit.
    pub const fn decode_limit(mut self, bytes: u64) -> Self {
        self.decode_limit = bytes;
        self
    }

    /// The format of the decoded bytes, instead of what they look like. Raw memory may begin with anything, and
    /// [`Format::Firecracker`] looks like raw memory.
    pub const fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Whether files are mapped (the default) or read into memory, within the limit. A file that somebody may still be
    /// writing to should be read.
    pub const fn map(mut self, map: bool) -> Self {
        self.map = map;
        self
    }

    /// The file has no header: it holds these ranges of physical addresses, one after the other, and nothing else. Sets
    /// [`Format::Firecracker`], whose regions these are where they are not its default ones.
    pub fn layout(mut self, ranges: impl Into<Vec<Range<u64>>>) -> Self {
        self.layout = ranges.into();
        self.format = Some(Format::Firecracker);
        self
    }

    /// Whether holes of a sparse file without headers are memory that the image does not hold
    /// ([`NotHeld`](pt_core::Unreadable::NotHeld)), rather than zeros (the default).
    ///
    /// For Firecracker's diff snapshots, which write only the pages that changed, and for files with memory that was
    /// not plugged in. Only the file system knows of holes: a copy of the file may have lost them, or have new ones where a
    /// full snapshot is zero. They are told on Linux; elsewhere opening fails. Compressed files have none.
    pub const fn holes_missing(mut self, missing: bool) -> Self {
        self.holes_missing = missing;
        self
    }
}
