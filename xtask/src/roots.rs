//! `cargo xtask roots IMAGE...`: `pt roots` on whole memories of guests, which are too large to be kept here.
//!
//! An image is named after a guest of the corpus (`amd64-4level.elf.xz`), whose list says what must be found: no root more,
//! none less, in that order. The time is compared with that of reading the decoded file once.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::Shell;

use crate::built::Built;
use crate::decoded::Decoded;

/// Runs the campaign; fails at the first image that does not give what its list has.
pub(crate) fn run(sh: &Shell, images: &[PathBuf]) -> Result<()> {
    let pt = Built::pt(sh)?;
    for image in images {
        check(sh, &pt, image).with_context(|| image.display().to_string())?;
    }
    println!("roots: {} image(s) have the roots of their lists", images.len());
    Ok(())
}

fn check(sh: &Shell, pt: &Built, image: &Path) -> Result<()> {
    let file_name = image.file_name().and_then(|name| name.to_str()).context("no name")?;
    let name = file_name.split('.').next().unwrap_or(file_name);
    let list = sh.read_file(format!("crates/pt-testkit/corpus/{name}/roots.json"))?;
    let list: Value = serde_json::from_str(&list)?;
    let listed: Vec<&str> =
        list["roots"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(!listed.is_empty(), "the list of {name} is empty");

    let decoded = Decoded::of(image)?;
    let decoded = decoded.path();
    let mut buffer = vec![0; 1 << 20];
    let reading = best_of_three(|| {
        let mut file = File::open(decoded)?;
        while file.read(&mut buffer)? > 0 {}
        Ok(())
    })?;
    let mut printed = String::new();
    let searching = best_of_three(|| {
        printed = pt.run(["roots".as_ref(), decoded.as_os_str()])?;
        Ok(())
    })?;
    let found: Vec<&str> = printed.lines().filter_map(|line| line.split(' ').next()).collect();
    ensure!(found == listed, "found {found:?}, the list has {listed:?}");
    println!("{name}: {} roots, as listed; {searching:.1?}, reading the file {reading:.1?}", found.len());
    Ok(())
}

fn best_of_three(mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}
