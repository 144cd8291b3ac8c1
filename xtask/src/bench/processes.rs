//! Whole processes on whole images, beside what reads or writes the same bytes and does nothing else.
//!
//! Rounds are interleaved, so that whatever else the machine does meets all of them, and the first is not counted: it
//! fills the page cache. Times are those that the processes had a CPU, in the kernel included.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::results::Results;
use crate::built::Built;
use crate::decoded::Decoded;

const ROUNDS: usize = 15;

/// A command by the name of its results; `IMAGE`, `PT` and `OUT` are put in.
const COMMANDS: [(&str, &str); 5] = [
    ("cat", "cat \"$IMAGE\" > /dev/null"),
    ("walk", "\"$PT\" walk \"$IMAGE\" > /dev/null"),
    ("cp", "cp \"$IMAGE\" \"$OUT\""),
    ("rebuild-compact", "\"$PT\" rebuild --frames compact \"$IMAGE\" -o \"$OUT\" > /dev/null 2>&1"),
    ("rebuild-keep", "\"$PT\" rebuild --frames keep \"$IMAGE\" -o \"$OUT\" > /dev/null 2>&1"),
];

pub(super) fn measure(sh: &Shell, images: &[PathBuf]) -> Result<()> {
    let (pt, results) = (Built::pt(sh)?, Results::of(sh)?);
    for image in images {
        let name = super::works::guest(image)?;
        let decoded = Decoded::of(image)?;
        let out = tempfile::tempdir()?;
        let mut times = vec![Vec::new(); COMMANDS.len()];
        for round in 0..=ROUNDS {
            for ((_, command), times) in COMMANDS.iter().zip(&mut times) {
                let time = cpu_time(sh, command, pt.path(), decoded.path(), &out.path().join("out"))?;
                if round > 0 {
                    times.push(time);
                }
            }
        }
        for ((command, _), times) in COMMANDS.iter().zip(times) {
            results.keep(&format!("process/{name}/{command}"), times)?;
        }
    }
    Ok(())
}

/// In nanoseconds.
fn cpu_time(sh: &Shell, command: &str, pt: &Path, image: &Path, out: &Path) -> Result<f64> {
    // The shell's own `time` tells user and system time of what it ran, by the millisecond.
    let script =
        format!("set -e; rm -f \"$OUT\"; TIMEFORMAT='%U %S'; {{ time {{ {command}; }} 2>&3; }} 3>&2 2>&1");
    let timed = cmd!(sh, "bash -c {script}").env("PT", pt).env("IMAGE", image).env("OUT", out).quiet();
    let said = timed.read().with_context(|| format!("`{command}` fails"))?;
    seconds(&said).map(|seconds| seconds * 1e9).with_context(|| format!("no times: {said}"))
}

fn seconds(said: &str) -> Option<f64> {
    let (user, system) = said.trim().split_once(' ')?;
    Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        assert_eq!(seconds("0.250 0.500\n"), Some(0.75));
        assert_eq!(seconds("pt: no such file"), None);
    }
}
