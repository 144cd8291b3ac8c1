//! Opening: where the bytes come from, what they are, and who reads them.
//!
//! ```text
//! path -> xz? zstd? --yes--> decoded, within the limit -+
//!              |                                        +-> flattened? -> format, by content or as told -> Contents
//!              +-no--> mapped (read, if not a file) ----+
//! ```
//!
//! Only one layer of compression is taken off. What is in several files has a way in of its own. A new format is a line in [`detect`], a line in [`parse`] and a module.

use crate::cloud_hypervisor::{self, State};
use crate::error::{Checked, Error};
use crate::headerless::{self, Stretch};
use crate::image::{Contents, Format, Image};
use crate::source::Source;
use crate::{OpenOptions, Region, elf, firecracker, kdump, lime, raw};
use std::path::{Path, PathBuf};

impl Image {
    /// Opens the image at `path`. Its compression and format are recognised by content; a folder with a snapshot of Cloud
    /// Hypervisor, and the memory in it, by their names. The flattened form of dumps is rearranged in memory, within the
    /// limit.
    ///
    /// An uncompressed file is mapped, so it must not be modified while the image is in use: changed bytes would be read
    /// as changed memory (and Rust takes lent bytes to be constant), and bytes cut off end the process with SIGBUS.
    /// [`Image::check_unchanged`] tells afterwards; [`OpenOptions::map`]`(false)` reads the file instead. Pipes and
    /// devices are always read.
    ///
    /// # Errors
    ///
    /// - [`Error::Open`], [`Error::Directory`], [`Error::Read`], [`Error::Map`]: the file cannot be had;
    /// - [`Error::Empty`]: it has no content;
    /// - [`Error::State`]: it is a snapshot whose state does not say what it should;
    /// - [`Error::Decode`]: its compressed data is damaged;
    /// - [`Error::Limit`], [`Error::OutOfMemory`]: it needs more memory than allowed, or than there is;
    /// - [`Error::Unsupported`]: it is of a known format that is not read;
    /// - [`Error::Malformed`]: it contradicts its format.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        match snapshot(path) {
            Some((memory, state)) if options.format.is_none() => {
                Self::open_cloud_hypervisor(memory, state, options)
            }
            _ => Self::from_source(Source::open(path, options)?, options),
        }
    }

    /// Opens a snapshot of Cloud Hypervisor: the file `memory-ranges`, and `state.json`, which says what is in it and how
    /// the CPUs were. [`Image::open`] does this with the snapshot's folder, and with the former file if the latter is beside
    /// it.
    ///
    /// # Errors
    ///
    /// - [`Error::State`]: `state.json` is not what is expected;
    /// - [`Error::Malformed`]: the file is not as long as its ranges, or they overlap;
    /// - as [`Image::open`], for each file.
    pub fn open_cloud_hypervisor(
        memory: impl AsRef<Path>,
        state: impl AsRef<Path>,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let limit = options.decode_limit.min(cloud_hypervisor::STATE_LIMIT);
        let state_options = OpenOptions { map: false, holes_missing: false, ..options.clone() };
        let state = Source::open(state.as_ref(), &state_options.decode_limit(limit))?;
        let parsed = State::parse(state.bytes())
            .map_err(|reason| Error::State { path: state.path.clone(), reason })?;
        let memory = Source::open(memory.as_ref(), options)?;
        let (path, format) = (memory.path.clone(), Format::CloudHypervisor);
        let sources = vec![memory];
        match parsed.contents(&sources) {
            Ok(contents) => Ok(Self { path, format, sources, contents }),
            Err((offset, defect)) => Err(Error::Malformed { path, format, offset, defect }),
        }
    }

    /// Takes an image that is already in memory, compressed or not. `name` stands in for the path.
    ///
    /// # Errors
    ///
    /// As [`Image::open`], but for those that concern the file.
    pub fn from_bytes(
        name: impl Into<PathBuf>,
        bytes: Vec<u8>,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        Self::from_source(Source::from_bytes(name.into(), bytes, options)?, options)
    }

    /// Puts parts of files together, each where its [`Region`] says. Regions may come in any order; a file may be used
    /// by several. What the files contain is taken for memory, whatever it looks like; xz and zstd are taken off.
    ///
    /// # Errors
    ///
    /// - [`Error::NoFiles`]: there is no region;
    /// - [`Error::Region`]: a region goes past the end of its file or of the physical addresses, or overlaps another;
    /// - as [`Image::open`], for each file.
    pub fn open_regions(regions: &[Region], options: &OpenOptions) -> Result<Self, Error> {
        let first = regions.first().ok_or(Error::NoFiles)?;
        let mut sources: Vec<Source> = Vec::new();
        let mut stretches = Vec::new();
        for (index, region) in regions.iter().enumerate() {
            let known = sources.iter().position(|source| source.path == region.path);
            let file = known.unwrap_or(sources.len());
            if known.is_none() {
                sources.push(Source::open(&region.path, options)?);
            }
            let len = region.len.unwrap_or_else(|| sources[file].len().saturating_sub(region.offset).max(1));
            let &Region { start, offset, .. } = region;
            stretches.push(Stretch { start, len, file, offset, described_at: index as u64 });
        }
        match headerless::parse(&stretches, &sources) {
            Ok(contents) => Ok(Self { path: first.path.clone(), format: Format::Regions, sources, contents }),
            Err((index, defect)) => Err(Error::Region { region: regions[index as usize].clone(), defect }),
        }
    }

    /// Opens a dump that is in parts (`makedumpfile --split`), given in any order. Pages of parts that are not given are
    /// not held.
    ///
    /// # Errors
    ///
    /// - [`Error::NoFiles`]: there is no part;
    /// - [`Error::Malformed`]: a part is none, contradicts its format, belongs to another dump, or overlaps another part;
    /// - as [`Image::open`], for each file.
    pub fn open_parts(paths: &[impl AsRef<Path>], options: &OpenOptions) -> Result<Self, Error> {
        let open = |path: &_| unwrapped(Source::open(AsRef::<Path>::as_ref(path), options)?, options);
        Self::from_parts(paths.iter().map(open).collect::<Result<_, _>>()?)
    }

    fn from_parts(sources: Vec<Source>) -> Result<Self, Error> {
        let path = sources.first().ok_or(Error::NoFiles)?.path.clone();
        let format = Format::Kdump;
        match kdump::parse(&sources) {
            Ok(contents) => Ok(Self { path, format, sources, contents }),
            Err((file, (offset, defect))) => {
                Err(Error::Malformed { path: sources[file].path.clone(), format, offset, defect })
            }
        }
    }

    fn from_source(source: Source, options: &OpenOptions) -> Result<Self, Error> {
        let path = source.path.clone();
        let wrapped = matches!(options.format, None | Some(Format::Kdump));
        let source = if wrapped { unwrapped(source, options)? } else { source };
        let format = match options.format {
            Some(Format::CloudHypervisor) => {
                let format = "one file of a Cloud Hypervisor snapshot";
                return Err(Error::Unsupported { path, format, hint: "; open its folder" });
            }
            Some(format) => format,
            None => match detect(source.bytes()) {
                Ok(format) => format,
                Err((format, hint)) => return Err(Error::Unsupported { path, format, hint }),
            },
        };
        if format == Format::Kdump {
            return Self::from_parts(vec![source]);
        }
        match parse(format, &source, options) {
            Ok(contents) => Ok(Self { path, format, sources: vec![source], contents }),
            Err((offset, defect)) => Err(Error::Malformed { path, format, offset, defect }),
        }
    }
}

