//! Accesses that a guest in QEMU makes for real, and what `pt-vcpu` says of them.
//!
//! ```text
//!  faults make MODE TABLES COUNT SEED   > records    what the guest is to do
//!  (the guest does it: guest/accesses/)              exception, error code, CR2, entries
//!  faults judge MODE TABLES records done             every one of them as pt-vcpu has it?
//! ```
//!
//! TABLES is the physical address of the guest's `tested`, hexadecimal. `cargo xtask conformance` does all of it.

#![forbid(unsafe_code)]

mod judge;
mod make;
mod record;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pt_conformance::path::Layout;
use pt_vcpu::Mode;

use record::Record;

/// Pages of every size, all of which are the playground of guest/accesses/record.h where the path's address has them.
const PAGES: [u64; 3] = [0x50_3000, 0x60_0000, 0];
/// With 4 MiB pages, those of 2-level paging, that is another one.
const PAGE_OF_4_MIB: u64 = 0xc0_0000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[&str]) -> Result<bool> {
    match *arguments {
        ["make", mode, tables, count, seed] => {
            let (mode, layout) = (paged(mode)?, layout(mode, tables)?);
            fastrand::seed(seed.parse().context("the seed is no number")?);
            let mut out = std::io::stdout().lock();
            for _ in 0..count.parse::<u32>().context("the count is no number")? {
                out.write_all(&make::any(mode, layout).to_bytes())?;
            }
            Ok(true)
        }
        ["judge", mode, tables, made, done] => {
            let (made, done) = (read(made)?, read(done)?);
            ensure!(
                made.len() == done.len(),
                "{} accesses were asked for, and {} made",
                made.len(),
                done.len()
            );
            Ok(judge::all(paged(mode)?, layout(mode, tables)?, &made, &done))
        }
        _ => bail!("usage: faults make MODE TABLES COUNT SEED | faults judge MODE TABLES MADE DONE"),
    }
}

fn paged(mode: &str) -> Result<Mode> {
    let mode = mode.parse().map_err(|error| anyhow!("{error}"))?;
    ensure!(mode != Mode::Unpaged, "without paging nothing faults");
    Ok(mode)
}

fn layout(mode: &str, tables: &str) -> Result<Layout> {
    let tables = u64::from_str_radix(tables.trim_start_matches("0x"), 16).context("TABLES is no address")?;
    let mut pages = PAGES;
    if paged(mode)? == Mode::TwoLevel {
        pages[1] = PAGE_OF_4_MIB;
    }
    Ok(Layout { tables, pages })
}

fn read(path: &str) -> Result<Vec<Record>> {
    let bytes = std::fs::read(path).with_context(|| path.to_owned())?;
    Ok(bytes.chunks_exact(Record::BYTES).map(Record::from_bytes).collect())
}
