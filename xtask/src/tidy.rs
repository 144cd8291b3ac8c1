//! What no compiler checks: the rules of this repository that a program can decide.
//!
//! | module | rule |
//! |---|---|
//! | [`source`] | a file says what it is about, stays short, holds no unfinished business, and `unsafe` only where it belongs |
//! | [`crates`] | dependencies between crates point upwards only, directories are named after crates, crate roots forbid `unsafe` |
//! | [`dependencies`] | docs/dependencies.md says of every dependency who uses it and why |
//! | [`paths`] | no text names a path of somebody's machine |
//!
//! All files that git tracks or would track are looked at, and all that is wrong is said at once.

mod code;
mod crates;
mod dependencies;
mod paths;
mod source;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::workspace::{CONFORMANCE, FUZZ, MAIN, MUTANTS, NO_STD_PROOF, packages};

/// What is wrong, and what soon will be.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    fn problem(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.problems.push(format!("{place}: {what}"));
    }

    fn warn(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.warnings.push(format!("{place}: {what}"));
    }
}

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let mut report = Report::default();
    let listing = cmd!(sh, "git ls-files --cached --others --exclude-standard -z").quiet().read()?;
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        // A file that was removed but not yet from the index is listed too, and images are no text.
        let Ok(text) = sh.read_file(path) else { continue };
        source::check(path, &text, &mut report);
        paths::check(path, &text, &mut report);
    }

    let main = packages(sh, MAIN)?;
    crates::check(&main, &mut report);
    for package in &main {
        for root in &package.roots {
            crates::check_root(&package.name, root, &sh.read_file(root)?, &mut report);
        }
        let manifest = format!("{}/Cargo.toml", package.directory);
        crates::check_manifest(&manifest, &sh.read_file(&manifest)?, &mut report);
    }

    let mut all = main;
    all.extend(packages(sh, NO_STD_PROOF)?);
    all.extend(packages(sh, FUZZ)?);
    all.extend(packages(sh, CONFORMANCE)?);
    all.extend(packages(sh, MUTANTS)?);
    dependencies::check(&all, &sh.read_file(dependencies::PAGE)?, &mut report);

    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    for problem in &report.problems {
        println!("{problem}");
    }
    ensure!(report.problems.is_empty(), "{} places are untidy", report.problems.len());
    Ok(())
}
