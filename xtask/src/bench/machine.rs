//! The machine that measured, in a line: what it is, and nothing of whose it is.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Processor, number of CPUs, memory, system and compiler.
pub(super) fn describe(sh: &Shell) -> Result<String> {
    let cpus = sh.read_file("/proc/cpuinfo").unwrap_or_default();
    let processor = value(&cpus, "model name").unwrap_or(std::env::consts::ARCH);
    let count = std::thread::available_parallelism()?;
    let memory = sh.read_file("/proc/meminfo").unwrap_or_default();
    let memory = value(&memory, "MemTotal").and_then(gibibytes);
    let memory = memory.map(|memory| format!(", {memory} GiB of memory")).unwrap_or_default();
    let load = sh.read_file("/proc/loadavg").unwrap_or_default();
    let load =
        load.split(' ').next().map(|load| format!(", load {load} when this was written")).unwrap_or_default();
    let rustc = toolchain(sh)?;
    Ok(format!("{processor}, {count} CPUs{memory}{load}; {}; {rustc}, release build", std::env::consts::OS))
}

/// The compiler's version, as it says it.
pub(super) fn toolchain(sh: &Shell) -> Result<String> {
    cmd!(sh, "rustc --version").quiet().read().context("rustc does not say its version")
}

/// The value of the first line that is about `key`.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim()))
}

/// What so many `kB` are, rounded.
fn gibibytes(text: &str) -> Option<u64> {
    let kibibytes: u64 = text.strip_suffix("kB")?.trim().parse().ok()?;
    Some((kibibytes + (1 << 19)) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_key() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(value(text, "model name"), Some("AMD EPYC"));
        assert_eq!(value(text, "model"), None);
        assert_eq!(gibibytes("24675900 kB"), Some(24));
        assert_eq!(gibibytes("24675900 MB"), None);
    }
}
