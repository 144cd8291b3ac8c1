//! xz and zstd, decoded into memory within a limit.
//!
//! Memory follows the data that arrived, never a size that a header claims: the output grows by doubling as bytes come
//! out of the decoder, and so does xz's dictionary. zstd's window is the exception: up to 128 MiB of it (the format's
//! usual maximum; larger ones are refused) are reserved when a frame starts, and become real only as data fills them.

use crate::error::Error;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, DEFAULT_MAX_WINDOW_SIZE};
use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;

/// How an image file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// xz: any number of streams and blocks.
    Xz,
    /// Zstandard: any number of frames.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// What the first bytes of a file say.
    pub(crate) fn detect(start: &[u8]) -> Option<Self> {
        if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
            Some(Self::Xz)
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// All that `input` decodes to.
    pub(crate) fn decode(self, path: &Path, input: impl BufRead, limit: u64) -> Result<Vec<u8>, Error> {
        let (mut bytes, result) = match self {
            Self::Xz => collect(lzma_rust2::XzReader::new(input, true), limit),
            Self::Zstd => collect(ZstdFrames::new(input), limit),
        };
        let decoded = bytes.len() as u64;
        let path = || path.to_owned();
        match result {
            Ok(()) => {
                bytes.shrink_to_fit();
                Ok(bytes)
            }
            Err(Stop::Limit) => Err(Error::Limit {
                path: path(),
                limit,
                origin: match self {
                    Self::Xz => "decoded from xz",
                    Self::Zstd => "decoded from zstd",
                },
            }),
            Err(Stop::OutOfMemory) => Err(Error::OutOfMemory { path: path(), decoded }),
            Err(Stop::Io(cause)) => {
                Err(Error::Decode { path: path(), compression: self, decoded, reason: one_line(&cause) })
            }
        }
    }
}

/// An uncompressed stream, read into memory: for pipes, and for files that are not to be mapped.
pub(crate) fn read_all(path: &Path, input: impl Read, limit: u64) -> Result<Vec<u8>, Error> {
    let (bytes, result) = collect(input, limit);
    let path = || path.to_owned();
    match result {
        Ok(()) => Ok(bytes),
        Err(Stop::Limit) => Err(Error::Limit { path: path(), limit, origin: "read, not mapped" }),
        Err(Stop::OutOfMemory) => Err(Error::OutOfMemory { path: path(), decoded: bytes.len() as u64 }),
        Err(Stop::Io(cause)) => Err(Error::Read { path: path(), cause }),
    }
}

/// Why collecting ended early.
enum Stop {
    Limit,
    OutOfMemory,
    Io(io::Error),
}

/// Reads `input` to its end, but at most `limit` bytes. What was read before it stopped comes along.
fn collect(mut input: impl Read, limit: u64) -> (Vec<u8>, Result<(), Stop>) {
    const STEP: usize = 1 << 20;
    let mut bytes = Vec::new();
    loop {
        // One byte more than the limit tells a file that fits exactly from one that does not.
        let left = limit.saturating_add(1).saturating_sub(bytes.len() as u64).min(STEP as u64);
        if bytes.try_reserve(left as usize).is_err() {
            return (bytes, Err(Stop::OutOfMemory));
        }
        match input.by_ref().take(left).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > limit => return (bytes, Err(Stop::Limit)),
            Ok(0) => return (bytes, Ok(())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                return (bytes, Err(Stop::OutOfMemory));
            }
            Err(error) => return (bytes, Err(Stop::Io(error))),
        }
    }
}

/// A decoder's message, whatever it contains, as one line.
fn one_line(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "it ends early".to_owned();
    }
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All frames of a zstd file, one after the other, checksums verified.
///
/// `ruzstd` decodes one frame and leaves what follows to its caller; multi-threaded compressors write many.
struct ZstdFrames<R> {
    input: R,
    decoder: FrameDecoder,
    /// Whether a frame was begun and its end not yet seen.
    in_frame: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(DEFAULT_MAX_WINDOW_SIZE);
        Self { input, decoder, in_frame: false }
    }

    /// Begins the next frame. `false` at the end of the input.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(&mut self.input.by_ref().take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Compares the checksum of the frame that just ended, if it has one.
    fn check(&self) -> io::Result<()> {
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "wrong frame checksum"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let read = self.decoder.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            self.check()?;
            self.in_frame = false;
        }
    }
}
