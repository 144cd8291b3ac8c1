//! Fuzz campaigns (`fuzz/`), which need a nightly toolchain and cargo-fuzz, and the check that their targets compile.

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::tools;
use crate::workspace::FUZZ;

/// What `cargo xtask fuzz` was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Campaign {
    target: String,
    /// Inputs to try; without end if none.
    runs: Option<u64>,
    /// Seconds to go on; without end if none.
    seconds: Option<u64>,
}

impl Campaign {
    /// `TARGET [--runs N] [--seconds N]`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let (mut target, mut runs, mut seconds) = (None, None, None);
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            let limit = match argument {
                "--runs" => &mut runs,
                "--seconds" => &mut seconds,
                name if target.is_none() && !name.starts_with('-') => {
                    target = Some(name.to_owned());
                    continue;
                }
                other => bail!("fuzz does not take `{other}`"),
            };
            let number = arguments.next().with_context(|| format!("`{argument}` needs a number"))?;
            *limit = Some(number.parse().with_context(|| format!("`{number}` is not a number"))?);
        }
        Ok(Self { target: target.context("fuzz needs the name of a target")?, runs, seconds })
    }

    /// Builds the target with nightly and runs it. What it finds stays in `fuzz/artifacts`.
    pub(crate) fn run(&self, sh: &Shell) -> Result<()> {
        tools::toolchain(sh, "nightly")?;
        tools::subcommand(sh, "cargo-fuzz")?;
        let target = &self.target;
        let runs = self.runs.map(|runs| format!("-runs={runs}"));
        let seconds = self.seconds.map(|seconds| format!("-max_total_time={seconds}"));
        cmd!(sh, "cargo +nightly fuzz run {target} -- {runs...} {seconds...}").run()?;
        Ok(())
    }
}

/// With the stable toolchain: what a campaign needs is not needed to see that the targets still fit the crates.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    tools::component(sh, "clippy", "clippy")?;
    tools::cxx(sh)?;
    cmd!(sh, "cargo clippy --manifest-path {FUZZ} --target-dir target/fuzz -- -D warnings").run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_a_target_and_its_limits() {
        let walk = |runs, seconds| Campaign { target: "walk".to_owned(), runs, seconds };
        assert_eq!(Campaign::parse(&["walk"]).unwrap(), walk(None, None));
        assert_eq!(Campaign::parse(&["walk", "--runs", "7"]).unwrap(), walk(Some(7), None));
        assert_eq!(Campaign::parse(&["--seconds", "30", "walk"]).unwrap(), walk(None, Some(30)));
        for wrong in
            [&[][..], &["walk", "--runs"], &["walk", "--runs", "many"], &["walk", "other"], &["--help"]]
        {
            assert!(Campaign::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
