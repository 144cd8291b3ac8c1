//! `pt roots`: the roots of all address spaces, and what tells them.

use std::io::Write;

use anyhow::bail;
use pt_core::Format;
use pt_vcpu::{FoundRoot, Reason, RootsLimits};

use crate::arguments::RootsArguments;
use crate::guest::{self, Guest};
use crate::output::Output;
use crate::paging::with_format;

pub(crate) fn run(arguments: &RootsArguments, out: &mut Output) -> anyhow::Result<()> {
    let spaces = &arguments.spaces;
    if spaces.range.is_some() {
        bail!("--range is about virtual addresses; roots are searched in all memory");
    }
    let guest = Guest::of_image(guest::open(&spaces.image)?, spaces)?;
    let limits = RootsLimits { roots: arguments.max_roots, ..RootsLimits::default() };
    for found in guest.find_roots(&limits)? {
        let reason = reason(&found, &guest, spaces.roots.is_empty());
        writeln!(out, "{:#x} {} {reason}", found.root, guest.mode)?;
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
    let address = |cr3| with_format!(guest.paging, |format| format.root(cr3));
    let cpus = guest.image.cpus().iter().enumerate().filter(|(_, cpu)| address(cpu.cr3) == found.root);
    let cpus: Vec<String> = cpus.map(|(number, _)| number.to_string()).collect();
    format!("CR3 of cpu {}{rest}", cpus.join(", "))
}
