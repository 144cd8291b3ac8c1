//! Opening: where the bytes come from, what they are, and who reads them.
//!
//! ```text
//! path -> xz? zstd? --yes--> decoded, within the limit -+
//!              |                                        +-> format, by content or as told -> Contents
//!              +-no--> mapped (read, if not a file) ----+
//! ```
//!
//! Only one layer of compression is taken off. A new format is a line in [`detect`], a line in [`parse`] and a module.

use crate::decode::{Compression, read_all};
use crate::error::{Checked, Error};
use crate::image::{Bytes, Contents, Format, Image};
use crate::{elf, map, raw};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// How images are opened.
///
/// ```
/// let options = pt_image::OpenOptions::new().decode_limit(1 << 30).map(false);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    decode_limit: u64,
    format: Option<Format>,
    map: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// What [`decode_limit`](Self::decode_limit) is unless set: 4 GiB.
    pub const DEFAULT_DECODE_LIMIT: u64 = 4 << 30;

    /// The defaults: a limit of 4 GiB, the format by content, files mapped.
    pub const fn new() -> Self {
        Self { decode_limit: Self::DEFAULT_DECODE_LIMIT, format: None, map: true }
    }

    /// The most bytes that an image may have in memory: decoded, or read because it cannot be mapped. Mapped files have
    /// no limit.
    pub const fn decode_limit(mut self, bytes: u64) -> Self {
        self.decode_limit = bytes;
        self
    }

    /// The format of the decoded bytes, instead of what they look like. Raw memory may begin with anything.
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
}

impl Image {
    /// Opens the image at `path`. Its compression and format are recognised by content.
    ///
    /// An uncompressed file is mapped, so it must not be modified while the image is in use: changed bytes would be read
    /// as changed memory (and Rust takes lent bytes to be constant), and bytes cut off end the process with SIGBUS.
    /// [`Image::check_unchanged`] tells afterwards; [`OpenOptions::map`]`(false)` reads the file instead. Pipes and
    /// devices are always read.
    ///
    /// # Errors
    ///
    /// - [`Error::Open`], [`Error::Directory`], [`Error::Read`], [`Error::Map`]: the file cannot be had;
    /// - [`Error::Empty`]: it has no content;
    /// - [`Error::Decode`]: its compressed data is damaged;
    /// - [`Error::Limit`], [`Error::OutOfMemory`]: it needs more memory than allowed, or than there is;
    /// - [`Error::Unsupported`]: it is of a known format that is not read;
    /// - [`Error::Malformed`]: it contradicts its format.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let owned = || path.to_owned();
        let mut file = File::open(path).map_err(|cause| Error::Open { path: owned(), cause })?;
        let cannot_read = |cause| Error::Read { path: owned(), cause };
        let metadata = file.metadata().map_err(cannot_read)?;
        if metadata.is_dir() {
            return Err(Error::Directory { path: owned() });
        }
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
        Self::from_parts(path.to_owned(), compression, bytes, options)
    }

    /// Takes an image that is already in memory, compressed or not. `name` stands in for the path.
    ///
    /// # Errors
    ///
    /// As [`Image::open`], but for those that concern the file.
    pub fn from_bytes(
        name: impl Into<PathBuf>,
        bytes: Vec<u8>,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let name = name.into();
        let compression = Compression::detect(&bytes);
        let bytes = match compression {
            Some(compression) => compression.decode(&name, &bytes[..], options.decode_limit)?,
            None => bytes,
        };
        Self::from_parts(name, compression, Bytes::Owned(bytes), options)
    }

    fn from_parts(
        path: PathBuf,
        compression: Option<Compression>,
        bytes: Bytes,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let file = bytes.as_slice();
        if file.is_empty() {
            return Err(Error::Empty { path });
        }
        let format = match options.format {
            Some(format) => format,
            None => match detect(file) {
                Ok(format) => format,
                Err((format, hint)) => return Err(Error::Unsupported { path, format, hint }),
            },
        };
        match parse(format, file) {
            Ok(contents) => Ok(Self { path, format, compression, bytes, contents }),
            Err((offset, defect)) => Err(Error::Malformed { path, format, offset, defect }),
        }
    }
}

fn read_start(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start)?;
    Ok(start)
}

fn parse(format: Format, file: &[u8]) -> Checked<Contents> {
    match format {
        Format::Elf => elf::parse(file),
        Format::Raw => raw::parse(file),
    }
}

/// What the bytes look like. A format that is known but not read is an error (its name, and what can be done): taking
/// it for raw memory would give wrong answers.
fn detect(file: &[u8]) -> Result<Format, (&'static str, &'static str)> {
    const KNOWN: [(&[u8], &str, &str); 5] = [
        (b"KDUMP   ", "a kdump-compressed dump", ""),
        (b"makedumpfile\0\0\0\0", "a flattened kdump-compressed dump", ""),
        (b"EMiL\x01\0\0\0", "a LiME dump", ""),
        (b"\x1f\x8b\x08", "gzip compression", "; decompress it first"),
        (b"QEVM\0\0\0\x03", "a QEMU migration stream", "; dump-guest-memory writes what is read"),
    ];
    if file.starts_with(&elf::MAGIC) {
        return Ok(Format::Elf);
    }
    match KNOWN.iter().find(|(magic, ..)| file.starts_with(magic)) {
        Some(&(_, format, hint)) => Err((format, hint)),
        None => Ok(Format::Raw),
    }
}
