//! `cargo xtask mutants`: changes to the crates that no test notices (`mutants/`, whose build is its own).

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::tools;
use crate::workspace::MUTANTS;

/// The crates that are mutated if none is named: those without std, and pt-rebuild.
const CRATES: [&str; 6] = ["pt-core", "pt-x86", "pt-amd64", "pt-i686", "pt-vcpu", "pt-rebuild"];
/// Where the program is built.
const TARGET: &str = "target/mutants/program";
/// It has to know how the mutants are listed.
const CARGO_MUTANTS: (&str, &str) = ("cargo-mutants", "27.1.0");

/// `[--jobs N] [--fast | --alone] [--fresh] [--keep] [--within SECONDS] [--in DIRECTORY] [CRATE...]`, which the program takes apart.
pub(crate) fn run(sh: &Shell, arguments: &[&str]) -> Result<()> {
    ensure!(cfg!(unix), "the limits of a test's time and memory need a Unix");
    tools::pinned(sh, CARGO_MUTANTS)?;
    let all: &[&str] = if names_a_crate(arguments) { &[] } else { &CRATES };
    let built = ["--release", "--manifest-path", MUTANTS, "--target-dir", TARGET];
    cmd!(sh, "cargo run --quiet {built...} -- {arguments...} {all...}").run()?;
    Ok(())
}

fn names_a_crate(arguments: &[&str]) -> bool {
    arguments.iter().any(|argument| argument.starts_with("pt-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_no_crates() {
        assert!(names_a_crate(&["--fast", "pt-x86"]));
        assert!(!names_a_crate(&["--jobs", "2"]));
    }
}
