//! `cargo xtask`: all that CI runs, as a whole or one step at a time.
//!
//! `cargo xtask ci` runs [`STEPS`] in order and stops at the first that fails. Nothing is skipped: a tool that is
//! missing is installed, or the step that needs it fails and says so. `cargo xtask release-check` does the same for
//! [`RELEASE`].

#![forbid(unsafe_code)]

mod asan;
mod bench;
mod built;
mod conformance;
mod decoded;
mod dumps;
mod elf_core;
mod fuzz;
mod guest;
mod mutants;
mod no_std;
mod oracle;
mod outside;
mod qemu;
mod release;
mod roots;
mod steps;
mod tidy;
mod tools;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use xshell::Shell;

/// One step of CI.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Shell) -> Result<()>,
}

/// Cheap checks first: what fails often should fail soon.
const STEPS: [Step; 13] = [
    Step { name: "fmt", about: "every file is formatted", run: steps::fmt },
    Step { name: "tidy", about: "what no compiler checks (see xtask/src/tidy.rs)", run: tidy::run },
    Step {
        name: "clippy",
        about: "no warnings, with all features and without the default ones",
        run: steps::clippy,
    },
    Step { name: "test", about: "tests, overflow checks and debug assertions on", run: steps::test_checked },
    Step {
        name: "test-hostile",
        about: "tests of hostile input, optimised, both off",
        run: steps::test_hostile,
    },
    Step { name: "doc-test", about: "examples in documentation", run: steps::doc_test },
    Step { name: "doc", about: "documentation builds without warnings", run: steps::doc },
    Step {
        name: "no-std",
        about: "binaries without std, with and without an allocator, run",
        run: no_std::run,
    },
    Step { name: "bench-test", about: "every benchmark runs once", run: steps::bench_test },
    Step {
        name: "oracle-sample",
        about: "QEMU reads a guest of every paging mode as pt does, and as before once rebuilt",
        run: oracle::sample,
    },
    Step {
        name: "guest",
        about: "a running guest that edits its own tables is rebuilt and goes on",
        run: guest::run,
    },
    Step {
        name: "conformance-sample",
        about: "accesses are judged as Unicorn's MMU does, and as QEMU does for a guest",
        run: conformance::sample,
    },
    Step { name: "fuzz-check", about: "fuzz targets compile", run: fuzz::check },
];

