//! Fuzz campaigns (`fuzz/`), which need a nightly toolchain and cargo-fuzz; and what needs neither: the inputs that were
//! kept, given to the targets once more.
//!
//! `fuzz/corpora/` has a file per target with the inputs that reach what any reached, as few as will do. A campaign begins
//! with them; `--keep` writes them anew.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::tools;
use crate::workspace::FUZZ;

/// The targets' programs, a file each.
const PROGRAMS: &str = "fuzz/fuzz_targets";
/// The inputs that are kept, a file per target.
const KEPT: &str = "fuzz/corpora";
/// Where cargo-fuzz has its own.
const WORKING: &str = "fuzz/corpus";
/// The longest input, in bytes.
const LONGEST: usize = 400;
/// The targets whose code has `unsafe` in it: one in so many of the inputs, or of the seconds, that are asked for are tried
/// under `AddressSanitizer` besides, which is that much slower.
const SANITIZED: (&[&str], u64) = (&["raw"], 10);
/// Tables are freed all the time, and nobody asks where they were allocated.
const ASAN_OPTIONS: &str = "quarantine_size_mb=1:malloc_context_size=0";
/// Targets that read files: comparisons with magic numbers are worth a look. Others are made of choices.
const READERS: [&str; 7] = ["elf", "notes", "kdump", "lime", "headerless", "cloud_hypervisor", "compressed"];

/// What `cargo xtask fuzz` was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Campaign {
    /// One of them, or `all`.
    target: String,
    /// Inputs to try with each; without end if none.
    runs: Option<u64>,
    /// Seconds to go on with each; without end if none.
    seconds: Option<u64>,
    /// Whether the inputs to keep are written anew.
    keep: bool,
}

impl Campaign {
    /// `TARGET|all [--runs N] [--seconds N] [--keep]`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let (mut target, mut runs, mut seconds, mut keep) = (None, None, None, false);
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            let limit = match argument {
                "--runs" => &mut runs,
                "--seconds" => &mut seconds,
                "--keep" => {
                    keep = true;
                    continue;
                }
                name if target.is_none() && !name.starts_with('-') => {
                    target = Some(name.to_owned());
                    continue;
                }
                other => bail!("fuzz does not take `{other}`"),
            };
            let number = arguments.next().with_context(|| format!("`{argument}` needs a number"))?;
            *limit = Some(number.parse().with_context(|| format!("`{number}` is not a number"))?);
        }
        let target = target.context("fuzz needs the name of a target, or `all`")?;
        ensure!(
            target != "all" || runs.is_some() || seconds.is_some(),
            "with `all`, each target needs an end: --runs or --seconds"
        );
        Ok(Self { target, runs, seconds, keep })
    }

    /// Builds the target with nightly and runs it; all of them, one after the other. What is found stays in
    /// `fuzz/artifacts`.
    pub(crate) fn run(&self, sh: &Shell) -> Result<()> {
        tools::toolchain(sh, "nightly")?;
        tools::subcommand(sh, "cargo-fuzz")?;
        let known = targets(sh)?;
        if self.target == "all" {
            return known.iter().try_for_each(|target| self.one(sh, target));
        }
        ensure!(
            known.contains(&self.target),
            "there is no target `{}`, but {}",
            self.target,
            known.join(", ")
        );
        self.one(sh, &self.target)
    }

    fn one(&self, sh: &Shell, target: &str) -> Result<()> {
        let working = Path::new(WORKING).join(target);
        unpack(sh, target, &working)?;
        let fewer = if READERS.contains(&target) { None } else { Some("--no-trace-compares") };
        let longest = format!("-max_len={LONGEST}");
        let (targets, one_in) = SANITIZED;
        let sanitized = targets.contains(&target).then_some(("address", one_in));
        for (sanitizer, one_in) in [("none", 1)].into_iter().chain(sanitized) {
            let runs = self.runs.map(|runs| format!("-runs={}", runs.div_ceil(one_in)));
            let seconds = self.seconds.map(|seconds| format!("-max_total_time={}", seconds.div_ceil(one_in)));
            let command = cmd!(
                sh,
                "cargo +nightly fuzz run -s {sanitizer} {fewer...} {target} -- {longest} {runs...} {seconds...}"
            );
            command.env("ASAN_OPTIONS", ASAN_OPTIONS).run()?;
        }
        if self.keep {
            // As few as have all of the coverage.
            let cover = "-set_cover_merge=1";
            cmd!(sh, "cargo +nightly fuzz cmin -s none {fewer...} {target} -- {longest} {cover}").run()?;
            pack(sh, target, &working)?;
        }
        Ok(())
    }
}

