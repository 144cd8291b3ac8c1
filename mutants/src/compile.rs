//! Building the schemata: mutants that do not compile are left out, until the rest does.
//!
//! An error that lies in the text of a mutant is the compiler's verdict on that mutant: the text stands where
//! cargo-mutants would put it, with the same names and types around. One that lies beside it (branches of different types, say) is
//! not: such mutants have no form behind a switch, and are built by themselves.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::list::{Genre, Mutant};
use crate::schema;
use crate::splice::{Splice, Spliced};
use crate::tree::{Tree, root_of, with_names, with_std, with_switch};

/// A workspace that holds all mutants it can.
pub(crate) struct Built {
    /// The programs of tests.
    pub(crate) programs: Vec<Program>,
    /// Numbers of mutants that do not compile, and of those that have no form.
    pub(crate) unviable: BTreeSet<u32>,
    pub(crate) formless: BTreeSet<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Package and target.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Where cargo would run it.
    pub(crate) directory: PathBuf,
}

/// Checked arithmetic and assertions, as in the tests of every day, and as quick as that can be.
const PROFILE: [&str; 8] = [
    "--all-features",
    "--release",
    "--config=profile.release.overflow-checks=true",
    "--config=profile.release.debug-assertions=true",
    "--config=profile.release.opt-level=1",
    "--config=profile.release.debug=0",
    "--config=profile.release.incremental=true",
    "--message-format=json",
];

struct File<'a> {
    text: String,
    splice: Splice,
    mutants: Vec<(u32, &'a Mutant)>,
}

/// Builds the tests of `tested` in a copy of `root` under `work`, in which the `mutants`, numbered from 1, can be selected.
pub(crate) fn build(root: &Path, work: &Path, mutants: &[Mutant], tested: &[String]) -> Result<Built> {
    let mut files = BTreeMap::<&str, File>::new();
    for (number, mutant) in (1..).zip(mutants).filter(|(_, mutant)| !is_opaque(mutant)) {
        let file = match files.entry(&mutant.file) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let text = std::fs::read_to_string(root.join(&mutant.file))
                    .with_context(|| format!("{} cannot be read", mutant.file))?;
                entry.insert(File { text, splice: Splice::default(), mutants: Vec::new() })
            }
        };
        file.mutants.push((number, mutant));
    }
    let count = u32::try_from(mutants.len())?;
    let (mut formless, mut unviable): (BTreeSet<u32>, _) = ((1..=count).collect(), BTreeSet::new());
    for (path, file) in &mut files {
        let (splice, refused) =
            schema::insertions(&file.text, &file.mutants).with_context(|| (*path).to_owned())?;
        for number in splice.numbers().chain(refused.iter().copied()) {
            formless.remove(&number);
        }
        unviable.extend(refused);
        file.splice = splice;
    }
    // Every mutated crate has a switch, also where its root has no mutants itself.
    let crates: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.package.as_str()).collect();
    let roots: BTreeMap<String, String> = crates
        .iter()
        .map(|name| {
            let path = root_of(name);
            let text = std::fs::read_to_string(root.join(&path));
            Ok((path.clone(), text.with_context(|| format!("{path} cannot be read"))?))
        })
        .collect::<Result<_>>()?;

    let written = files.keys().map(|path| (*path).to_owned()).chain(roots.keys().cloned()).collect();
    let tree = Tree::copy(root, work.join("tree"), &written)?;
    let mut build = Build { tree, target: work.join("build"), crates, unviable, formless };
    loop {
        let mut spliced = BTreeMap::<&str, Written>::new();
        for (path, file) in &files {
            let done = file.splice.apply(&file.text, |number| build.has(number));
            let text = with_names(&done.text);
            let (text, shift) =
                if roots.contains_key(*path) { with_switch(&with_std(&text), count) } else { (text, 0) };
            build.tree.write(path, text.as_bytes())?;
            spliced.insert(path, Written { spliced: done, shift });
        }
        for (path, text) in roots.iter().filter(|(path, _)| !files.contains_key(path.as_str())) {
            build.tree.write(path, with_switch(&with_std(text), count).0.as_bytes())?;
        }
        let libraries: Vec<String> = build.crates.iter().map(|name| (*name).to_owned()).collect();
        let mut errors = build.cargo(&["check", "--keep-going", "--lib"], &libraries)?.errors;
        if errors.is_empty() {
            let outcome = build.cargo(&["test", "--no-run", "--lib", "--bins", "--tests"], tested)?;
            if outcome.errors.is_empty() {
                let Build { unviable, formless, .. } = build;
                return Ok(Built { programs: outcome.programs, unviable, formless });
            }
            errors = outcome.errors;
        }
        let before = (build.unviable.len(), build.formless.len());
        for error in &errors {
            build.blame(error, &spliced)?;
        }
        let now = (build.unviable.len(), build.formless.len());
        ensure!(now != before, "the same errors as before:\n{}", errors[0].rendered);
        println!("{} errors: {} mutants do not compile, {} have no form", errors.len(), now.0, now.1);
    }
}

