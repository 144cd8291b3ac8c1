//! `pt walk --events`: the stream, an event per line.

use std::io::{self, Write};

use pt_core::{Event, Format, Leaves, Level, Options, Space, Walk};

use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::show::{Letters, Rights, page_size};

pub(super) fn print<F: Format>(format: F, guest: &Guest, out: &mut Output) -> anyhow::Result<()> {
    let options =
        Options { range: guest.range.clone(), leaves: Leaves::Runs, absent: true, ..Options::default() };
    let mut current: Option<Space> = None;
    for event in Walk::new(format, &guest.image, &guest.roots, options) {
        let event = event?;
        if current != Some(event.space()) {
            current = Some(event.space());
            let heading = format!("space {} root {:#x}", event.space(), guest.roots[event.space() as usize]);
            writeln!(out, "{}", out.tone(Tone::Heading, heading))?;
        }
        line::<F>(&event, guest, out)?;
    }
    Ok(())
}

/// Two columns per level, so that the tree shows: tables at their depth, what they hold one further.
fn indent<F: Format>(level: Level, holds: bool) -> usize {
    2 * (1 + level.depth::<F>() + usize::from(holds))
}

fn line<F: Format>(event: &Event<F::Rights>, guest: &Guest, out: &mut Output) -> io::Result<()> {
    match event {
        Event::Table(table) => {
            let name = F::table_name(table.level);
            write!(out, "{:1$}", "", indent::<F>(table.level, false))?;
            write!(out, "{:016x} {name} #{} at {:#x}", table.va, table.id.0, table.address)?;
            write!(out, ", link {:#x}, {}", table.link.raw, Rights(table.rights))?;
            match table.first_met {
                Some(first) => writeln!(out, ", first met as #{}", first.0),
                None => writeln!(out),
            }
        }
        Event::Leaf(leaf) => {
            let letters = Letters::of(leaf.level, leaf.raw);
            write!(out, "{:1$}", "", indent::<F>(leaf.level, true))?;
            write!(
                out,
                "{:016x} page {:#x}, {} x {}",
                leaf.va,
                leaf.pa,
                leaf.pages,
                page_size::<F>(leaf.level)
            )?;
            let rights = out.tone(Output::tone_of(leaf.rights), Rights(leaf.rights));
            writeln!(out, ", entry {:#x} {letters}, {rights}", leaf.raw)
        }
        Event::Alias(alias) => {
            let name = F::table_name(alias.level);
            let owner = if alias.owner == alias.space {
                "this space".to_owned()
            } else {
                format!("space {} root {:#x}", alias.owner, guest.roots[alias.owner as usize])
            };
            write!(out, "{:1$}", "", indent::<F>(alias.level, false))?;
            write!(out, "{:016x} alias of {name} #{} at {:#x}", alias.our_va, alias.table.0, alias.address)?;
            write!(out, ", which {owner} has at {:016x}", alias.their_va)?;
            writeln!(out, ", link {:#x}, {}", alias.link.raw, Rights(alias.rights))
        }
        Event::Absent(absent) => {
            write!(out, "{:1$}", "", indent::<F>(absent.level, true))?;
            writeln!(out, "{:016x} absent, entry {:#x} at {:#x}", absent.va, absent.raw, absent.entry)
        }
        Event::Fault(fault) => {
            let fault = out.tone(Tone::Fault, format!("{:016x} fault: {}", fault.va, fault.cause));
            writeln!(out, "  {fault}")
        }
    }
}
