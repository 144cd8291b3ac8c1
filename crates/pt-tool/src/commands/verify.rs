//! `pt verify`: the spaces of a new image are those of the old one, from the files alone.

use std::hash::Hash;
use std::io::Write;

use anyhow::{Context, anyhow, ensure};
use pt_core::Encode;
use pt_image::{Image, OpenOptions};
use pt_rebuild::{Proof, Verified, verify};

use crate::arguments::{Frames, Pages, VerifyArguments};
use crate::output::Output;
use crate::paging::with_format;
use crate::progress::Progress;
use crate::report::Report;
use crate::show::{Quoted, Spaces};

/// How many tables may be read on each side: far beyond any real guest, and seconds of work.
const MOST_TABLES: u64 = 1 << 22;

pub(crate) fn run(arguments: &VerifyArguments, out: &mut Output) -> anyhow::Result<()> {
    let report = Report::read(&arguments.report)?;
    let old = arguments.old.open()?;
    let new = Image::open(&arguments.new, &OpenOptions::new())?;
    let proved = with_format!(report.paging.paging(), |format| prove(&format, &old, &new, &report));
    let Verified { spaces, tables, mapped, bytes, unreadable, live_tables, .. } =
        proved.with_context(|| Quoted(&arguments.new).to_string())?;
    let path = arguments.new.display();
    writeln!(out, "{path}: {} as in {}", Spaces(spaces), old.path().display())?;
    writeln!(
        out,
        "tables: {} became {}, {live_tables} of them where pages map them",
        tables.old, tables.new
    )?;
    writeln!(out, "mapped: {} bytes became {}", mapped.old, mapped.new)?;
    writeln!(out, "compared: {bytes} bytes; {unreadable} more are not in the old image")?;
    Ok(())
}

/// Proves that each space of a report is in the new image what it was in the old one, and that the CPUs are in them.
pub(crate) fn prove<F: Encode<Rights: Hash>>(
    format: &F,
    old: &Image,
    new: &Image,
    report: &Report,
) -> anyhow::Result<Verified> {
    let choices = report.options.choices;
    let map = report.frame_map().context("the report's map of frames")?;
    let merged = choices.frames == Frames::Dedup;
    let proof = Proof {
        range: report.options.range.0.clone(),
        table_frames: choices.table_frames.into(),
        sizes: merged || choices.pages != Pages::Keep,
        merged,
        faults: choices.faults.into(),
        frames: Some(&map),
        limit: MOST_TABLES,
    };
    let roots = report.roots();
    let progress = Progress::bytes(report.bytes.held);
    let verified = verify(format, old, &progress.watch(new), &roots, &proof);
    let verified = verified.map_err(|difference| anyhow!("{difference}"))?;

    ensure!(
        old.cpus().len() == new.cpus().len(),
        "has {} CPUs, and the old image {}",
        new.cpus().len(),
        old.cpus().len()
    );
    for (number, (old, new)) in old.cpus().iter().zip(new.cpus()).enumerate() {
        let space = roots.iter().find(|space| format.root(space.old) == format.root(old.cr3));
        let expected = space.map_or(Some(old.cr3), |space| format.with_root(old.cr3, format.root(space.new)));
        ensure!(
            expected == Some(new.cr3),
            "CR3 of cpu {number} is {:#x}: {:#x} became another root",
            new.cr3,
            old.cr3
        );
    }
    Ok(verified)
}
