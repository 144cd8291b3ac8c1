//! `pt info`: what the image is.

use std::io::Write;

use pt_vcpu::{Machine, Paging, Registers};

use crate::arguments::ImageArguments;
use crate::output::{Output, Tone};
use crate::show::Size;

pub(crate) fn run(arguments: &ImageArguments, out: &mut Output) -> anyhow::Result<()> {
    let image = arguments.source.open()?;
    let compression = image.compression().map(|compression| format!(", {compression}")).unwrap_or_default();
    writeln!(out, "{}: {}{compression}", out_path(&image), image.format())?;

    let ranges = image.ranges();
    writeln!(
        out,
        "memory: {} in {} range(s), {} held by the image",
        Size(image.memory_bytes()),
        ranges.len(),
        Size(image.held_bytes()),
    )?;
    for range in ranges {
        let line = format!(
            "  {:#018x}..={:#018x}  {:>10}",
            range.start,
            range.start + (range.len - 1),
            Size(range.len)
        );
        let missing =
            if range.held < range.len { format!("  ({} held)", Size(range.held)) } else { String::new() };
        writeln!(out, "{line}{missing}")?;
    }

    if image.cpus().is_empty() {
        writeln!(out, "cpus: {} (no control registers: name --mode and --root)", image.prstatus_count())?;
    }
    for (index, cpu) in image.cpus().iter().enumerate() {
        let mode = arguments.mode.unwrap_or_else(|| cpu.control_registers().mode());
        let heading = out.tone(Tone::Heading, format!("cpu {index}: {mode}"));
        writeln!(out, "{heading}")?;
        let registers = Registers::from(cpu.control_registers());
        if let Some(root) = Paging::of_mode(mode, &registers, &Machine::default()).root(cpu.cr3) {
            writeln!(out, "  root {root:#x}")?;
        }
        writeln!(out, "  cr0 {:#x}  cr2 {:#x}  cr3 {:#x}  cr4 {:#x}", cpu.cr0, cpu.cr2, cpu.cr3, cpu.cr4)?;
        let efer = cpu.efer.map_or_else(|| "not recorded".to_owned(), |efer| format!("{:#x}", efer.bits()));
        writeln!(
            out,
            "  rip {:#x}  rsp {:#x}  rflags {:#x}  efer {efer}",
            cpu.rip, cpu.general.rsp, cpu.rflags
        )?;
    }
    for note in image.notes() {
        let name = String::from_utf8_lossy(note.name);
        writeln!(out, "note: {name:?} type {:#x}, {} bytes", note.kind, note.bytes.len())?;
    }
    Ok(())
}

fn out_path(image: &pt_image::Image) -> std::path::Display<'_> {
    image.path().display()
}
