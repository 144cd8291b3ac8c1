//! Accesses that a guest makes for real: what they are, and whether what became of them is right, says the program
//! `faults` (conformance/); here the guest (guest/accesses/) is run.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::guest::machine::Machine;
use crate::guest::program::Program;
use crate::guest::{BETWEEN_ROUNDS, MODES};
use crate::tools;

/// Memory, in MiB, and where the records are in it: guest/accesses/record.h.
const SIZE: u64 = 32;
const RECORDS: u64 = 16 << 20;
const PAGE: u64 = 4096;
/// The bytes of a record.
const RECORD: usize = 96;
/// How many are made between two stops.
const ROUND: usize = 8192;

/// So many accesses in every mode.
pub(super) fn run(sh: &Shell, faults: &Path, accesses: u32, seed: u32) -> Result<()> {
    tools::qemu(sh)?;
    let mut outcome = Ok(());
    for (mode, levels, _) in MODES {
        let start = Instant::now();
        let directory = tempfile::tempdir()?;
        let file = |name: &str| directory.path().join(name);
        let program = Program::build(sh, "accesses", levels, directory.path())?;
        let tables = format!("{:#x}", program.symbol("tested")?);
        let (count, seed) = (accesses.to_string(), seed.to_string());
        let made = cmd!(sh, "{faults} make {mode} {tables} {count} {seed}").quiet().output()?.stdout;
        ensure!(made.len() == accesses as usize * RECORD, "{} bytes of records", made.len());
        let done = make(&program, &file("memory"), &made).with_context(|| format!("guest {mode}"))?;
        let (asked, answered) = (file("asked"), file("answered"));
        sh.write_file(&asked, &made)?;
        sh.write_file(&answered, done)?;
        // It shows what is different, and says so by its status.
        let judged = cmd!(sh, "{faults} judge {mode} {tables} {asked} {answered}").quiet().run();
        println!("    in {:.1} s", start.elapsed().as_secs_f64());
        outcome = outcome.and(judged.context("QEMU says otherwise"));
    }
    outcome
}

/// Has the guest make these accesses. Returns the records as it leaves them.
fn make(program: &Program, memory: &Path, records: &[u8]) -> Result<Vec<u8>> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(memory)?;
    file.set_len(SIZE << 20)?;
    let mut machine = Machine::boot_in(program, memory, SIZE)?;
    let mut all = records.to_vec();
    for round in all.chunks_mut(ROUND * RECORD) {
        file.write_all_at(&(round.len() as u64 / RECORD as u64).to_le_bytes(), RECORDS)?;
        file.write_all_at(round, RECORDS + PAGE)?;
        machine.run_to(program.symbol(BETWEEN_ROUNDS)?, 1)?;
        file.read_exact_at(round, RECORDS + PAGE)?;
    }
    Ok(all)
}
