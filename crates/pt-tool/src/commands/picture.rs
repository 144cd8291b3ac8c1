//! `pt picture`: the spaces side by side along the address axis, coloured by rights, shared tables drawn once.

mod axis;
mod blocks;
mod draw;

use std::io::Write;

use pt_core::{Format, Leaves, Options, Walk};

use crate::arguments::{PictureArguments, wrong_usage};
use crate::guest::Guest;
use crate::output::Output;
use crate::paging::with_format;
use crate::show::Spaces;
use crate::whole::{self, same_file};

pub(crate) fn run(arguments: &PictureArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open_all(&arguments.all)?.with_readable_roots()?;
    if same_file(&arguments.output, guest.image.path()) {
        return wrong_usage("the picture would replace the image");
    }
    let svg = with_format!(guest.paging, |format| picture(format, &guest))?;
    whole::write(&arguments.output, svg.as_bytes())?;
    writeln!(out, "{}: {}", arguments.output.display(), Spaces(guest.roots.len() as u64))?;
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
