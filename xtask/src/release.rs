//! What a release needs beyond CI: licences and duplicates of dependencies, the promises of the last version, packages
//! that build by themselves.
//!
//! Tools that are missing are installed at the versions named here. `cargo xtask release-check` runs all steps; each can
//! be called alone.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::steps::arguments;
use crate::tools;
use crate::workspace::{MAIN, Package, packages};

/// The tools and the versions that are installed where there is none.
const DENY: (&str, &str) = ("cargo-deny", "0.20.2");
const SEMVER: (&str, &str) = ("cargo-semver-checks", "0.51.0");

/// The variable that names the revision to compare public interfaces with.
const BASELINE: &str = "BASELINE_REV";

/// What every package holds as the repository has it.
const TEXTS: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// `[--baseline-rev REV]`: which revision to compare interfaces with; none is the last tag `v*`.
pub(crate) fn baseline<'a>(arguments: &[&'a str]) -> Result<Option<&'a str>> {
    match arguments {
        [] => Ok(None),
        ["--baseline-rev", revision] => Ok(Some(revision)),
        ["--baseline-rev"] => bail!("`--baseline-rev` needs a revision"),
        [other, ..] => bail!("only `--baseline-rev REV` is expected, not `{other}`"),
    }
}

/// Sets what [`semver`] compares with, which the environment can name as well.
pub(crate) fn compare_with(sh: &Shell, revision: Option<&str>) {
    if let Some(revision) = revision {
        sh.set_var(BASELINE, revision);
    }
}

/// Licences, duplicates and sources need no more than the registry. Advisories are in a repository of their own: where
/// that cannot be had, it is said, and nothing fails.
pub(crate) fn deny(sh: &Shell) -> Result<()> {
    tools::pinned(sh, DENY)?;
    cmd!(sh, "cargo deny --all-features check bans licenses sources").run()?;
    if cmd!(sh, "cargo deny fetch db").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        println!("advisories: not checked, their database cannot be fetched from here");
        return Ok(());
    }
    cmd!(sh, "cargo deny --all-features check --disable-fetch advisories").run()?;
    Ok(())
}

/// The libraries against a revision. Before the first tag there is nothing to keep to; then one library is compared with
/// itself, so that it is known that the tool runs.
pub(crate) fn semver(sh: &Shell) -> Result<()> {
    tools::pinned(sh, SEMVER)?;
    let tag = || cmd!(sh, "git describe --tags --abbrev=0 --match v[0-9]*").quiet().ignore_stderr().read();
    let Ok(revision) = sh.var(BASELINE).or_else(|_| tag()) else {
        println!("no tag v* to compare with: pt-core is compared with itself, to see that the tool runs");
        cmd!(sh, "cargo semver-checks -p pt-core --baseline-root .").run()?;
        return Ok(());
    };
    let commit = format!("{revision}^{{commit}}");
    cmd!(sh, "git rev-parse --verify --quiet {commit}")
        .quiet()
        .ignore_stdout()
        .run()
        .with_context(|| format!("there is no revision `{revision}`"))?;
    let libraries = published(sh)?.into_iter().filter(Package::is_library);
    let (old, new): (Vec<_>, Vec<_>) = libraries.partition(|package| {
        let manifest = format!("{revision}:{}/Cargo.toml", package.directory);
        cmd!(sh, "git cat-file -e {manifest}").quiet().ignore_stderr().run().is_ok()
    });
    for package in &new {
        println!("{} is new since {revision}", package.name);
    }
    ensure!(!old.is_empty(), "{revision} has none of the crates");
    let old = arguments("-p", old.iter());
    cmd!(sh, "cargo semver-checks {old...} --baseline-rev {revision}").run()?;
    Ok(())
}

/// Packs every published crate and builds it from what is packed, with the others as packed too.
///
/// In a directory of another name each time: cargo unpacks what the crates depend on once per directory and version, so
/// that in an old one they would be built with the packages of an earlier run.
pub(crate) fn package(sh: &Shell) -> Result<()> {
    let dirty = !cmd!(sh, "git status --porcelain").quiet().read()?.is_empty();
    if dirty {
        println!("there are uncommitted changes: they are packed too");
    }
    let published = published(sh)?;
    let names = arguments("-p", published.iter());
    let allow = dirty.then_some("--allow-dirty");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let target = format!("target/release-check-{now}");
    let done = cmd!(sh, "cargo package {names...} {allow...} --target-dir {target}")
        .run()
        .map_err(Into::into)
        .and_then(|()| texts(sh, &published, &target));
    sh.remove_path(&target)?;
    done
}

/// That what was packed in `target` holds the repository's licences, and a README.
fn texts(sh: &Shell, published: &[Package], target: &str) -> Result<()> {
    for Package { name, version, .. } in published {
        let packed = format!("{target}/package/{name}-{version}");
        for text in TEXTS {
            ensure!(
                sh.read_file(format!("{packed}/{text}"))? == sh.read_file(text)?,
                "{name} is packed with another {text}"
            );
        }
        ensure!(sh.path_exists(format!("{packed}/README.md")), "{name} is packed without README.md");
    }
    Ok(())
}

fn published(sh: &Shell) -> Result<Vec<Package>> {
    let mut packages = packages(sh, MAIN)?;
    packages.retain(|package| package.published);
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_optional() {
        assert_eq!(baseline(&[]).unwrap(), None);
        assert_eq!(baseline(&["--baseline-rev", "v0.1.0"]).unwrap(), Some("v0.1.0"));
        for wrong in [&["--baseline-rev"][..], &["v0.1.0"], &["--baseline-rev", "v0.1.0", "more"]] {
            assert!(baseline(wrong).is_err(), "{wrong:?}");
        }
    }
}
