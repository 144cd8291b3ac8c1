//! How the image is opened: what its name says, and what the command line adds.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use pt_image::{Format, Image, OpenOptions, Region};

use crate::arguments::{range, wrong_usage};

/// The image, and what its content does not tell.
#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    /// ELF core (QEMU, Cloud Hypervisor), kdump, `LiME`, Cloud Hypervisor snapshot folder, Firecracker or raw memory file;
    /// xz and zstd are decoded. Or parts of files: ADDR=FILE[@OFFSET[+LEN]],...
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    /// Another part of a split kdump; repeatable
    #[arg(long = "part", value_name = "FILE")]
    parts: Vec<PathBuf>,
    /// What the image is, instead of what it looks like
    #[arg(long, value_name = "FORMAT")]
    format: Option<Named>,
    /// Firecracker: where a region of guest memory is, in the order of the file; repeatable. Default: around the x86 gaps
    #[arg(long = "layout", value_name = "START..=END", value_parser = range)]
    layout: Vec<RangeInclusive<u64>>,
    /// Memory files with holes: what is a hole is not in the image (a diff snapshot), rather than zero
    #[arg(long)]
    holes_missing: bool,
    /// The most that an image may take in memory when it is decoded, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    decode_limit: u64,
}

/// A format by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Named {
    Elf,
    Raw,
    Lime,
    Kdump,
    Firecracker,
}

impl From<Named> for Format {
    fn from(named: Named) -> Self {
        match named {
            Named::Elf => Self::Elf,
            Named::Raw => Self::Raw,
            Named::Lime => Self::Lime,
            Named::Kdump => Self::Kdump,
            Named::Firecracker => Self::Firecracker,
        }
    }
}

impl Source {
    /// Opens the image.
    pub(crate) fn open(&self) -> anyhow::Result<Image> {
        let limit = self.decode_limit.saturating_mul(1 << 20);
        let mut options = OpenOptions::new().decode_limit(limit).holes_missing(self.holes_missing);
        if let Some(format) = self.format {
            options = options.format(format.into());
        }
        if !self.layout.is_empty() {
            let exclusive = |range: &RangeInclusive<u64>| match range.end().checked_add(1) {
                Some(end) => Ok(*range.start()..end),
                None => wrong_usage("--layout goes past the last physical address"),
            };
            let layout: anyhow::Result<Vec<_>> = self.layout.iter().map(exclusive).collect();
            options = options.layout(layout?);
        }
        if !self.parts.is_empty() {
            let paths: Vec<_> = std::iter::once(&self.image).chain(&self.parts).collect();
            return Ok(Image::open_parts(&paths, &options)?);
        }
        match self.regions() {
            Some(regions) => Ok(Image::open_regions(&regions?, &options)?),
            None => Ok(Image::open(&self.image, &options)?),
        }
    }

    /// The parts of files that the name lists, if it does: nothing that exists is taken for a list.
    fn regions(&self) -> Option<anyhow::Result<Vec<Region>>> {
        let listed = self.image.to_str().filter(|name| name.contains('=') && !self.image.exists())?;
        let parse = |part: &str| part.parse::<Region>().with_context(|| format!("region `{part}`"));
        Some(listed.split(',').map(parse).collect())
    }
}
