//! cargo-mutants itself, on the mutants whose verdict has to be its own: a build and a run of tests each.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::list::Mutant;
use crate::results::{Results, Verdict};

/// So many at a time: their names have to fit into one argument.
const BATCH: usize = 100;
/// Seconds that the tests may take.
const TIMEOUT: &str = "600";

/// Has cargo-mutants judge `wanted`, all of `package`, with the tests of `tested`.
pub(crate) fn judge(
    root: &Path,
    work: &Path,
    package: &str,
    wanted: &[&Mutant],
    tested: &[String],
    results: &mut Results,
) -> Result<()> {
    for batch in wanted.chunks(BATCH) {
        let names: Vec<String> = batch.iter().map(|mutant| escaped(&mutant.name)).collect();
        let output = work.join("outside");
        let _ = fs::remove_dir_all(&output);
        fs::create_dir_all(&output)?;
        // Its status says whether some were missed.
        Command::new("cargo")
            .args(["mutants", "-p", package, "--baseline=skip", "--timeout", TIMEOUT, "--cap-lints=true"])
            .args(["--all-features", "--colors=never", "--no-times", "--no-shuffle"])
            .args(tested.iter().flat_map(|package| ["--test-package", package]))
            .args(["--re", &format!("^({})$", names.join("|"))])
            .arg("--output")
            .arg(&output)
            .args(["--", "--lib", "--bins", "--tests"])
            .current_dir(root)
            .status()
            .context("cargo mutants could not be started")?;
        let lists = [
            ("caught.txt", Verdict::Caught),
            ("timeout.txt", Verdict::Timeout),
            ("unviable.txt", Verdict::Unviable),
            ("missed.txt", Verdict::Missed),
        ];
        let mut count = 0;
        for (file, verdict) in lists {
            let list = fs::read_to_string(output.join("mutants.out").join(file)).unwrap_or_default();
            for name in list.lines() {
                let Some(mutant) = batch.iter().find(|mutant| mutant.name == name) else {
                    bail!("cargo mutants judged something else: {name}");
                };
                results.add(mutant, verdict, Some("cargo-mutants"))?;
                count += 1;
            }
        }
        if count != batch.len() {
            bail!("cargo mutants judged {count} of {} mutants", batch.len());
        }
    }
    Ok(())
}

/// The name as a regular expression.
fn escaped(name: &str) -> String {
    let mut escaped = String::new();
    for char in name.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(char) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}
