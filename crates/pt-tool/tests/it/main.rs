//! `pt` against independent witnesses: QEMU's monitor and Unicorn's MMU on real guests and on hand-made cases.

mod access;
mod broken;
mod commands;
mod corpus;
mod every;
mod hostile;
mod oracle;
mod readme;
mod rebuild;
mod roots;
mod synth;
mod synth_case;
#[cfg(target_os = "linux")]
mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of real guests' tables.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pt-testkit/corpus")
}

/// `pt` with these arguments.
fn pt<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(arguments: I) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pt")).args(arguments).output().expect("pt starts")
}

/// What `pt` prints, which must not fail.
fn printed<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(arguments: I) -> String {
    let output = pt(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
