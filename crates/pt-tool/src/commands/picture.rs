//! `pt picture`: the spaces side by side along the address axis, coloured by rights, shared tables drawn once.

mod axis;
mod blocks;
mod draw;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use pt_core::{Format, Leaves, Options, Walk};

use crate::arguments::{PictureArguments, wrong_usage};
use crate::guest::Guest;
use crate::output::Output;
use crate::paging::with_format;

pub(crate) fn run(arguments: &PictureArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open_all(&arguments.all)?.with_readable_roots()?;
    if same_file(&arguments.output, guest.image.path()) {
        return wrong_usage("the picture would replace the image");
    }
    let svg = with_format!(guest.paging, |format| picture(format, &guest))?;
    write(&arguments.output, &svg)?;
    writeln!(out, "{}: {} spaces", arguments.output.display(), guest.roots.len())?;
    Ok(())
}

fn picture<F: Format>(format: F, guest: &Guest) -> anyhow::Result<String> {
    let leaves = Leaves::RunsIgnoringAccessedDirty;
    let options = Options { range: guest.range.clone(), leaves, ..Options::default() };
    let walk = Walk::new(format, &guest.image, &guest.roots, options);
    let columns = blocks::columns::<F>(walk, guest.roots.len())?;
    let axis = axis::Axis::of(&columns);
    Ok(draw::Picture { columns: &columns, axis: &axis, guest }.svg::<F>())
}

/// Writes the file whole or not at all: under another name first, unless it is no regular file (a pipe, a device).
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = match fs::metadata(path) {
        Ok(there) if !there.is_file() => fs::write(path, text),
        // A link stays one: what it leads to is replaced.
        Ok(_) => fs::canonicalize(path).and_then(|there| replace(&there, text)),
        Err(_) => replace(path, text),
    };
    written.with_context(|| format!("{} cannot be written", path.display()))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut unfinished = builder.tempfile_in(folder)?;
    unfinished.write_all(text.as_bytes())?;
    unfinished.persist(path)?;
    Ok(())
}

/// Whether two paths lead to one file.
fn same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}
