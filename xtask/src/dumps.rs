//! `cargo xtask dumps [--makedumpfile PROGRAM] [IMAGE...]`: dumps of the formats' own tools, read and compared page by page.
//!
//! | module | whose dumps |
//! |---|---|
//! | [`makedumpfile`] | every compression that it was built with, without zero pages, in parts, flattened, as ELF |
//! | [`qemu`] | `dump-guest-memory` as ELF core and as kdump, of machines that hold the tables of real guests |
//! | [`lime`] | its own, of a machine that boots a kernel of Debian's |
//! | [`drgn`] | none: it reads the cores that are written here |
//!
//! The guests are those of the corpus, so that nothing from outside the repository is needed; IMAGEs are further ones. Two
//! examples of pt-image do the work on this side: `convert`, and `same_memory`, which fails where a page differs.

mod drgn;
mod initramfs;
mod lime;
mod makedumpfile;
mod qemu;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use xshell::Shell;

use crate::built::Built;
use crate::oracle::{Guest, corpus};
use crate::tools;

/// What `cargo xtask dumps` was asked for.
#[derive(Debug)]
pub(crate) struct Campaign {
    /// A `makedumpfile` that knows more compressions than Debian's, for example.
    makedumpfile: Option<PathBuf>,
    images: Vec<PathBuf>,
}

impl Campaign {
    /// `[--makedumpfile PROGRAM] [IMAGE...]`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let (makedumpfile, images) = match arguments {
            ["--makedumpfile", program, images @ ..] => (Some(std::path::absolute(program)?), images),
            images => (None, images),
        };
        if let Some(option) = images.iter().find(|image| image.starts_with('-')) {
            bail!("dumps does not take `{option}`");
        }
        let images = images.iter().map(std::path::absolute).collect::<std::io::Result<_>>()?;
        Ok(Self { makedumpfile, images })
    }

    /// Stops at the first dump that is read differently.
    pub(crate) fn run(&self, sh: &Shell) -> Result<()> {
        let makedumpfile = match &self.makedumpfile {
            Some(program) => program.clone(),
            None => tools::makedumpfile(sh)?,
        };
        tools::qemu(sh)?;
        let python = drgn::install(sh)?;
        let bench = Bench::new(sh)?;
        let mut compared = lime::round_trip(sh, &bench)?;
        let known = corpus(sh)?;
        ensure!(!known.is_empty(), "the corpus is empty");
        for path in known.iter().chain(&self.images) {
            let guest = Guest::open(sh, &bench.pt, &sh.current_dir().join(path));
            let guest = guest.with_context(|| path.display().to_string())?;
            println!("{}", guest.name);
            let name = || guest.name.clone();
            compared += makedumpfile::round_trips(sh, &bench, &makedumpfile, &guest).with_context(name)?;
            compared += qemu::round_trips(&bench, &guest).with_context(name)?;
            if guest.name == drgn::GUEST {
                compared += drgn::round_trips(sh, &bench, &python, &guest).with_context(name)?;
            }
        }
        println!("dumps: {compared} dumps and cores read equally by others and here");
        Ok(())
    }
}

/// The programs that are run, and a folder for dumps, which goes away with this value.
#[derive(Debug)]
struct Bench {
    pt: Built,
    convert: Built,
    same_memory: Built,
    folder: TempDir,
}

impl Bench {
    fn new(sh: &Shell) -> Result<Self> {
        // Dumps can be larger than what `/tmp` has room for.
        let folder = sh.create_dir("target")?;
        Ok(Self {
            pt: Built::pt(sh)?,
            convert: Built::example(sh, "pt-image", "convert")?,
            same_memory: Built::example(sh, "pt-image", "same_memory")?,
            folder: tempfile::Builder::new().prefix("dumps-").tempdir_in(folder)?,
        })
    }

    /// A file's path. Nothing is there: some tools do not replace what is.
    fn file(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        Ok(path)
    }

    /// Writes what an image holds as an ELF core, or raw where the name says so.
    fn core(&self, from: &Path, name: &str) -> Result<PathBuf> {
        let to = self.file(name)?;
        self.convert.run([from, &to])?;
        Ok(to)
    }

    /// Compares an image with another one, which may be in parts, and prints how many pages are equal.
    fn compare(&self, what: &str, image: &Path, other: &[PathBuf]) -> Result<()> {
        let paths = std::iter::once(image).chain(other.iter().map(PathBuf::as_path));
        let said = self.same_memory.run(paths).with_context(|| what.to_owned())?;
        println!("  {what}: {}", said.trim());
        Ok(())
    }

    /// The addresses that `pt roots` prints.
    fn roots(&self, image: &Path, options: &[&str]) -> Result<Vec<String>> {
        let arguments = [OsStr::new("roots"), image.as_os_str()];
        let text = self.pt.run(arguments.into_iter().chain(options.iter().map(OsStr::new)))?;
        Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_images_and_perhaps_a_program() {
        let images = |arguments: &[&str]| Campaign::parse(arguments).unwrap().images.len();
        assert_eq!((images(&[]), images(&["a", "b"]), images(&["--makedumpfile", "m", "a"])), (0, 2, 1));
        assert!(Campaign::parse(&["--other"]).is_err() && Campaign::parse(&["--makedumpfile"]).is_err());
    }
}
