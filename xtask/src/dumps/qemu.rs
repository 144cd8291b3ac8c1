//! What QEMU writes by itself: `dump-guest-memory`, as ELF core and in each kdump form that it was built with.
//!
//! The machine's memory is a raw file with a guest's tables, its registers are that guest's, and it never runs: what is in
//! the dump is known to the byte, and `pt roots` has to find in it what it finds in the guest's own image.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::Bench;
use crate::elf_core::flatten;
use crate::oracle::Guest;
use crate::qemu::{GRANULE, Mmu};

/// The dumps of one guest. Returns how many were compared.
pub(super) fn round_trips(bench: &Bench, guest: &Guest) -> Result<usize> {
    let memory = memory(bench, guest)?;
    let root = *guest.roots.first().context("no root")?;
    let mut mmu = Mmu::with_memory(&memory, guest.paging)?;
    mmu.set_root(root)?;
    // The other one is Windows's.
    let mut formats = mmu.dump_formats()?;
    formats.retain(|format| format == "elf" || format.starts_with("kdump-"));
    ensure!(formats.len() > 1, "this QEMU writes {formats:?} only");
    let expected = bench.roots(guest.image.path(), &["--root", &format!("{root:#x}")])?;
    let first = formats.first().cloned().unwrap_or_default();
    for format in &formats {
        let file = bench.file(format)?;
        mmu.dump(format, &file)?;
        let file = std::slice::from_ref(&file);
        bench.compare(&format!("QEMU {format}, with the memory"), &memory, file)?;
        bench.compare(&format!("QEMU {format}, with {first}"), &bench.folder.path().join(&first), file)?;
        ensure!(bench.roots(&file[0], &[])? == expected, "{format}: other roots are found");
    }
    Ok(formats.len())
}

/// A raw file with the guest's memory, laid out by a reader of cores that is not pt-image's.
pub(super) fn memory(bench: &Bench, guest: &Guest) -> Result<PathBuf> {
    let memory = bench.file("memory.raw")?;
    let (from, to) = (File::open(guest.image.path())?, File::create(&memory)?);
    flatten(&from, &to, GRANULE)?;
    Ok(memory)
}
