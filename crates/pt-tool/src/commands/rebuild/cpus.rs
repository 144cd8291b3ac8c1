//! Where the CPUs' CR3 lead, before and after.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use pt_core::Encode;
use pt_image::{Cpu, Image};
use pt_rebuild::NewRoot;
use pt_x86::Mode;

use crate::guest::Guest;
use crate::show::Quoted;

/// An error if CPUs translate in different modes: roots of both cannot be rebuilt together.
pub(super) fn in_one_mode(image: &Image) -> anyhow::Result<()> {
    let mut modes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, cpu) in paged(image) {
        modes.entry(cpu.mode().name()).or_default().push(format!("{:#x} of cpu {number}", cpu.cr3));
    }
    if modes.len() > 1 {
        let roots = modes.iter().map(|(mode, roots)| format!("{mode} (CR3 {})", roots.join(", ")));
        let roots: Vec<_> = roots.collect();
        bail!(
            "{}: roots are in different paging modes, which cannot be rebuilt together: {}; name --mode and --root",
            Quoted(image.path()),
            roots.join("; ")
        );
    }
    Ok(())
}

/// The CPUs that translate.
fn paged(image: &Image) -> impl Iterator<Item = (usize, &Cpu)> {
    image.cpus().iter().enumerate().filter(|(_, cpu)| cpu.mode() != Mode::Unpaged)
}

/// CR3 of each CPU that is in a space that was rebuilt. That of another leads to its old tables, so that these must stay.
pub(super) fn moved<F: Encode>(
    format: &F,
    guest: &Guest,
    roots: &[NewRoot],
    old_tables_stay: bool,
) -> anyhow::Result<Vec<(usize, u64)>> {
    let path = Quoted(guest.image.path());
    let mut moved = Vec::new();
    for (number, cpu) in paged(&guest.image) {
        let root = format.root(cpu.cr3);
        if let Some(space) = roots.iter().find(|space| format.root(space.old) == root) {
            moved.push((number, register(format, cpu.cr3, space).context("CR3 cannot hold the new root")?));
        } else if old_tables_stay {
            eprintln!(
                "pt: {path}: cpu {number} is not in a space that is rebuilt: its CR3 {:#x} stays",
                cpu.cr3
            );
        } else {
            bail!(
                "{path}: cpu {number} is in space {root:#x}, which would be left out: name it with --root, too, or keep frames"
            );
        }
    }
    Ok(moved)
}

/// The register of a CPU that is in a space, in the rebuilt one.
pub(in crate::commands) fn register<F: Encode>(format: &F, cr3: u64, space: &NewRoot) -> Option<u64> {
    format.with_root(cr3, format.root(space.new))
}
