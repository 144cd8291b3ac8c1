//! `pt rebuild` and `pt verify`: the guests of the corpus, an image with frames, and all that can go wrong.

mod corpus;
mod failures;
mod frames;
mod made;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use pt_core::{Memory, Unreadable};
use pt_image::{CoreWriter, Image, OpenOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::pt;

/// An image, every stretch of which is changed when it is read.
struct Changed<'a, F> {
    image: &'a Image,
    change: F,
}

impl<F: Fn(u64, &mut [u8])> Memory for Changed<'_, F> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.image.read(address, into)?;
        (self.change)(address, into);
        Ok(())
    }
}

/// An image, and where its new one and the report of it go.
struct Job {
    folder: TempDir,
    image: PathBuf,
    /// The folder of an image that was made for this.
    also: Option<TempDir>,
}

impl Job {
    fn of(image: &Path) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), image: image.to_owned(), also: None }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out.elf")
    }

    fn report(&self) -> PathBuf {
        self.folder.path().join("report.json")
    }

    /// `pt rebuild` with a report and these options.
    fn try_rebuild(&self, options: &[&str]) -> Output {
        let (out, report) = (self.out(), self.report());
        let paths = ["rebuild".as_ref(), self.image.as_os_str(), "-o".as_ref(), out.as_os_str()];
        let report = ["--report".as_ref(), report.as_os_str()];
        pt(paths.into_iter().chain(report).chain(options.iter().map(AsRef::as_ref)))
    }

    /// `pt rebuild`, which must succeed. Returns the report.
    fn rebuild(&self, options: &[&str]) -> Value {
        let output = self.try_rebuild(options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {options:?}: {said}", self.image.display());
        serde_json::from_slice(&fs::read(self.report()).expect("a report")).expect("JSON")
    }

    /// `pt verify` of what was written.
    fn verify(&self) -> Output {
        let (out, report) = (self.out(), self.report());
        let report = ["--report".as_ref(), report.as_os_str()];
        pt(["verify".as_ref(), self.image.as_os_str(), out.as_os_str()].into_iter().chain(report))
    }

    fn assert_verifies(&self) {
        let output = self.verify();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", self.image.display());
    }

    /// `pt verify`, which must fail in one line.
    fn assert_refuted(&self, expected: &str) {
        let output = self.verify();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.lines().count() == 1 && said.contains(expected), "{said}");
        assert!(output.stdout.is_empty());
    }

    /// Changes the new image: every stretch of bytes is given to `change`, with its address.
    fn change_out(&self, change: impl Fn(u64, &mut [u8])) {
        let image = Image::open(self.out(), &OpenOptions::new().map(false)).expect("an image");
        let writer = CoreWriter::like(&image).ranges(image.ranges());
        let changed = Changed { image: &image, change };
        writer.write(self.out(), &changed).and_then(pt_image::Staged::commit).expect("written");
    }

    /// Overwrites `bytes` at an address of the new image.
    fn poke(&self, at: u64, bytes: &[u8]) {
        self.change_out(|address, into| {
            for (offset, byte) in bytes.iter().enumerate() {
                let index =
                    (at + offset as u64).checked_sub(address).and_then(|index| usize::try_from(index).ok());
                if let Some(place) = index.and_then(|index| into.get_mut(index)) {
                    *place = *byte;
                }
            }
        });
    }
}

fn open(path: &Path) -> Image {
    Image::open(path, &OpenOptions::new()).expect("an image")
}

/// The number of a JSON string in hexadecimal.
fn number(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).expect("0x and digits");
    u64::from_str_radix(digits, 16).expect("a number")
}

/// Old and new roots.
fn roots(report: &Value) -> Vec<(u64, u64)> {
    let spaces = report["spaces"].as_array().expect("spaces");
    spaces.iter().map(|space| (number(&space["old_root"]), number(&space["new_root"]))).collect()
}
