//! `cargo xtask conformance`: accesses as `pt-vcpu` judges them, beside Unicorn's MMU (`conformance/`, whose build is its own).

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::tools;
use crate::workspace::CONFORMANCE;

/// Where Unicorn is built, once.
const TARGET: &str = "target/conformance";

/// What `cargo xtask conformance` was asked for: options of the program, all of which take a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Campaign(Vec<String>);

impl Campaign {
    /// `[--one-in N] [--seed N] [--tables N]`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        for pair in arguments.chunks(2) {
            match pair {
                ["--one-in" | "--seed" | "--tables", number] => {
                    number.parse::<u32>().with_context(|| format!("`{number}` is not a number"))?;
                }
                [option, ..] => bail!("conformance does not take `{option}` like that"),
                [] => {}
            }
        }
        Ok(Self(arguments.iter().map(|&argument| argument.to_owned()).collect()))
    }

    /// Every query of the enumerations, unless told otherwise.
    pub(crate) fn run(&self, sh: &Shell) -> Result<()> {
        tools::unicorn(sh)?;
        let options = &self.0;
        cmd!(
            sh,
            "cargo run --quiet --release --manifest-path {CONFORMANCE} --target-dir {TARGET} -- {options...}"
        )
        .run()
        .context("Unicorn says otherwise")
    }
}

/// The part that CI runs: the same queries each time.
pub(crate) fn sample(sh: &Shell) -> Result<()> {
    tools::unicorn(sh)?;
    tools::component(sh, "clippy", "clippy")?;
    let lints = ["--manifest-path", CONFORMANCE, "--target-dir", TARGET];
    cmd!(sh, "cargo clippy --quiet --release {lints...} -- -D warnings").run()?;
    Campaign::parse(&["--one-in", "100", "--tables", "400", "--seed", "1"])?.run(sh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_passed_on() {
        assert_eq!(Campaign::parse(&[]).unwrap(), Campaign(Vec::new()));
        let options = ["--seed", "7", "--one-in", "50"];
        assert_eq!(Campaign::parse(&options).unwrap(), Campaign(options.map(str::to_owned).to_vec()));
        for wrong in [&["--seed"][..], &["--seed", "x"], &["7"], &["--help", "1"]] {
            assert!(Campaign::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
