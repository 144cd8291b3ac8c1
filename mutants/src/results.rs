//! What became of each mutant: a line of JSON each, written as it comes, read again by the next run.
//!
//! A verdict holds for the text of the file that it was made of. One that the tests may yet change (missed) is made again.
//! Those of the last campaign go with the sources, compressed: the next one begins with them.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions, read, write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use lzma_rust2::{XzOptions, XzReader, XzWriter};
use serde::{Deserialize, Serialize};

use crate::list::Mutant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Caught,
    /// Caught, by not ending.
    Timeout,
    Unviable,
    /// It changes nothing that could be noticed: somebody has said why.
    Equivalent,
    Missed,
    /// It has no form behind a switch.
    Formless,
}

/// The verdicts that go with the sources.
const KEPT: &str = "mutants/verdicts.xz";

#[derive(Serialize, Deserialize)]
struct Line {
    mutant: String,
    text: u64,
    verdict: Verdict,
    /// The test that noticed, or who else says so.
    by: Option<String>,
}

pub(crate) struct Results {
    file: File,
    /// Of the texts as they are now.
    texts: HashMap<String, u64>,
    known: BTreeMap<String, Line>,
}

impl Results {
    /// Those in the file at `path` that are about files at `root` as they are now.
    pub(crate) fn open(path: &Path, root: &Path, mutants: &[Mutant]) -> Result<Self> {
        let mut texts = HashMap::new();
        for mutant in mutants {
            if !texts.contains_key(&mutant.file) {
                let mut hasher = DefaultHasher::new();
                read(root.join(&mutant.file))?.hash(&mut hasher);
                texts.insert(mutant.file.clone(), hasher.finish());
            }
        }
        let of_now: HashMap<&str, u64> =
            mutants.iter().map(|mutant| (mutant.name.as_str(), texts[&mutant.file])).collect();
        if !path.exists() && root.join(KEPT).exists() {
            let mut text = Vec::new();
            XzReader::new(&read(root.join(KEPT))?[..], true).read_to_end(&mut text)?;
            write(path, text)?;
        }
        let mut known = BTreeMap::new();
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            // The last line of a run that was interrupted can be cut.
            let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
            if of_now.get(line.mutant.as_str()) == Some(&line.text) {
                known.insert(line.mutant.clone(), line);
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self {
            file: file.with_context(|| format!("{} cannot be written", path.display()))?,
            texts,
            known,
        })
    }

    pub(crate) fn add(&mut self, mutant: &Mutant, verdict: Verdict, by: Option<&str>) -> Result<()> {
        let line = Line {
            mutant: mutant.name.clone(),
            text: self.texts[&mutant.file],
            verdict,
            by: by.map(str::to_owned),
        };
        writeln!(self.file, "{}", serde_json::to_string(&line)?)?;
        if verdict == Verdict::Missed {
            println!("missed: {}", mutant.name);
        }
        self.known.insert(line.mutant.clone(), line);
        Ok(())
    }

    pub(crate) fn verdict(&self, mutant: &Mutant) -> Option<Verdict> {
        self.known.get(&mutant.name).map(|line| line.verdict)
    }

    /// Writes what is known of the texts as they are now to where it goes with the sources.
    pub(crate) fn keep(&self, root: &Path) -> Result<()> {
        let mut kept = XzWriter::new(Vec::new(), XzOptions::with_preset(9))?;
        for line in self.known.values() {
            writeln!(kept, "{}", serde_json::to_string(line)?)?;
        }
        write(root.join(KEPT), kept.finish()?)?;
        Ok(())
    }
}