/// Both files of the snapshot that `path` is, or is the memory of.
fn snapshot(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let folder = if path.is_dir() {
        path
    } else if path.file_name()? == cloud_hypervisor::MEMORY {
        path.parent()?
    } else {
        return None;
    };
    let state = folder.join(cloud_hypervisor::STATE);
    state.is_file().then(|| (folder.join(cloud_hypervisor::MEMORY), state))
}

/// Takes the flattened form off, if the dump is in it.
fn unwrapped(mut source: Source, options: &OpenOptions) -> Result<Source, Error> {
    if !source.bytes().starts_with(&kdump::flat::MAGIC) {
        return Ok(source);
    }
    let path = source.path.clone();
    let end = match kdump::flat::end(source.bytes()) {
        Ok(end) => end,
        Err((offset, defect)) => {
            return Err(Error::Malformed { path, format: Format::Kdump, offset, defect });
        }
    };
    if end > options.decode_limit {
        let origin = "rearranged from its flattened form";
        return Err(Error::Limit { path, limit: options.decode_limit, origin });
    }
    let mut bytes = Vec::new();
    let Some(end) = usize::try_from(end).ok().filter(|&end| bytes.try_reserve_exact(end).is_ok()) else {
        return Err(Error::OutOfMemory { path, decoded: 0 });
    };
    bytes.resize(end, 0);
    kdump::flat::fill(source.bytes(), &mut bytes);
    source.replace(bytes);
    Ok(source)
}

fn parse(format: Format, source: &Source, options: &OpenOptions) -> Checked<Contents> {
    match format {
        Format::Elf => elf::parse(source),
        Format::Lime => lime::parse(source),
        Format::Firecracker => firecracker::parse(source, &options.layout),
        Format::CloudHypervisor | Format::Kdump | Format::Raw | Format::Regions => raw::parse(source),
    }
}

/// What the bytes look like. A format that is known but not read is an error (its name, and what can be done): taking
/// it for raw memory would give wrong answers.
fn detect(file: &[u8]) -> Result<Format, (&'static str, &'static str)> {
    const READ: [(&[u8], Format); 3] =
        [(&elf::MAGIC, Format::Elf), (&kdump::MAGIC, Format::Kdump), (&lime::MAGIC, Format::Lime)];
    const KNOWN: [(&[u8], &str, &str); 3] = [
        (b"AVML\x02\0\0\0", "a compressed AVML dump", "; avml-convert makes a LiME dump of it"),
        (b"\x1f\x8b\x08", "gzip compression", "; decompress it first"),
        (b"QEVM\0\0\0\x03", "a QEMU migration stream", "; dump-guest-memory writes what is read"),
    ];
    if let Some(&(_, format)) = READ.iter().find(|(magic, _)| file.starts_with(magic)) {
        return Ok(format);
    }
    match KNOWN.iter().find(|(magic, ..)| file.starts_with(magic)) {
        Some(&(_, format, hint)) => Err((format, hint)),
        None => Ok(Format::Raw),
    }
}
