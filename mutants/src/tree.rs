//! A copy of the workspace, in which sources are replaced by their schemata.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What each mutated crate gets: whether a mutant is selected. Functions that are `const` may ask; what the compiler
/// evaluates is always the original.
const SWITCH: &str = r#"
#[allow(warnings)]
mod pt_mutant {
    extern crate std;
    use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
    use std::io::Write;

    const NOT_ASKED: u32 = u32::MAX;
    const NOTE_ALL: u32 = u32::MAX - 1;
    static SELECTED: AtomicU32 = AtomicU32::new(NOT_ASKED);
    static NOTED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];
    static NOTES: std::sync::OnceLock<std::fs::File> = std::sync::OnceLock::new();

    #[inline(always)]
    pub(crate) const fn is(number: u32) -> bool {
        core::intrinsics::const_eval_select((number,), original, selected)
    }

    const fn original(_: u32) -> bool {
        false
    }

    #[inline(always)]
    fn selected(number: u32) -> bool {
        let selected = SELECTED.load(Relaxed);
        if selected >= NOTE_ALL { asked(selected, number) } else { selected == number }
    }

    #[cold]
    #[inline(never)]
    fn asked(selected: u32, number: u32) -> bool {
        if selected == NOT_ASKED {
            let wanted = std::env::var("PT_MUTANT").ok();
            let wanted = wanted.map_or(0, |wanted| wanted.parse().unwrap_or(NOTE_ALL));
            if wanted == NOTE_ALL {
                let path = std::env::var_os("PT_MUTANT_REACHED").expect("PT_MUTANT_REACHED names no file");
                let mut file = std::fs::OpenOptions::new();
                NOTES.get_or_init(|| file.append(true).create(true).open(path).unwrap());
            }
            SELECTED.store(wanted, Relaxed);
            if wanted != NOTE_ALL {
                return wanted == number;
            }
        }
        if !NOTED[number as usize].swap(true, Relaxed) {
            // Some tests count what is allocated.
            let mut line = [0; 16];
            std::writeln!(&mut line[..], "{number}").unwrap();
            let len = line.iter().position(|byte| *byte == 0).unwrap();
            NOTES.get().unwrap().write_all(&line[..len]).unwrap();
        }
        false
    }
}
"#;

/// The attributes that it needs.
const FEATURES: &str = "#![allow(internal_features)] #![feature(core_intrinsics, const_eval_select)] ";

/// What a crate's root gets: cargo-mutants takes std for granted, and crates without it need it for their mutants.
const STD: &str = "\n#[allow(unused_imports)]\n#[macro_use]\nextern crate std;\n";
/// What each file with mutants gets, for the same reason.
const NAMES: &str = "\n#[allow(unused_imports)]\nuse ::std::prelude::v1::*;\n";

/// The copy.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
}

impl Tree {
    /// Copies what git tracks or would track at `from` to `root`, but the files that are `written` otherwise. What did not
    /// change keeps its time, so that nothing is built twice.
    pub(crate) fn copy(from: &Path, root: PathBuf, written: &HashSet<String>) -> Result<Self> {
        let listing = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(from)
            .output()
            .context("git could not be started")?;
        ensure!(listing.status.success(), "git does not list the workspace's files");
        let listing = String::from_utf8(listing.stdout)?;
        let tree = Self { root };
        for path in listing.split('\0').filter(|path| !path.is_empty() && !written.contains(*path)) {
            // What was removed but is still in the index is listed too.
            if let Ok(bytes) = fs::read(from.join(path)) {
                tree.write(path, &bytes)?;
            }
        }
        Ok(tree)
    }

    /// Writes a file, if it is not so already.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.root.join(path);
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        fs::create_dir_all(path.parent().context("a file without a directory")?)?;
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// The path of a crate's root file.
pub(crate) fn root_of(package: &str) -> String {
    format!("crates/{package}/src/lib.rs")
}

/// A file of a crate, which may use what std has once the root file is [`with_std`], too.
pub(crate) fn with_names(text: &str) -> String {
    format!("{text}{NAMES}")
}

/// The root file of a crate, which has std.
pub(crate) fn with_std(text: &str) -> String {
    format!("{text}{STD}")
}

/// The root file of a crate, with the switch for mutants with numbers up to `count`. The number of bytes that were put before it
/// comes along.
pub(crate) fn with_switch(text: &str, count: u32) -> (String, usize) {
    let switch = SWITCH.replace("COUNT", &(count + 1).to_string());
    (format!("{FEATURES}{text}{switch}"), FEATURES.len())
}
