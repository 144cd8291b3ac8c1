//! Instructions of the hot loops, counted by callgrind and compared with those on record.
//!
//! Counts say little about time, but they do not depend on what else the machine does, so a loop that grew shows. They
//! belong to one compiler: with another one, the check says so and fails, because a difference would mean nothing. Then
//! the commit before the change is recorded first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::machine;
use crate::built::Built;
use crate::tools;

/// What is on record.
const RECORD: &str = "benches/instructions.txt";
/// How much a loop may grow, in percent.
const GROWTH: u64 = 5;
/// The function around every loop, and nothing else.
const MEASURED: &str = "*measured_loop*";

/// Instructions per thousand elements of each loop, and who compiled them.
#[derive(Clone, Debug, PartialEq)]
struct Counts {
    toolchain: String,
    loops: BTreeMap<String, u32>,
}

pub(super) fn check(sh: &Shell) -> Result<()> {
    let record =
        Counts::parse(&sh.read_file(RECORD)?).with_context(|| format!("{RECORD} has another form"))?;
    let toolchain = machine::toolchain(sh)?;
    ensure!(
        record.toolchain == toolchain,
        "{RECORD} was recorded with {}, and this is {toolchain}: their counts do not compare. Use that toolchain, or \
         record the commit before the change with this one first (cargo xtask bench --record)",
        record.toolchain,
    );
    let counted = count(sh, toolchain)?;
    let grown = record.grown(&counted);
    for (name, count) in &counted.loops {
        let before = record.loops.get(name).map_or("new".to_owned(), u32::to_string);
        println!("{name:<24} {count:>10}  ({before})");
    }
    ensure!(grown.is_empty(), "{}", grown.join("\n"));
    println!("no loop has grown by more than {GROWTH} %");
    Ok(())
}

pub(super) fn record(sh: &Shell) -> Result<()> {
    let counted = count(sh, machine::toolchain(sh)?)?;
    sh.write_file(RECORD, counted.text())?;
    print!("{}", counted.text());
    Ok(())
}

/// The same from the record, for the page.
pub(super) fn on_record(sh: &Shell) -> Result<Vec<(String, u32)>> {
    let record =
        Counts::parse(&sh.read_file(RECORD)?).with_context(|| format!("{RECORD} has another form"))?;
    Ok(record.loops.into_iter().collect())
}

/// Runs every loop under callgrind.
fn count(sh: &Shell, toolchain: String) -> Result<Counts> {
    tools::valgrind(sh)?;
    let loops = Built::binary(sh, "pt-benches", "loops")?;
    let program = loops.path();
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind.out");
    let mut counts = BTreeMap::new();
    for line in loops.run(["--list"])?.lines() {
        let (name, elements) = line.split_once(' ').context("a loop has a name and a number of elements")?;
        let elements: u64 = elements.parse()?;
        let said = cmd!(
            sh,
            "valgrind --tool=callgrind --toggle-collect={MEASURED} --callgrind-out-file={out} {program} {name}"
        );
        let output = said.quiet().ignore_stdout().read_stderr()?;
        let collected = collected(&output).with_context(|| format!("callgrind counts nothing: {output}"))?;
        ensure!(collected > 0, "{name}: nothing was collected, is `measured_loop` inlined?");
        counts.insert(name.to_owned(), u32::try_from(collected * 1000 / elements)?);
    }
    ensure!(!counts.is_empty(), "there are no loops");
    Ok(Counts { toolchain, loops: counts })
}

/// `==1== Collected : 123`
fn collected(output: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.split_once("Collected : "))?;
    line.1.trim().parse().ok()
}

impl Counts {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let toolchain = lines.next()?.strip_prefix("toolchain ")?.to_owned();
        let entry = |line: &str| {
            let (name, count) = line.split_once(' ')?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        };
        Some(Self { toolchain, loops: lines.map(entry).collect::<Option<_>>()? })
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# Instructions per thousand elements of the hot loops (benches/src/bin/loops.rs), by callgrind.\n\
             # Written by `cargo xtask bench --record`, compared by `cargo xtask bench --check`.\n",
        );
        let _ = writeln!(text, "toolchain {}", self.toolchain);
        for (name, count) in &self.loops {
            let _ = writeln!(text, "{name} {count}");
        }
        text
    }

    /// What has grown too much, or is gone.
    fn grown(&self, now: &Self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, before) in &self.loops {
            match now.loops.get(name) {
                None => wrong.push(format!("{name} is on record, and there is no such loop any more")),
                Some(count) if u64::from(*count) * 100 > u64::from(*before) * (100 + GROWTH) => {
                    wrong.push(format!("{name}: {before} instructions before, {count} now"));
                }
                Some(_) => {}
            }
        }
        let new = now.loops.keys().filter(|name| !self.loops.contains_key(*name));
        wrong.extend(new.map(|name| format!("{name} is not on record")));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(loops: &[(&str, u32)]) -> Counts {
        let loops = loops.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Counts { toolchain: "rustc 1".to_owned(), loops }
    }

    #[test]
    fn growth_beyond_five_percent_is_found() {
        let record = counts(&[("fold", 100), ("next", 10)]);
        assert!(record.grown(&record).is_empty());
        assert!(record.grown(&counts(&[("fold", 105), ("next", 1)])).is_empty());
        assert_eq!(record.grown(&counts(&[("fold", 106), ("next", 11)])).len(), 2);
        assert_eq!(record.grown(&counts(&[("fold", 100)])).len(), 1);
        assert_eq!(record.grown(&counts(&[("fold", 1), ("next", 1), ("new", 1)])).len(), 1);
    }

    #[test]
    fn the_record_is_read_as_it_was_written() {
        let record = counts(&[("fold", 100025), ("next", 10)]);
        assert_eq!(Counts::parse(&record.text()), Some(record));
        assert_eq!(Counts::parse("fold 1\n"), None);
        assert_eq!(Counts::parse("toolchain rustc 1\nfold\n"), None);
    }

    #[test]
    fn callgrind_is_understood() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 1234\n"), Some(1234));
        assert_eq!(collected("==1== ERROR"), None);
    }
}
