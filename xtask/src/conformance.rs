//! `cargo xtask conformance`: accesses as `pt-vcpu` judges them, beside Unicorn's MMU, and beside a guest that makes them
//! (`conformance/`, whose build is its own).

mod faults;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::tools;
use crate::workspace::CONFORMANCE;

/// Where it is built, Unicorn with it, once.
const TARGET: &str = "target/conformance";

/// What `cargo xtask conformance` was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Campaign {
    /// One of so many of Unicorn's enumerations.
    one_in: u32,
    seed: u32,
    /// How many random tables Unicorn is shown.
    tables: u32,
    /// How many accesses the guest makes in each mode.
    accesses: u32,
}

impl Default for Campaign {
    fn default() -> Self {
        Self { one_in: 1, seed: 1, tables: 4000, accesses: 100_000 }
    }
}

/// What CI runs: the same queries and accesses each time.
const SAMPLE: Campaign = Campaign { one_in: 100, seed: 1, tables: 400, accesses: 5000 };

impl Campaign {
    /// `[--one-in N] [--seed N] [--tables N] [--accesses N]`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let mut campaign = Self::default();
        for pair in arguments.chunks(2) {
            let &[option, number] = pair else { bail!("`{}` needs a number", pair[0]) };
            let place = match option {
                "--one-in" => &mut campaign.one_in,
                "--seed" => &mut campaign.seed,
                "--tables" => &mut campaign.tables,
                "--accesses" => &mut campaign.accesses,
                _ => bail!("conformance does not take `{option}`"),
            };
            *place = number.parse().with_context(|| format!("`{number}` is not a number"))?;
        }
        Ok(campaign)
    }

    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        tools::unicorn(sh)?;
        cmd!(sh, "cargo build --quiet --release --manifest-path {CONFORMANCE} --target-dir {TARGET}")
            .run()?;
        let program = |name: &str| -> PathBuf { sh.current_dir().join(TARGET).join("release").join(name) };
        let [one_in, seed, tables] = [self.one_in, self.seed, self.tables].map(|number| number.to_string());
        let unicorn = program("unicorn");
        cmd!(sh, "{unicorn} --one-in {one_in} --seed {seed} --tables {tables}")
            .run()
            .context("Unicorn says otherwise")?;
        faults::run(sh, &program("faults"), self.accesses, self.seed)
    }
}

/// The part that CI runs.
pub(crate) fn sample(sh: &Shell) -> Result<()> {
    tools::unicorn(sh)?;
    tools::component(sh, "clippy", "clippy")?;
    let lints = ["--manifest-path", CONFORMANCE, "--target-dir", TARGET];
    cmd!(sh, "cargo clippy --quiet --release {lints...} -- -D warnings").run()?;
    SAMPLE.run(sh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_four_numbers() {
        assert_eq!(Campaign::parse(&[]).unwrap(), Campaign::default());
        let options = ["--seed", "7", "--one-in", "50", "--accesses", "9", "--tables", "0"];
        let campaign = Campaign { one_in: 50, seed: 7, tables: 0, accesses: 9 };
        assert_eq!(Campaign::parse(&options).unwrap(), campaign);
        for wrong in [&["--seed"][..], &["--seed", "x"], &["7"], &["--help", "1"]] {
            assert!(Campaign::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
