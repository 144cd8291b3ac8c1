//! Every access twice: as `pt-vcpu` judges it, and as Unicorn's MMU does. They have to say the same.
//!
//! ```text
//!  states × tables × accesses ──┬──▶ Vcpu::translate_marking ──▶ page, or fault ──┐
//!                               │                                 entries after   ├─ equal?
//!                               └──▶ Unicorn, paging as set up ──▶ page, or CR2 ──┘
//! ```
//!
//! [`parts`] are the enumerations, [`random`] is tables of any content; [`compare`] asks both; [`witness`] is Unicorn.
//! What Unicorn cannot tell is no part of this: see docs/conformance.md.
//!
//! `cargo xtask conformance` installs what the build needs, and runs it.

#![forbid(unsafe_code)]

mod compare;
mod parts;
mod random;
mod witness;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use compare::Comparison;
use pt_conformance::state;

/// How much of the enumerations is asked, and where chance begins.
struct Options {
    /// One query in so many, by chance.
    one_in: u32,
    seed: u64,
    /// How many random tables.
    tables: u32,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { one_in: 1, seed: 1, tables: 4000 };
        while let Some(option) = arguments.next() {
            let value = arguments.next().with_context(|| format!("`{option}` needs a number"))?;
            let number = value.parse().with_context(|| format!("`{value}` is not a number"))?;
            match option.as_str() {
                "--one-in" if number > 0 => options.one_in = u32::try_from(number)?,
                "--seed" => options.seed = number,
                "--tables" => options.tables = u32::try_from(number)?,
                _ => bail!("usage: unicorn [--one-in N] [--seed N] [--tables N], N of --one-in at least 1"),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("unicorn: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything is equal.
fn run(options: &Options) -> Result<bool> {
    let start = Instant::now();
    fastrand::seed(options.seed);
    let mut comparison = Comparison::new(options.one_in)?;
    for mode in state::MODES {
        for (name, part) in parts::ALL {
            part(&mut comparison, mode)?;
            comparison.report(&format!("{mode}: {name}"));
        }
        random::tables(&mut comparison, mode, options.tables / 4)?;
        comparison.report(&format!("{mode}: random tables"));
    }
    let equal = comparison.finish();
    println!("seed {}, one in {}, {:.1?}", options.seed, options.one_in, start.elapsed());
    Ok(equal)
}
