//! The guests of the corpus, and what the witnesses said of them: one solid archive of texts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::corpus;

/// `roots.json`, as far as it is used.
#[derive(Debug, Deserialize)]
pub(crate) struct Guest {
    pub(crate) variant: String,
    pub(crate) mode: String,
    pub(crate) roots: Vec<String>,
    pub(crate) roots_with_oracle_output: Vec<String>,
    pub(crate) efer: String,
}

impl Guest {
    pub(crate) fn image(&self) -> std::path::PathBuf {
        corpus().join(&self.variant).join("tables.elf.xz")
    }

    /// What a witness printed for a root; none where it prints nothing (`info mem` with five levels).
    pub(crate) fn witness(&self, kind: &str, root: &str) -> Option<&'static str> {
        let name = format!("{}/{kind}-{}.txt", self.variant, root.trim_start_matches("0x"));
        texts().get(&name).map(String::as_str)
    }
}

/// All guests.
pub(crate) fn guests() -> Vec<Guest> {
    let folders = corpus().read_dir().expect("the corpus");
    let mut guests: Vec<Guest> = folders
        .filter_map(|entry| File::open(entry.expect("a folder").path().join("roots.json")).ok())
        .map(|file| serde_json::from_reader(file).expect("roots.json"))
        .collect();
    guests.sort_by(|a, b| a.variant.cmp(&b.variant));
    assert_eq!(guests.len(), 11, "guests in the corpus");
    guests
}

/// The texts of the archive by name.
fn texts() -> &'static BTreeMap<String, String> {
    static TEXTS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let file = File::open(corpus().join("oracle.tar.xz")).expect("oracle.tar.xz");
        let mut archive = tar::Archive::new(lzma_rust2::XzReader::new(file, true));
        let mut texts = BTreeMap::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("a file of the archive");
            let path = entry.path().expect("a path").to_string_lossy().trim_start_matches("./").to_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            if !text.is_empty() {
                texts.insert(path, text);
            }
        }
        texts
    })
}
