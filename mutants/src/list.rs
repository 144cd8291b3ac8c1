//! The mutants, as cargo-mutants lists them: it decides what there is to change, here it is only changed in another way.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One mutant.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mutant {
    /// File, line, column and what changes: what cargo-mutants calls it, in reports and in regular expressions.
    pub(crate) name: String,
    pub(crate) package: String,
    /// Relative to the workspace.
    pub(crate) file: String,
    pub(crate) function: Option<Function>,
    pub(crate) span: Span,
    pub(crate) replacement: String,
    pub(crate) genre: Genre,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Function {
    pub(crate) return_type: String,
}

/// What is replaced: the end is the first position that is not.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Position,
    pub(crate) end: Position,
}

/// Both count from 1; columns are characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
pub(crate) enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// All mutants of these packages of the workspace at `root`.
pub(crate) fn mutants(root: &Path, packages: &[String]) -> Result<Vec<Mutant>> {
    let output = Command::new("cargo")
        .args(["mutants", "--list", "--json"])
        .args(packages.iter().flat_map(|package| ["-p", package]))
        .current_dir(root)
        .output()
        .context("cargo mutants could not be started")?;
    ensure!(output.status.success(), "cargo mutants: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo mutants lists in an unknown form")
}

impl Mutant {
    /// The bytes of `text`, its file, that are replaced.
    pub(crate) fn bytes(&self, text: &str) -> Option<std::ops::Range<usize>> {
        Some(self.span.start.byte(text)?..self.span.end.byte(text)?)
    }
}

impl Position {
    fn byte(self, text: &str) -> Option<usize> {
        let mut lines = text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(self.line - 1).map(str::len).sum();
        let line = lines.next()?;
        let column = line.char_indices().nth(self.column - 1).map_or(line.len(), |(at, _)| at);
        Some(before + column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let text = "a\nπ + b\n";
        let at = |line, column| Position { line, column }.byte(text);
        assert_eq!([at(1, 1), at(2, 1), at(2, 3), at(2, 6)], [Some(0), Some(2), Some(5), Some(8)]);
        assert_eq!(at(4, 1), None);
    }
}
