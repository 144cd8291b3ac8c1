//! Files that the command writes: whole or not at all, and never over what it reads.

use std::fs;
use std::path::Path;

use anyhow::Context;
use pt_image::Staged;

use crate::show::Quoted;

/// Writes a file whole or not at all; into what is no file (a pipe, a device), directly.
pub(crate) fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text).with_context(|| format!("{} cannot be written", Quoted(path)));
    }
    Ok(Staged::text(path, text)?.commit()?)
}

/// Whether two paths lead to one file.
pub(crate) fn same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}
