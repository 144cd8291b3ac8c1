//! Cores that are written here, as drgn reads them: page by page what it reads in QEMU's own core of the same memory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::{Bench, qemu};
use crate::oracle::Guest;
use crate::qemu::Mmu;
use crate::tools;

/// The guest whose memory is used.
pub(super) const GUEST: &str = "amd64-4level";
/// The version that is known to take VMCOREINFO from elsewhere than the core.
const VERSION: &str = "drgn==0.3.0";
const SCRIPT: &str = "xtask/src/dumps/read_both.py";

/// Puts drgn into an environment of its own, unless it is there. Returns its Python.
pub(super) fn install(sh: &Shell) -> Result<PathBuf> {
    let environment = sh.current_dir().join("target/drgn");
    let python = environment.join("bin/python");
    if cmd!(sh, "{python} -c 'import drgn'").quiet().ignore_stderr().run().is_ok() {
        return Ok(python);
    }
    tools::python_venv(sh)?;
    cmd!(sh, "python3 -m venv {environment}").run()?;
    cmd!(sh, "{python} -m pip install --quiet {VERSION}").run().context("drgn cannot be installed")?;
    Ok(python)
}

/// From a machine with firmware: drgn takes a core for one without physical addresses if its only range is at 0.
pub(super) fn round_trips(sh: &Shell, bench: &Bench, python: &Path, guest: &Guest) -> Result<usize> {
    let memory = qemu::memory(bench, guest)?;
    let mut mmu = Mmu::with_firmware(&memory, guest.paging)?;
    let theirs = bench.file("theirs")?;
    mmu.dump("elf", &theirs)?;
    let kdump = bench.file("kdump")?;
    mmu.dump("kdump-zlib", &kdump)?;
    for (from, name) in [(&theirs, "core"), (&kdump, "kdump")] {
        let ours = bench.core(from, "ours")?;
        let said = cmd!(sh, "{python} {SCRIPT} {theirs} {ours}").quiet().read()?;
        println!("  our core of QEMU's {name}: {said}");
    }
    Ok(2)
}
