//! `pt walk`: all spaces together, every table once.

mod events;
mod summary;

use pt_core::{Counter, Format, Leaves, Options, SpaceCounts, Walk};

use crate::arguments::WalkArguments;
use crate::guest::Guest;
use crate::output::Output;
use crate::paging::with_format;

pub(crate) fn run(arguments: &WalkArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open_all(&arguments.all)?;
    with_format!(guest.paging, |format| {
        if arguments.events {
            return events::print(format, &guest, out);
        }
        let spaces = count(format, &guest)?;
        if arguments.json {
            summary::print_json(format, &guest, &spaces, out)
        } else {
            summary::print(format, &guest, &spaces, out)
        }
    })
}

fn count<F: Format>(format: F, guest: &Guest) -> anyhow::Result<Vec<SpaceCounts>> {
    let leaves = Leaves::RunsIgnoringAccessedDirty;
    let options = Options { range: guest.range.clone(), leaves, ..Options::default() };
    let walk = Walk::new(format, &guest.image, &guest.roots, options);
    let (mut counter, mut ended) = (Counter::new(), None);
    // Not `try_for_each`, which would go through `next`.
    walk.for_each(|event| match event {
        Ok(event) => counter.observe::<F>(&event),
        Err(limit) => ended = Some(limit),
    });
    match ended {
        Some(limit) => Err(limit.into()),
        None => Ok(counter.spaces()),
    }
}
