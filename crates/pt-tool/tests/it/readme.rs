//! What the README shows is what the command prints.

use std::path::Path;
use std::process::Command;

#[test]
fn examples_are_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let mut examples = 0;
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("```").next().expect("a block");
        let (command, shown) = block.split_once('\n').expect("a command and what it prints");
        let arguments =
            command.strip_prefix("$ cargo run --release -q -p pt-tool -- ").expect("a pt command");
        let mut pt = Command::new(env!("CARGO_BIN_EXE_pt"));
        let output = pt.args(arguments.split_whitespace()).current_dir(&root).output().expect("pt starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout), shown, "{command}");
        examples += 1;
    }
    assert_eq!(examples, 2);
}
