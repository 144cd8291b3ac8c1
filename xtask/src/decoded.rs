//! An image as a file that is not compressed, so that programs that open it often decode it once.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lzma_rust2::XzReader;
use tempfile::NamedTempFile;

/// The image itself, or a decoded copy of it that is removed when this is dropped.
#[derive(Debug)]
pub(crate) enum Decoded {
    Itself(PathBuf),
    Copy(NamedTempFile),
}

impl Decoded {
    /// What ends in `.xz` is decoded.
    pub(crate) fn of(image: &Path) -> Result<Self> {
        if image.extension().is_none_or(|extension| extension != "xz") {
            return Ok(Self::Itself(image.to_owned()));
        }
        let decode = || {
            let mut copy = NamedTempFile::new()?;
            let mut reader = XzReader::new(BufReader::new(File::open(image)?), true);
            let mut writer = BufWriter::with_capacity(1 << 16, &mut copy);
            std::io::copy(&mut reader, &mut writer)?;
            writer.flush()?;
            drop(writer);
            std::io::Result::Ok(copy)
        };
        Ok(Self::Copy(decode().with_context(|| image.display().to_string())?))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Itself(path) => path,
            Self::Copy(copy) => copy.path(),
        }
    }
}
