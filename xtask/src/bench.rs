//! `cargo xtask bench`: everything is measured in one run, and docs/performance.md says what came out.
//!
//! | module | does |
//! |---|---|
//! | [`works`] | lists what is compared with what, and the goals |
//! | [`figures`] | lists which figures stand side by side |
//! | [`results`] | reads what criterion measured, and keeps what is measured here |
//! | [`processes`] | whole processes beside `cat` and `cp` |
//! | [`page`] | writes the tables into docs/performance.md, between its markers |
//! | [`plot`] | draws how costs grow with the number of spaces |
//! | [`instructions`] | counts instructions of the hot loops, and compares them with those on record |
//!
//! Measuring takes 20 quiet minutes; `--tables` writes the page again from what was measured last.

mod figures;
mod instructions;
mod machine;
mod page;
mod plot;
mod processes;
mod results;
mod works;

use std::path::PathBuf;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    /// Measure, and write the page. With the paths of whole images, processes and rebuilds are measured on these.
    All(Vec<PathBuf>),
    /// Write the page again.
    Tables,
    /// Compare the hot loops' instructions with those on record.
    Check,
    /// Record them.
    Record,
}

impl Bench {
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        match arguments {
            ["--check"] => Ok(Self::Check),
            ["--record"] => Ok(Self::Record),
            ["--tables"] => Ok(Self::Tables),
            images => {
                if let Some(option) = images.iter().find(|argument| argument.starts_with('-')) {
                    bail!("bench does not know `{option}`");
                }
                Ok(Self::All(images.iter().map(std::path::absolute).collect::<std::io::Result<_>>()?))
            }
        }
    }

    pub(crate) fn run(&self, sh: &Shell) -> Result<()> {
        match self {
            Self::All(images) => {
                results::Results::of(sh)?.clear()?;
                let paths = std::env::join_paths(images)?;
                for number in 1..=results::PASSES {
                    let pass = results::pass(number);
                    cmd!(sh, "cargo bench -p pt-benches --benches -- --save-baseline {pass}")
                        .env("PT_BENCH_IMAGES", &paths)
                        .run()?;
                }
                processes::measure(sh, images)?;
                page::write(sh)
            }
            Self::Tables => page::write(sh),
            Self::Check => instructions::check(sh),
            Self::Record => instructions::record(sh),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_paths_and_options_are_known() {
        assert_eq!(Bench::parse(&["--check"]).unwrap(), Bench::Check);
        assert_eq!(Bench::parse(&["--record"]).unwrap(), Bench::Record);
        assert_eq!(Bench::parse(&["--tables"]).unwrap(), Bench::Tables);
        assert_eq!(Bench::parse(&[]).unwrap(), Bench::All(Vec::new()));
        assert_eq!(Bench::parse(&["/a.elf"]).unwrap(), Bench::All(vec!["/a.elf".into()]));
        assert!(Bench::parse(&["--checks"]).is_err());
        assert!(Bench::parse(&["/a.elf", "--check"]).is_err());
    }
}
