//! The commands of this crate's own README print what it shows.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

#[test]
fn the_example_is_true() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.expect("README.md");
    let block =
        readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let (command, shown) = block.split_once("$ pt ").and_then(|(_, rest)| rest.split_once('\n')).expect("pt");

    // What the line before it makes, without a shell.
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("ram.raw"), [0; 4096]).expect("ram.raw");
    let mut pt = Command::new(env!("CARGO_BIN_EXE_pt"));
    let output =
        pt.args(command.split_whitespace()).current_dir(directory.path()).output().expect("pt starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), shown);
}