/// Checks that take long, or need more than the one toolchain: a release runs them, CI does not. They install what they need.
const RELEASE: [Step; 9] = [
    Step { name: "test-unchecked", about: "all tests, optimised, both off", run: steps::test_unchecked },
    Step {
        name: "fuzz-kept",
        about: "fuzz targets find nothing in the inputs that are kept",
        run: fuzz::kept,
    },
    Step { name: "deny", about: "licences, duplicates and sources of dependencies", run: release::deny },
    Step { name: "semver", about: "public interfaces keep what the last tag promised", run: release::semver },
    Step {
        name: "package",
        about: "every published crate packs, and builds from its package",
        run: release::package,
    },
    Step {
        name: "outside",
        about: "the READMEs' examples, outside of the workspace, with the dependencies that they name",
        run: outside::run,
    },
    Step { name: "asan", about: "the raw interface's tests, under AddressSanitizer", run: asan::run },
    Step {
        name: "targets",
        about: "no_std crates where std does not exist, and where usize has 32 bits",
        run: steps::targets,
    },
    Step {
        name: "msrv",
        about: "crates and commands build with the oldest supported Rust",
        run: steps::msrv,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["ci"] => shell().and_then(|sh| all("ci", &STEPS, &sh)),
        ["release-check", ref rest @ ..] => match release::baseline(rest) {
            Ok(revision) => shell().and_then(|sh| {
                release::compare_with(&sh, revision);
                all("release-check", &RELEASE, &sh)
            }),
            Err(error) => return usage(&format!("{error:#}")),
        },
        ["bench", ref rest @ ..] => match bench::Bench::parse(rest) {
            Ok(bench) => shell().and_then(|sh| bench.run(&sh)),
            Err(error) => return usage(&format!("{error:#}")),
        },
        ["fuzz", ref rest @ ..] => match fuzz::Campaign::parse(rest) {
            Ok(campaign) => shell().and_then(|sh| campaign.run(&sh)),
            Err(error) => return usage(&format!("{error:#}")),
        },
        ["conformance", ref rest @ ..] => match conformance::Campaign::parse(rest) {
            Ok(campaign) => shell().and_then(|sh| campaign.run(&sh)),
            Err(error) => return usage(&format!("{error:#}")),
        },
        ["dumps", ref rest @ ..] => match dumps::Campaign::parse(rest) {
            Ok(campaign) => shell().and_then(|sh| campaign.run(&sh)),
            Err(error) => return usage(&format!("{error:#}")),
        },
        ["exhaust", ref rest @ ..] => shell().and_then(|sh| steps::exhaust(&sh, rest)),
        ["mutants", ref rest @ ..] => shell().and_then(|sh| mutants::run(&sh, rest)),
        ["roots"] => return usage("roots needs the paths of images"),
        ["roots", ref images @ ..] => absolute(images).and_then(|images| roots::run(&shell()?, &images)),
        ["oracle", ref images @ ..] => absolute(images).and_then(|images| oracle::run(&shell()?, &images)),
        ["help" | "--help" | "-h"] => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        [name] => match STEPS.iter().chain(&RELEASE).find(|step| step.name == name) {
            Some(step) => shell().and_then(|sh| timed(step, &sh).map(|_| ())),
            None => return usage(&format!("there is no step `{name}`")),
        },
        _ => return usage("one step is expected"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every step, in order.
fn all(name: &str, steps: &[Step], sh: &Shell) -> Result<()> {
    let start = Instant::now();
    let mut times = Vec::new();
    for step in steps {
        let took = timed(step, sh)?;
        times.push(format!("{} {}", step.name, seconds(took)));
    }
    println!("{name}: {} steps passed in {} ({})", steps.len(), seconds(start.elapsed()), times.join(", "));
    Ok(())
}

/// One step, and how long it took.
fn timed(step: &Step, sh: &Shell) -> Result<Duration> {
    println!("==> {}: {}", step.name, step.about);
    let start = Instant::now();
    let done = (step.run)(sh);
    let took = start.elapsed();
    done.map_err(|error| {
        let name = step.name;
        error.context(format!("step `{name}` failed after {}; alone: cargo xtask {name}", seconds(took)))
    })?;
    println!("    {}: {}", step.name, seconds(took));
    Ok(took)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A shell whose directory is the repository's root, wherever the command was called.
fn shell() -> Result<Shell> {
    let sh = Shell::new()?;
    sh.change_dir(Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize()?.join("..").canonicalize()?);
    Ok(sh)
}

/// Paths as they were meant where the command was called.
fn absolute(paths: &[&str]) -> Result<Vec<PathBuf>> {
    Ok(paths.iter().map(std::path::absolute).collect::<std::io::Result<_>>()?)
}

fn usage(wrong: &str) -> ExitCode {
    eprint!("error: {wrong}\n\n{}", help());
    ExitCode::from(2)
}

fn help() -> String {
    let lines = |steps: &[Step]| {
        let lines: Vec<_> = steps.iter().map(|step| format!("  {:<18} {}", step.name, step.about)).collect();
        lines.join("\n")
    };
    format!(
        "usage: cargo xtask ci | release-check [--baseline-rev REV] | STEP | fuzz TARGET|all [--runs N] [--seconds N] [--keep] | roots IMAGE... |\n       oracle [IMAGE...] | exhaust [--tables N] [--roots N] [--threads N] [--part K/N] | dumps [--makedumpfile PROGRAM] [IMAGE...] | conformance [--one-in N] [--seed N] [--tables N] [--accesses N] |\n       bench [IMAGE... | --tables | --check | --record] | mutants [--jobs N] [--fast | --alone] [--fresh] [--keep] [--within SECONDS] [CRATE...]\n\n\
         ci runs these steps in order, each of which can be called alone:\n{}\n\n\
         release-check runs these, which take long or need other tools, toolchains or targets; it compares public interfaces with\n\
         REV or else the last tag v*:\n{}\n\n\
         bench measures everything and writes docs/performance.md, or compares (records) instructions of the hot loops\n\
         fuzz runs one target of fuzz/ (or all in turn) under cargo-fuzz, without end unless told otherwise\n\
         exhaust tries all graphs of 4 or fewer tables of a toy format from 1 or 2 roots, or a part of them\n\
         roots compares `pt roots` on whole memories of the corpus's guests (by name) with their lists\n\
         conformance compares accesses with those of Unicorn's MMU, all queries or one in N, and of a guest in QEMU, N in each mode\n\
         mutants looks for changes to the crates without std and pt-rebuild, or to CRATEs, that no test notices, N tests at a time;\n\
         what is left is built one by one, unless --fast, or alone with --alone; --fresh forgets former verdicts\n\
         oracle compares `pt`, and what `pt rebuild` makes, with QEMU's own walk of images, or of all guests of the corpus\n\
         dumps reads what makedumpfile and QEMU make of the corpus's guests and of IMAGEs, and has drgn read what is written\n",
        lines(&STEPS),
        lines(&RELEASE),
    )
}