struct Written {
    spliced: Spliced,
    /// Bytes before it.
    shift: usize,
}

struct Build<'a> {
    tree: Tree,
    target: PathBuf,
    crates: BTreeSet<&'a str>,
    unviable: BTreeSet<u32>,
    formless: BTreeSet<u32>,
}

#[derive(Default)]
struct Outcome {
    errors: Vec<CompileError>,
    programs: Vec<Program>,
}

struct CompileError {
    rendered: String,
    /// File, bytes, and whether this is the place of the error itself.
    spans: Vec<(String, Range<usize>, bool)>,
}

impl Build<'_> {
    fn has(&self, number: u32) -> bool {
        !self.unviable.contains(&number) && !self.formless.contains(&number)
    }

    fn cargo(&self, arguments: &[&str], packages: &[String]) -> Result<Outcome> {
        let output = Command::new("cargo")
            .args(arguments)
            .args(PROFILE)
            .args(packages.iter().flat_map(|package| ["-p", package]))
            .current_dir(&self.tree.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("RUSTFLAGS", "--cap-lints=allow")
            // For `const_eval_select`, which lets a switch be asked in functions that are `const`.
            .env("RUSTC_BOOTSTRAP", "1")
            .stderr(Stdio::piped())
            .output()
            .context("cargo could not be started")?;
        let (mut outcome, mut said) = (Outcome::default(), String::new());
        for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.starts_with('{')) {
            let message: Value = serde_json::from_str(line)?;
            match message["reason"].as_str() {
                Some("compiler-message") => {
                    outcome.errors.extend(error(&message["message"]));
                    said.push_str(message["message"]["rendered"].as_str().unwrap_or_default());
                }
                Some("compiler-artifact") => outcome.programs.extend(program(&message)),
                _ => {}
            }
        }
        if !output.status.success() && outcome.errors.is_empty() {
            bail!("cargo fails: {}{said}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(outcome)
    }

    /// Leaves out what an error is about.
    fn blame(&mut self, error: &CompileError, files: &BTreeMap<&str, Written>) -> Result<()> {
        let mut found = false;
        for (path, bytes, primary) in &error.spans {
            let Some((_, written)) = files.iter().find(|(file, _)| path == *file) else { continue };
            let bytes = bytes.start.saturating_sub(written.shift)..bytes.end.saturating_sub(written.shift);
            for (number, text) in &written.spliced.mutants {
                if text.start <= bytes.start && bytes.end <= text.end {
                    found = true;
                    if *primary {
                        self.unviable.insert(*number);
                    } else if !self.unviable.contains(number) {
                        self.formless.insert(*number);
                    }
                }
            }
        }
        if found {
            return Ok(());
        }
        for (path, bytes, _) in error.spans.iter().filter(|(_, _, primary)| *primary) {
            let Some((_, written)) = files.iter().find(|(file, _)| path == *file) else { continue };
            let bytes = bytes.start.saturating_sub(written.shift)..bytes.end.saturating_sub(written.shift);
            let around = written.spliced.wrapped.iter();
            let around =
                around.filter(|(wrapped, _)| wrapped.start <= bytes.start && bytes.end <= wrapped.end);
            if let Some((_, numbers)) = around.min_by_key(|(wrapped, _)| wrapped.len()) {
                self.formless.extend(numbers);
                return Ok(());
            }
        }
        bail!("an error that is nowhere near a mutant:\n{}", error.rendered)
    }
}

/// Whether the function returns a type that it does not name: that is one type, the original's or the mutant's.
fn is_opaque(mutant: &Mutant) -> bool {
    let function = mutant.function.as_ref().filter(|_| mutant.genre == Genre::FnValue);
    function.is_some_and(|function| function.return_type.contains("impl "))
}

fn error(message: &Value) -> Option<CompileError> {
    if message["level"] != "error" {
        return None;
    }
    let spans = message["spans"].as_array()?;
    let spans: Vec<_> = spans
        .iter()
        .filter_map(|span| {
            let at = |name: &str| usize::try_from(span[name].as_u64()?).ok();
            let bytes = at("byte_start")?..at("byte_end")?;
            Some((span["file_name"].as_str()?.to_owned(), bytes, span["is_primary"] == true))
        })
        .collect();
    // Those without a place count the others.
    (!spans.is_empty()).then(|| CompileError {
        rendered: message["rendered"].as_str().unwrap_or_default().to_owned(),
        spans,
    })
}

fn program(message: &Value) -> Option<Program> {
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let directory = manifest.parent()?.to_owned();
    let package = directory.file_name()?.to_str()?.to_owned();
    Some(Program {
        name: format!("{package}/{}", message["target"]["name"].as_str()?),
        path: message["executable"].as_str()?.into(),
        directory,
    })
}