/// The names of all targets.
fn targets(sh: &Shell) -> Result<Vec<String>> {
    let programs = sh.read_dir(PROGRAMS)?;
    let name = |path: &PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut targets: Vec<String> = programs.iter().filter_map(name).collect();
    targets.sort();
    Ok(targets)
}

/// Puts the inputs that are kept of a target where cargo-fuzz looks for them.
fn unpack(sh: &Shell, target: &str, working: &Path) -> Result<()> {
    let kept = Path::new(KEPT).join(target);
    sh.create_dir(working)?;
    if !sh.path_exists(&kept) {
        return Ok(());
    }
    let kept = sh.read_binary_file(kept)?;
    for (index, input) in
        inputs(&kept).with_context(|| format!("what is kept of {target} is damaged"))?.iter().enumerate()
    {
        sh.write_file(working.join(format!("kept-{index:04}")), input)?;
    }
    Ok(())
}

/// Writes the file of the inputs that are kept.
fn pack(sh: &Shell, target: &str, working: &Path) -> Result<()> {
    let mut all =
        sh.read_dir(working)?.iter().map(|path| sh.read_binary_file(path)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    sh.create_dir(KEPT)?;
    sh.write_file(Path::new(KEPT).join(target), packed(&all)?)?;
    Ok(())
}

/// Inputs, each after its length in two bytes.
fn packed(inputs: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut kept = Vec::new();
    for input in inputs {
        let len = u16::try_from(input.len()).context("an input is longer than 64 KiB")?;
        kept.extend(len.to_le_bytes());
        kept.extend(input);
    }
    Ok(kept)
}

/// The inverse of [`packed`].
fn inputs(mut kept: &[u8]) -> Option<Vec<&[u8]>> {
    let mut inputs = Vec::new();
    while !kept.is_empty() {
        let (len, rest) = kept.split_first_chunk()?;
        let (input, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        inputs.push(input);
        kept = rest;
    }
    Some(inputs)
}

/// With the stable toolchain: what a campaign needs is not needed to see that the targets still fit the crates.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    tools::component(sh, "clippy", "clippy")?;
    tools::cxx(sh)?;
    // Beside the workspace and unoptimised as it is, so that what both depend on is checked once.
    let beside = ["--target-dir=target", "--config=profile.dev.opt-level=0"];
    cmd!(sh, "cargo clippy --manifest-path {FUZZ} {beside...} --all-targets -- -D warnings").run()?;
    Ok(())
}

/// Gives the targets what was kept, without a fuzzer: that they find nothing in it takes no nightly toolchain either.
pub(crate) fn kept(sh: &Shell) -> Result<()> {
    tools::cxx(sh)?;
    cmd!(sh, "cargo test --manifest-path {FUZZ} --target-dir target/fuzz --lib").run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_a_target_and_its_limits() {
        let walk = |runs, seconds| Campaign { target: "walk".to_owned(), runs, seconds, keep: false };
        assert_eq!(Campaign::parse(&["walk"]).unwrap(), walk(None, None));
        assert_eq!(Campaign::parse(&["walk", "--runs", "7"]).unwrap(), walk(Some(7), None));
        assert_eq!(Campaign::parse(&["--seconds", "30", "walk"]).unwrap(), walk(None, Some(30)));
        assert!(Campaign::parse(&["all", "--runs", "7", "--keep"]).unwrap().keep);
        for wrong in [
            &[][..],
            &["walk", "--runs"],
            &["walk", "--runs", "many"],
            &["walk", "other"],
            &["--help"],
            &["all", "--keep"],
        ] {
            assert!(Campaign::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let all = [vec![], vec![7], vec![1; 300]];
        let kept = packed(&all).unwrap();
        assert_eq!(inputs(&kept).unwrap(), all);
        assert_eq!(inputs(&kept[..kept.len() - 1]), None);
        assert!(packed(&[vec![0; 1 << 16]]).is_err());
    }
}
