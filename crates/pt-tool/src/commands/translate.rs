//! `pt translate`: every level's entry, then where it leads or which level fails and why, and what becomes of an access.

use std::io::{self, Write};

use pt_core::{Entry, Format, Geometry, Memory, Step, TranslateError, Translation, trace};
use pt_x86::{Access, ControlRegisters, CpuState, memory_type_index, protection_key};

use crate::arguments::TranslateArguments;
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::with_format;
use crate::show::{Letters, Rights, page_size};

pub(crate) fn run(arguments: &TranslateArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open(&arguments.spaces)?;
    with_format!(guest.paging, |format| {
        for &root in &guest.roots {
            for &va in &arguments.addresses {
                print(&format, &guest, root, va, out)?;
                if let Some(access) = arguments.access.access() {
                    judge(&format, &guest, root, va, access, out)?;
                }
            }
        }
    });
    Ok(())
}

fn print<F: Format>(format: &F, guest: &Guest, root: u64, va: u64, out: &mut Output) -> io::Result<()> {
    let heading = format!("{va:#x} in root {root:#x} ({})", guest.paging.mode());
    writeln!(out, "{}", out.tone(Tone::Heading, heading))?;
    if !guest.range.contains(&va) {
        return writeln!(out, "  {}", out.tone(Tone::Muted, "outside --range, not looked at"));
    }
    let mut steps = Vec::new();
    let result = trace(format, &guest.image, root, va, |step| steps.push(step));
    for step in &steps {
        writeln!(out, "  {}", shown(format, step))?;
    }
    match result {
        Ok(translation) => found::<F>(&translation, guest, out),
        Err(error) => {
            let reason = out.tone(Tone::Fault, format!("not mapped: {}", explained::<F>(&error)));
            writeln!(out, "  {reason}")
        }
    }
}

/// What the CPU makes of an access. Addresses that are not looked at are not judged either.
fn judge<F: Format<Rights = pt_x86::Rights>>(
    format: &F,
    guest: &Guest,
    root: u64,
    va: u64,
    access: Access,
    out: &mut Output,
) -> io::Result<()> {
    if !guest.range.contains(&va) {
        return Ok(());
    }
    let control = ControlRegisters { cr3: root, ..guest.cpu.control };
    let cpu = CpuState { control, ..guest.cpu };
    match cpu.translate(format, &guest.image, va, access) {
        Ok(found) => {
            let (pat, key) = (memory_type_index(found.level, found.raw), protection_key(found.raw));
            writeln!(out, "  {access}: permitted, PAT entry {pat}, protection key {key}")
        }
        Err(fault) => writeln!(out, "  {}", out.tone(Tone::Fault, fault)),
    }
}

/// One entry: what it is called, where it stands, what it says.
fn shown<F: Format>(format: &F, step: &Step) -> String {
    let name = format!("{}E", F::table_name(step.level));
    let raw = step.raw;
    let meaning = match format.decode(step.level, raw) {
        Entry::Absent => "not present".to_owned(),
        Entry::Table(table) => format!("{} table at {table:#x}", Letters::of(step.level, raw)),
        Entry::Leaf(page) => {
            format!("{} {} page at {page:#x}", Letters::of(step.level, raw), page_size::<F>(step.level))
        }
        Entry::Malformed { reserved } => format!("reserved bits {reserved:#x} set"),
    };
    format!("{name:<6} at {:#x}: {raw:#018x}  {meaning}", step.entry)
}

fn found<F: Format>(translation: &Translation<F::Rights>, guest: &Guest, out: &mut Output) -> io::Result<()> {
    let size = page_size::<F>(translation.level);
    let rights = out.tone(Output::tone_of(translation.rights), Rights(translation.rights));
    writeln!(out, "  maps to {:#x}, {size} page, {rights}", translation.pa)?;
    match guest.image.read(translation.pa, &mut [0]) {
        Ok(()) => Ok(()),
        Err(why) => writeln!(out, "  {}", out.tone(Tone::Muted, format!("the frame is {why}"))),
    }
}

/// The error with the failing entry by its name.
fn explained<F: Format>(error: &TranslateError) -> String {
    match error {
        TranslateError::NotPresent { level, entry, raw } => {
            format!("{}E at {entry:#x} = {raw:#x} is not present", F::table_name(*level))
        }
        TranslateError::NonCanonical { va } if !F::SIGN_EXTENDED => {
            format!("{va:#x} is past the end of the address space, {:#x}", F::VA_MASK)
        }
        other => other.to_string(),
    }
}
