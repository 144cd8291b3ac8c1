//! A file that is written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

use crate::show::Quoted;

/// A text that is written, under another name than the file's. Dropped without a commit, it is removed.
#[derive(Debug)]
pub(crate) struct Whole {
    text: NamedTempFile,
    path: PathBuf,
}

impl Whole {
    /// Writes a text beside the file. A link stays one: what it leads to is what is replaced.
    pub(crate) fn stage(path: &Path, text: &[u8]) -> anyhow::Result<Self> {
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            bail!("{} is not a file", Quoted(path));
        }
        Self::beside(path, text).with_context(|| cannot_write(path))
    }

    fn beside(path: &Path, text: &[u8]) -> io::Result<Self> {
        let path = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(text)?;
        Ok(Self { text: file, path })
    }

    /// Gives the text the file's name.
    pub(crate) fn commit(self) -> anyhow::Result<()> {
        let Self { text, path } = self;
        text.persist(&path).with_context(|| cannot_write(&path))?;
        Ok(())
    }
}

/// Writes a file whole or not at all; into what is no file (a pipe, a device), directly.
pub(crate) fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text).with_context(|| cannot_write(path));
    }
    Whole::stage(path, text)?.commit()
}

fn cannot_write(path: &Path) -> String {
    format!("{} cannot be written", Quoted(path))
}

/// Whether two paths lead to one file.
pub(crate) fn same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}
