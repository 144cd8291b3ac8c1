//! `pt picture`: the spaces side by side along the address axis, coloured by rights, shared tables drawn once.

mod axis;
mod blocks;
mod draw;

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use pt_core::{Format, Leaves, Options, Walk};

use crate::arguments::PictureArguments;
use crate::guest::Guest;
use crate::output::Output;
use crate::paging::with_format;

pub(crate) fn run(arguments: &PictureArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open_all(&arguments.all)?;
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

/// Writes the file whole or not at all: under another name first.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // What could not be written is not worth keeping; that it cannot be removed either adds nothing.
        let _ = fs::remove_file(&unfinished);
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
}
