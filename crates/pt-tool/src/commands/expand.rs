//! All pages of all spaces by all paths, for commands that print them.
//!
//! Aliases are expanded, so a few tables can have billions of paths: what is found is handed on at once, and there is a limit.

use std::io::{self, Write};

use anyhow::bail;
use pt_core::{Event, Format, Leaf, Leaves, Options, Recording, Space, Walk};

use crate::arguments::PagesArguments;
use crate::guest::Guest;
use crate::output::Output;
use crate::show::Faults;

/// Calls `each` with every page or run of a space, in ascending order, and with nothing at its end. Each of several spaces has a
/// heading. What cannot be followed is told at the end.
pub(super) fn pages<F: Format>(
    format: F,
    guest: &Guest,
    leaves: Leaves,
    arguments: &PagesArguments,
    out: &mut Output,
    mut each: impl FnMut(Option<Leaf<F::Rights>>, &mut Output) -> io::Result<()>,
) -> anyhow::Result<()> {
    let options = Options { range: guest.range.clone(), leaves, ..Options::default() };
    let walk = Walk::new(format.clone(), &guest.image, &guest.roots, options);
    let recording = Recording::new(format, walk)?;
    let mut faults = Faults::default();
    let mut left = arguments.max_pages;
    for (space, root) in guest.roots.iter().enumerate() {
        if guest.roots.len() > 1 {
            writeln!(out, "# root {root:#x}")?;
        }
        for event in recording.expand(space as Space) {
            if left == 0 {
                each(None, out)?;
                faults.tell(guest);
                let (limit, va) = (arguments.max_pages, event.va());
                bail!("limit of {limit} pages reached at {va:#x} in root {root:#x} (--max-pages)");
            }
            left -= 1;
            match event {
                Event::Leaf(leaf) => each(Some(leaf), out)?,
                Event::Fault(fault) => faults.count(&fault),
                _ => {}
            }
        }
        each(None, out)?;
    }
    faults.tell(guest);
    Ok(())
}
