//! [`Image`]: an opened image, whatever its format. It is a [`Memory`].

use crate::cpu::Cpu;
use crate::decode::Compression;
use crate::error::Error;
use crate::kdump;
use crate::layout::Layout;
use crate::note::{Note, Notes};
use crate::source::Source;
use pt_core::{Memory, Unreadable};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// The format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// An ELF core of guest memory.
    Elf,
    /// Memory from physical address 0 on, without any header.
    Raw,
    /// Ranges of memory, each after a header.
    Lime,
    /// Pages that are compressed one by one (kdump-compressed).
    Kdump,
    /// A memory file of Firecracker: regions one after the other, without any header.
    Firecracker,
    /// A snapshot of Cloud Hypervisor: memory without any header, and what says where it belongs.
    CloudHypervisor,
    /// Parts of files that the caller put in their places.
    Regions,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Elf => "ELF core",
            Self::Raw => "raw image",
            Self::Kdump => "kdump-compressed dump",
            Self::Lime => "LiME dump",
            Self::Firecracker => "Firecracker memory file",
            Self::CloudHypervisor => "Cloud Hypervisor snapshot",
            Self::Regions => "set of regions",
        })
    }
}

/// What a format's reader finds in a file.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) memory: Held,
    pub(crate) notes: Notes,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) prstatus_count: usize,
    pub(crate) machine: Option<u16>,
}

/// Where the memory is.
#[derive(Debug)]
pub(crate) enum Held {
    /// In the files as it is.
    Plain(Layout),
    /// In pages that are decoded when they are read.
    Pages(Box<kdump::Pages>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Plain(Layout::default())
    }
}

impl From<Layout> for Held {
    fn from(layout: Layout) -> Self {
        Self::Plain(layout)
    }
}

impl From<kdump::Pages> for Held {
    fn from(pages: kdump::Pages) -> Self {
        Self::Pages(Box::new(pages))
    }
}

/// A stretch of guest memory that an image describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MemoryRange {
    /// The physical address of its first byte.
    pub start: u64,
    /// Its length in bytes; `start + len` is at most 2^52.
    pub len: u64,
    /// How many of its bytes the image holds, from `start` on. The rest exists in the guest only.
    pub held: u64,
}

impl MemoryRange {
    /// A range that is held whole.
    pub const fn held(start: u64, len: u64) -> Self {
        Self { start, len, held: len }
    }

    /// A range of which the first `held` bytes are held.
    pub const fn partly_held(start: u64, len: u64, held: u64) -> Self {
        Self { start, len, held }
    }
}

/// An image of guest memory.
///
/// Reads go through [`Memory`]. Bytes are lent, unless a read straddles two ranges that are not neighbours in the file, or
/// the format compresses each page: the last 256 pages that were decoded are then kept.
///
/// ```
/// use pt_core::{Memory, Unreadable};
/// use pt_image::{Format, Image, OpenOptions};
///
/// let image = Image::from_bytes("ram", vec![7; 0x3000], &OpenOptions::new())?;
/// assert_eq!(image.format(), Format::Raw);
/// assert_eq!(image.lend(0x1000, 4096), Some(&[7; 4096][..]));
/// assert_eq!(image.read_entry(0x3000, 8), Err(Unreadable::Outside));
/// # Ok::<(), pt_image::Error>(())
/// ```
pub struct Image {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    /// At least one. Notes are in the first.
    pub(crate) sources: Vec<Source>,
    pub(crate) contents: Contents,
}

impl Image {
    /// The path, or the name that was given instead.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How the file was compressed; of several files, the first that was.
    pub fn compression(&self) -> Option<Compression> {
        self.sources.iter().find_map(|source| source.compression)
    }

    /// Whether all bytes are mapped from the file or files, rather than in memory.
    pub fn is_mapped(&self) -> bool {
        self.sources.iter().all(Source::is_mapped)
    }

    /// The guest's memory, in ascending order. Ranges do not overlap; neighbours may touch.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = MemoryRange> + Clone {
        self.contents.memory.ranges()
    }

    /// How many bytes of memory the guest has.
    pub fn memory_bytes(&self) -> u64 {
        self.ranges().map(|range| range.len).sum()
    }

    /// How many bytes of memory the image holds.
    pub fn held_bytes(&self) -> u64 {
        self.ranges().map(|range| range.held).sum()
    }

    /// The memory that may be other than zero, in ascending order: what the image holds, without the holes of sparse files.
    /// They read as zeros like the rest of the file, so what searches memory can pass over them, however large they are.
    ///
    /// Only the file system knows of holes, and it is asked each time; on Linux. Where it does not tell, and where a file is not
    /// mapped, all that is held is returned.
    pub fn content_ranges(&self) -> Vec<RangeInclusive<u64>> {
        match &self.contents.memory {
            Held::Plain(layout) => {
                let content: Vec<_> = self.sources.iter().map(Source::content).collect();
                layout.content(&content)
            }
            Held::Pages(pages) => {
                let held = pages.ranges().filter(|range| range.held > 0);
                held.map(|range| range.start..=range.start + (range.held - 1)).collect()
            }
        }
    }

    /// The CPUs whose control registers the image records, in its order. Empty for formats without CPU state.
    pub fn cpus(&self) -> &[Cpu] {
        &self.contents.cpus
    }

    /// How many `NT_PRSTATUS` notes there are: the number of CPUs, even where their control registers are unknown.
    pub fn prstatus_count(&self) -> usize {
        self.contents.prstatus_count
    }

    fn first(&self) -> &[u8] {
        self.sources.first().map_or(&[], Source::bytes)
    }

    /// The notes of an ELF core or a kdump-compressed dump, in file order, those with CPU state included.
    pub fn notes(&self) -> impl ExactSizeIterator<Item = Note<'_>> + Clone {
        self.contents.notes.iter(self.first()).map(|(_, note)| note)
    }

    /// Whether QEMU, or a VMM that writes the same notes, wrote the image.
    pub fn has_qemu_notes(&self) -> bool {
        self.notes().any(|note| note.name == b"QEMU")
    }

    /// `e_machine` of an ELF core.
    pub fn machine(&self) -> Option<u16> {
        self.contents.machine
    }

    /// Whether every file is as it was when it was opened, as far as its length and modification time tell. Images that are
    /// in memory cannot change.
    ///
    /// # Errors
    ///
    /// - [`Error::Changed`]: the file was modified;
    /// - [`Error::Read`]: the system does not say.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        self.sources.iter().try_for_each(Source::check_unchanged)
    }
}

impl Memory for Image {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        match &self.contents.memory {
            Held::Plain(layout) => layout.read(&self.sources, address, into),
            Held::Pages(pages) => pages.read(&self.sources, address, into),
        }
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        match &self.contents.memory {
            Held::Plain(layout) => layout.lend(&self.sources, address, len),
            Held::Pages(_) => None,
        }
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        match &self.contents.memory {
            Held::Plain(layout) => layout.next_held(address),
            Held::Pages(pages) => pages.next_held(address),
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("path", &self.path)
            .field("format", &self.format)
            .field("files", &self.sources.len())
            .field("compression", &self.compression())
            .field("mapped", &self.is_mapped())
            .field("ranges", &self.ranges().len())
            .field("memory_bytes", &self.memory_bytes())
            .field("cpus", &self.cpus().len())
            .field("notes", &self.contents.notes.len())
            .finish_non_exhaustive()
    }
}
