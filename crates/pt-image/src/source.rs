//! The files behind an image: mapped where that is possible, otherwise decoded or read into memory.
//!
//! Most images are one file; split dumps, regions and snapshots are several. Formats see each as a slice of bytes.

use crate::decode::{Compression, read_all};
use crate::error::Error;
use crate::map::Mapping;
use crate::{OpenOptions, holes, map};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One file of an image, its compression taken off.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) compression: Option<Compression>,
    /// The stretches of the file that are not holes, where holes are to count as missing.
    pub(crate) present: Option<Vec<Range<u64>>>,
    bytes: Bytes,
}

enum Bytes {
    /// In the file itself.
    Mapped { mapping: Mapping, file: File, len: u64, modified: Option<SystemTime> },
    /// In memory.
    Owned(Vec<u8>),
}

impl Source {
    /// Opens a file, which must not be empty. Its compression is recognised by content.
    pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let owned = || path.to_owned();
        let mut file = File::open(path).map_err(|cause| Error::Open { path: owned(), cause })?;
        let cannot_read = |cause| Error::Read { path: owned(), cause };
        let metadata = file.metadata().map_err(cannot_read)?;
        if metadata.is_dir() {
            return Err(Error::Directory { path: owned() });
        }
        let present = if options.holes_missing && metadata.is_file() {
            Some(holes::content(&file, metadata.len()).map_err(cannot_read)?)
        } else {
            None
        };
        let start = read_start(&mut file).map_err(cannot_read)?;
        let compression = Compression::detect(&start);
        let bytes = match compression {
            // A file without a length, as in /proc, may still have content.
            None if options.map && metadata.is_file() && metadata.len() > 0 => {
                let mapping = map::map(&file).map_err(|cause| Error::Map { path: owned(), cause })?;
                Bytes::Mapped { mapping, file, len: metadata.len(), modified: metadata.modified().ok() }
            }
            _ => {
                // The start was consumed, and a pipe cannot be rewound.
                let input = BufReader::with_capacity(1 << 16, io::Cursor::new(start).chain(file));
                Bytes::Owned(match compression {
                    Some(compression) => compression.decode(path, input, options.decode_limit)?,
                    None => read_all(path, input, options.decode_limit)?,
                })
            }
        };
        // What is decoded has no holes any more.
        let present = present.filter(|_| compression.is_none());
        Self { path: owned(), compression, present, bytes }.not_empty()
    }

    /// Takes bytes that are in memory already, compressed or not.
    pub(crate) fn from_bytes(path: PathBuf, bytes: Vec<u8>, options: &OpenOptions) -> Result<Self, Error> {
        let compression = Compression::detect(&bytes);
        let bytes = match compression {
            Some(compression) => compression.decode(&path, &bytes[..], options.decode_limit)?,
            None => bytes,
        };
        Self { path, compression, present: None, bytes: Bytes::Owned(bytes) }.not_empty()
    }

    fn not_empty(self) -> Result<Self, Error> {
        if self.bytes().is_empty() { Err(Error::Empty { path: self.path }) } else { Ok(self) }
    }

    /// Puts other bytes in place of the file's, where its form was a wrapping.
    pub(crate) fn replace(&mut self, bytes: Vec<u8>) {
        self.bytes = Bytes::Owned(bytes);
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped { mapping, .. } => mapping,
            Bytes::Owned(bytes) => bytes,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes().len() as u64
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.bytes, Bytes::Mapped { .. })
    }

    /// The stretches of the file that are not holes, in ascending order: one, if nobody tells.
    pub(crate) fn content(&self) -> Vec<Range<u64>> {
        let told = match &self.bytes {
            Bytes::Mapped { file, len, .. } => holes::content(file, *len).ok(),
            Bytes::Owned(_) => None,
        };
        told.unwrap_or_else(|| std::iter::once(0..self.len()).collect())
    }

    /// Whether the file is as it was, as far as its length and modification time tell.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        let Bytes::Mapped { file, len, modified, .. } = &self.bytes else {
            return Ok(());
        };
        let path = || self.path.clone();
        let now = file.metadata().map_err(|cause| Error::Read { path: path(), cause })?;
        if now.len() == *len && now.modified().ok() == *modified {
            Ok(())
        } else {
            Err(Error::Changed { path: path() })
        }
    }
}

fn read_start(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start)?;
    Ok(start)
}
