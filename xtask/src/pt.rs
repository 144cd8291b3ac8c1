//! The `pt` command as users have it: built optimised, run as a process.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

/// The built command.
#[derive(Debug)]
pub(crate) struct Pt {
    program: PathBuf,
}

impl Pt {
    /// Builds it.
    pub(crate) fn build(sh: &Shell) -> Result<Self> {
        let messages =
            cmd!(sh, "cargo build --release -q -p pt-tool --message-format json-render-diagnostics");
        let messages = messages.quiet().read()?;
        let program = messages.lines().find_map(executable).context("cargo has built no `pt`")?;
        Ok(Self { program })
    }

    /// What it prints, once it has succeeded.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("NO_COLOR", "1");
        let output = command.output().context("`pt` cannot be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?} fails ({}): {}", output.status, said.trim());
        String::from_utf8(output.stdout).context("`pt` prints no text")
    }
}

/// The path of the executable that one of cargo's messages announces.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let named = message["target"]["name"] == "pt";
    named.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}
