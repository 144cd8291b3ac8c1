//! What is known of the guest whose memory an image is: how it pages, and its roots.
//!
//! Guests of the corpus have a list, `roots.json`, found by the image's name (`amd64-4level.elf.xz`) or by that of its folder
//! (`amd64-4level/tables.elf.xz`). Of others `pt` says it: what it says wrongly, QEMU will not agree with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::NamedTempFile;
use xshell::Shell;

use super::pages::Mode;
use crate::built::Built;
use crate::decoded::Decoded;
use crate::elf_core::flat;
use crate::qemu::Paging;

/// Where the guests of the corpus are, from the repository's root.
pub(super) const CORPUS: &str = "crates/pt-testkit/corpus";

/// EFER.LME and NXE: what every 64-bit kernel sets, and images do not record.
const LONG: u64 = 0x900;

/// A guest as an image.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) name: String,
    /// Whether the image lacks the frames that are mapped: it is called `tables.…`, as in the corpus.
    pub(super) tables_only: bool,
    /// Not compressed.
    pub(crate) image: Decoded,
    /// Its memory, for QEMU.
    pub(super) raw: NamedTempFile,
    pub(super) mode: Mode,
    pub(crate) paging: Paging,
    pub(crate) roots: Vec<u64>,
}

impl Guest {
    pub(crate) fn open(sh: &Shell, pt: &Built, path: &Path) -> Result<Self> {
        let image = Decoded::of(path)?;
        let raw = flat(image.path())?;
        let names = [path.file_name(), path.parent().and_then(Path::file_name)];
        let tables_only = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tables."));
        for name in names.into_iter().flatten().filter_map(|name| name.to_str()) {
            let name = name.split('.').next().unwrap_or(name);
            let list = Path::new(CORPUS).join(name).join("roots.json");
            if sh.path_exists(&list) {
                let (mode, paging, roots) =
                    listed(&sh.read_file(&list)?).with_context(|| list.display().to_string())?;
                return Ok(Self { name: name.to_owned(), tables_only, image, raw, mode, paging, roots });
            }
        }
        let (mode, paging) = said(&pt.run(["info".as_ref(), image.path()])?)?;
        let roots = pt.run(["roots".as_ref(), image.path()])?;
        let roots = roots.lines().map(|line| hex(line.split(' ').next().unwrap_or_default()));
        let roots = roots.collect::<Result<_>>().context("`pt roots`")?;
        Ok(Self { name: path.display().to_string(), tables_only, image, raw, mode, paging, roots })
    }
}

/// All guests of the corpus.
pub(crate) fn corpus(sh: &Shell) -> Result<Vec<PathBuf>> {
    let images = sh.read_dir(CORPUS)?.into_iter().map(|folder| folder.join("tables.elf.xz"));
    let mut images: Vec<PathBuf> = images.filter(|image| image.exists()).collect();
    images.sort();
    Ok(images)
}

/// The corpus's list of a guest.
fn listed(list: &str) -> Result<(Mode, Paging, Vec<u64>)> {
    let list: Value = serde_json::from_str(list)?;
    let text = |name: &str| list[name].as_str().with_context(|| format!("no `{name}`"));
    let paging = Paging { cr4: hex(text("cr4")?)?, efer: hex(text("efer")?)? };
    let roots = list["roots"].as_array().context("no `roots`")?;
    let roots = roots.iter().map(|root| hex(root.as_str().unwrap_or_default())).collect::<Result<_>>()?;
    Ok((text("mode")?.parse()?, paging, roots))
}

/// What `pt info` prints of the first CPU that has paging on.
fn said(info: &str) -> Result<(Mode, Paging)> {
    let mut mode = None;
    for line in info.lines() {
        if let Some((_, name)) = line.strip_prefix("cpu ").and_then(|line| line.split_once(": ")) {
            mode = name.parse::<Mode>().ok();
        } else if let (Some(mode), Some((_, cr4))) = (mode, line.split_once(" cr4 ")) {
            let efer = if mode.is_long() { LONG } else { 0 };
            return Ok((mode, Paging { cr4: hex(cr4)?, efer }));
        }
    }
    bail!("the image has no CPU state that says how its tables are read")
}

/// A number as everything here prints it.
pub(super) fn hex(text: &str) -> Result<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).with_context(|| format!("{text:?} is no hexadecimal number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_known_by_its_list() {
        let list =
            r#"{ "mode": "pae", "cr4": "0x350ef0", "efer": "0x800", "roots": ["0x100e6c0", "0x1219000"] }"#;
        let paging = Paging { cr4: 0x0035_0ef0, efer: 0x800 };
        assert_eq!(listed(list).expect("a list"), (Mode::Pae, paging, vec![0x0100_e6c0, 0x0121_9000]));
        assert!(listed("{}").is_err());
    }

    #[test]
    fn or_by_what_is_said_of_its_cpus() {
        let info = "a.elf: ELF core\ncpu 0: unpaged\n  cr0 0x11  cr2 0x0  cr3 0x0  cr4 0x0\n\
                    cpu 1: 5level\n  root 0x1000\n  cr0 0x80050033  cr2 0x0  cr3 0x1801  cr4 0x351ef0\n";
        let paging = Paging { cr4: 0x0035_1ef0, efer: 0x900 };
        assert_eq!(said(info).expect("a CPU"), (Mode::FiveLevel, paging));
        assert!(said("cpus: 0 (no control registers: name --mode and --root)\n").is_err());
    }
}
