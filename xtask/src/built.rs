//! Programs of this repository as users have them: built optimised, run as processes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

/// A built program.
#[derive(Debug)]
pub(crate) struct Built {
    path: PathBuf,
}

impl Built {
    /// Builds `pt`.
    pub(crate) fn pt(sh: &Shell) -> Result<Self> {
        Self::build(sh, &["-p", "pt-tool"], "pt")
    }

    /// Builds an example of a crate.
    pub(crate) fn example(sh: &Shell, package: &str, name: &str) -> Result<Self> {
        Self::build(sh, &["-p", package, "--example", name], name)
    }

    /// Builds a binary of a package that has several.
    pub(crate) fn binary(sh: &Shell, package: &str, name: &str) -> Result<Self> {
        Self::build(sh, &["-p", package, "--bin", name], name)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn build(sh: &Shell, what: &[&str], name: &str) -> Result<Self> {
        let messages =
            cmd!(sh, "cargo build --release -q {what...} --message-format json-render-diagnostics");
        let messages = messages.quiet().read()?;
        let path = messages.lines().find_map(|message| executable(message, name));
        Ok(Self { path: path.with_context(|| format!("cargo has built no `{name}`"))? })
    }

    /// What it prints, once it has succeeded.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = Command::new(&self.path);
        command.args(arguments).env("NO_COLOR", "1");
        let output = command.output().with_context(|| format!("{} cannot be run", self.path.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?} fails ({}): {}", output.status, said.trim());
        String::from_utf8(output.stdout).with_context(|| format!("{command:?} prints no text"))
    }
}

/// The path of the executable of that name, if it is what one of cargo's messages announces.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let named = message["target"]["name"] == name;
    named.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}
