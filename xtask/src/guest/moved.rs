//! A dump of the guest, its spaces rebuilt by `pt rebuild` with every frame moved.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::core::Core;
use crate::built::Built;

/// The result.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) image: PathBuf,
    /// The new roots, in the order of the old ones.
    pub(super) roots: Vec<u64>,
}

impl Moved {
    /// Rebuilds all spaces of a dump, has `pt verify` prove it, and finds out where roots have gone.
    pub(super) fn rebuild(pt: &Built, dump: &Path, roots: &[u64], table_frames: &str) -> Result<Self> {
        let (image, report) = (dump.with_extension("moved"), dump.with_extension("json"));
        let mut arguments: Vec<OsString> =
            ["rebuild", "--frames", "compact", "--table-frames", table_frames].map(OsString::from).into();
        for root in roots {
            arguments.extend(["--root".into(), format!("{root:#x}").into()]);
        }
        arguments.extend([dump.into(), "-o".into(), (&image).into(), "--report".into(), (&report).into()]);
        pt.run(arguments)?;
        let proof: [&OsStr; 5] =
            ["verify".as_ref(), dump.as_ref(), image.as_ref(), "--report".as_ref(), report.as_ref()];
        pt.run(proof)?;

        let said: Value = serde_json::from_str(&std::fs::read_to_string(&report)?)?;
        ensure!(said["frames"]["kept"] == 0, "not all frames have moved: {}", said["frames"]);
        let moved = |&old: &u64| moved(&said, old).with_context(|| format!("where is root {old:#x} now?"));
        let roots = roots.iter().map(moved).collect::<Result<_>>()?;
        let moved_cr3 = moved(&Core::read(dump)?.cr3()?)?;
        let cr3 = Core::read(&image)?.cr3()?;
        ensure!(cr3 == moved_cr3, "cr3 is {cr3:#x}, and the root is at {moved_cr3:#x}");
        Ok(Self { image, roots })
    }
}

/// The new root of an old one, as the report has it.
fn moved(report: &Value, old: u64) -> Option<u64> {
    let address = |value: &Value| u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok();
    let mut spaces = report["spaces"].as_array()?.iter();
    spaces.find_map(|space| (address(&space["old_root"])? == old).then(|| address(&space["new_root"]))?)
}
