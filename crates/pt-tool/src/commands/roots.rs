//! `pt roots`: the roots of all address spaces, and what tells them; without any to begin with, what may be one.

use std::io::Write;

use anyhow::{Context, bail};
use pt_image::Image;
use pt_vcpu::{FoundRoot, RankLimits, Reason, RootsError, RootsLimits, rank_roots};
use pt_x86::Mode;

use crate::arguments::{RootsArguments, SpaceArguments, wrong_usage};
use crate::guest::{self, Guest};
use crate::output::Output;
use crate::progress::Progress;
use crate::show::Quoted;

pub(crate) fn run(arguments: &RootsArguments, out: &mut Output) -> anyhow::Result<()> {
    let spaces = &arguments.spaces;
    if spaces.range.is_some() {
        return wrong_usage("--range is about virtual addresses; roots are searched in all memory");
    }
    let image = spaces.image.source.open()?;
    if spaces.roots.is_empty() && image.cpus().iter().all(|cpu| cpu.mode() == Mode::Unpaged) {
        return rank(arguments, &image, out);
    }
    let guest = Guest::of_image(image, spaces)?;
    let limits = RootsLimits { roots: arguments.max_roots, ..RootsLimits::default() };
    let (roots, ended) = match guest.search(&limits)? {
        Ok(roots) => (roots, Ok(())),
        Err(RootsError { found, cause }) => (found, Err(cause)),
    };
    for found in roots {
        let reason = reason(&found, &guest, spaces.roots.is_empty());
        writeln!(out, "{:#x} {} {reason}", found.root, guest.paging.mode())?;
    }
    ended.with_context(|| Quoted(guest.image.path()).to_string())
}

/// No root is known: what may be one, the best first.
fn rank(arguments: &RootsArguments, image: &Image, out: &mut Output) -> anyhow::Result<()> {
    // Nobody says whether this guest ran under TCG.
    let spaces = SpaceArguments { lenient: !arguments.spaces.strict, ..arguments.spaces.clone() };
    let modes = match spaces.image.mode {
        Some(mode) => vec![mode],
        None => vec![Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel],
    };
    let modes: Vec<_> = modes.into_iter().map(|mode| guest::reading(mode, image, &spaces).paging()).collect();
    let held = image.ranges().filter(|range| range.held > 0);
    let exists: Vec<_> = held.map(|range| range.start..=range.start + (range.held - 1)).collect();
    let searched = image.content_ranges();
    let progress = Progress::over(&searched);
    let limits = RankLimits { candidates: arguments.candidates, ..RankLimits::default() };
    let ranked = rank_roots(&modes, image, &exists, progress.of(searched), &limits);
    drop(progress);
    if ranked.is_empty() {
        bail!("{}: no page makes sense as a root", Quoted(image.path()));
    }
    for candidate in ranked {
        writeln!(out, "{:#x} {} candidate: {candidate}", candidate.root, candidate.mode)?;
    }
    Ok(())
}

/// Why a root was reported; where the roots to begin with were the CPUs', which CPUs.
fn reason(found: &FoundRoot, guest: &Guest, of_cpus: bool) -> String {
    let rest = match found.reason {
        Reason::Given if of_cpus => "",
        Reason::GivenEmpty if of_cpus => "; its kernel part is empty, others cannot be told by it",
        Reason::GivenUnreadable if of_cpus => "; it cannot be read",
        other => return other.to_string(),
    };
    let address = |cr3| guest.paging.root(cr3);
    let cpus = guest.image.cpus().iter().enumerate().filter(|(_, cpu)| address(cpu.cr3) == Some(found.root));
    let cpus: Vec<String> = cpus.map(|(number, _)| number.to_string()).collect();
    format!("CR3 of cpu {}{rest}", cpus.join(", "))
}
