//! One mutant at a time, written over the original, built and tested: those without a form behind a switch, and the last word
//! on what was missed.
//!
//! It is what cargo-mutants does. It cannot be asked to: none of its filters (27.1.0) holds for fields that are left out, so that
//! with each mutant that is meant it would judge all of these.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::list::Mutant;
use crate::results::{Results, Verdict};
use crate::tree::{Tree, root_of, with_names, with_std};

/// How long a package's tests may take.
const LIMIT: Duration = Duration::from_mins(15);

/// Judges `wanted` by the tests of `tested`.
pub(crate) fn judge(
    root: &Path,
    work: &Path,
    wanted: &[&Mutant],
    tested: &[String],
    results: &mut Results,
) -> Result<()> {
    let roots: HashSet<String> = wanted.iter().map(|mutant| root_of(&mutant.package)).collect();
    let tree = Tree::copy(root, work.join("alone"), &roots)?;
    let written = |path: &str, text: &str| {
        let text = if roots.contains(path) { with_std(text) } else { text.to_owned() };
        tree.write(path, text.as_bytes())
    };
    for path in &roots {
        written(path, &fs::read_to_string(root.join(path))?)?;
    }
    for package in tested {
        let builds = cargo(&tree, work, package).arg("--no-run").status()?.success();
        ensure!(builds, "the tests of {package} cannot be built");
    }
    for mutant in wanted {
        let text = fs::read_to_string(root.join(&mutant.file))?;
        let bytes = mutant.bytes(&text).context("a mutant lies outside of its file")?;
        let mut mutated = text.clone();
        mutated.replace_range(bytes, &mutant.replacement);
        written(&mutant.file, &with_names(&mutated))?;
        let verdict = verdict(&tree, work, mutant, tested)?;
        written(&mutant.file, &text)?;
        println!("{verdict:?}: {}", mutant.name);
        results.add(mutant, verdict, Some("a build of its own"))?;
    }
    Ok(())
}

/// A package at a time, the mutant's own first: what is noticed is noticed early.
fn verdict(tree: &Tree, work: &Path, mutant: &Mutant, tested: &[String]) -> Result<Verdict> {
    let own = tested.iter().filter(|package| **package == mutant.package);
    for package in own.chain(tested.iter().filter(|package| **package != mutant.package)) {
        if !cargo(tree, work, package).arg("--no-run").status()?.success() {
            return Ok(Verdict::Unviable);
        }
        let mut tests = cargo(tree, work, package).process_group(0).spawn()?;
        let start = Instant::now();
        let passed = loop {
            match tests.try_wait()? {
                Some(status) => break status.success(),
                None if start.elapsed() > LIMIT => {
                    Command::new("kill").args(["-KILL", "--", &format!("-{}", tests.id())]).status()?;
                    tests.wait()?;
                    return Ok(Verdict::Timeout);
                }
                None => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        if !passed {
            return Ok(Verdict::Caught);
        }
    }
    Ok(Verdict::Missed)
}

/// What builds and runs the tests of a package, until one fails.
fn cargo(tree: &Tree, work: &Path, package: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--quiet", "--all-features", "--lib", "--bins", "--tests", "-p", package])
        .current_dir(&tree.root)
        .env("CARGO_TARGET_DIR", work.join("alone-build"))
        .env("RUSTFLAGS", "--cap-lints=allow")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    cargo
}
