//! The examples of the READMEs as programs of somebody else: outside of the workspace, with the dependencies that the README
//! names and no others.
//!
//! Inside, an example also sees what the crate itself depends on, with features that other crates turn on.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::workspace::{MAIN, Package, packages};

/// Builds and runs the example of every library that can be published.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let mut published = packages(sh, MAIN)?;
    published.retain(|package| package.published);
    let root = sh.current_dir();
    // Of all of them: which others one needs is its own business.
    let replaced = |package: &Package| {
        let path = root.join(&package.directory);
        format!("{} = {{ path = {:?} }}\n", package.name, path.display().to_string())
    };
    let patch: String = published.iter().map(replaced).collect();
    let target = root.join("target/outside");
    let folder = sh.create_temp_dir()?;
    for package in published.iter().filter(|package| package.is_library()) {
        let readme = sh.read_file(root.join(&package.directory).join("README.md"))?;
        let project = folder.path().join(&package.name);
        write(sh, &project, &readme, &patch).with_context(|| format!("README.md of {}", package.name))?;
        let _inside = sh.push_dir(&project);
        cmd!(sh, "cargo run --quiet --target-dir {target}")
            .run()
            .with_context(|| format!("the example of {}", package.name))?;
    }
    Ok(())
}

/// A package of what a README says.
fn write(sh: &Shell, project: &Path, readme: &str, patch: &str) -> Result<()> {
    let dependencies = block(readme, "toml").context("it names no dependencies")?;
    let example = block(readme, "rust").context("it has no example")?;
    ensure!(dependencies.starts_with("[dependencies]\n"), "the dependencies are in no [dependencies]");
    let package = "[package]\nname = \"outside\"\nedition = \"2024\"\n\n[workspace]\n";
    sh.write_file(
        project.join("Cargo.toml"),
        format!("{package}\n{dependencies}\n[patch.crates-io]\n{patch}"),
    )?;
    sh.write_file(project.join("src/main.rs"), program(example))?;
    Ok(())
}

/// The first block in a language.
fn block<'a>(text: &'a str, language: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```")?.0)
}

/// What rustdoc makes of an example: lines that begin with `# ` are part of it, and may say what `main` returns.
fn program(example: &str) -> String {
    let line = |line: &str| format!("{}\n", line.strip_prefix("# ").unwrap_or(line));
    let body: String = example.lines().map(line).collect();
    let returns = if body.trim_end().ends_with("(())") { " -> Result<(), impl std::fmt::Debug>" } else { "" };
    format!("fn main(){returns} {{\n{body}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_becomes_a_program() {
        let readme = "# x\n\n```toml\n[dependencies]\n```\n\n```rust\nlet a = 1;\n# Ok::<(), u8>(())\n```\n";
        assert_eq!(block(readme, "toml"), Some("[dependencies]\n"));
        let example = block(readme, "rust").unwrap();
        let expected = "fn main() -> Result<(), impl std::fmt::Debug> {\nlet a = 1;\nOk::<(), u8>(())\n}\n";
        assert_eq!(program(example), expected);
        assert_eq!(program("let a = 1;\n"), "fn main() {\nlet a = 1;\n}\n");
        assert_eq!(block(readme, "sh"), None);
    }
}
