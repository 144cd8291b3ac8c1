//! `pt find`: every root and address that maps a physical address or range.

use std::io::Write;

use pt_core::{Format, FrameIndex, Leaves, Options, Walk};

use crate::arguments::FindArguments;
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::with_format;
use crate::show::{Rights, page_size};

pub(crate) fn run(arguments: &FindArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open_all(&arguments.all)?.with_readable_roots()?;
    with_format!(guest.paging, |format| print(format, &guest, arguments, out))
}

fn print<F: Format>(
    format: F,
    guest: &Guest,
    arguments: &FindArguments,
    out: &mut Output,
) -> anyhow::Result<()> {
    let leaves = Leaves::RunsIgnoringAccessedDirty;
    let options = Options { range: guest.range.clone(), leaves, ..Options::default() };
    let walk = Walk::new(format, &guest.image, &guest.roots, options);
    let index = FrameIndex::new::<F>(walk)?;
    for frames in &arguments.frames {
        let (first, last) = (frames.start(), frames.end());
        let asked = if first == last { format!("{first:#x}") } else { format!("{first:#x}..={last:#x}") };
        writeln!(out, "{}", out.tone(Tone::Heading, asked))?;
        let mut none = true;
        for found in index.find::<F>(frames.clone()) {
            none = false;
            let leaf = found.leaf;
            // One address is asked for: say where it is, not where its page begins.
            let offset = if first == last { first - leaf.pa } else { 0 };
            let root = guest.roots[leaf.space as usize];
            write!(out, "  root {root:#x} {:016x} -> {:#x}", leaf.va + offset, leaf.pa + offset)?;
            let rights = out.tone(Output::tone_of(leaf.rights), Rights(leaf.rights));
            write!(out, ", {} x {}, {rights}", leaf.pages, page_size::<F>(leaf.level))?;
            match found.paths - 1 {
                0 => writeln!(out)?,
                1 => writeln!(out, ", and 1 more path")?,
                more => writeln!(out, ", and {more} more paths")?,
            }
        }
        if none {
            writeln!(out, "  not mapped by the {} root(s) that were walked", guest.roots.len())?;
        }
    }
    Ok(())
}
