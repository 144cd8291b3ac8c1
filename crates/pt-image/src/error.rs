//! What can be wrong with an image: [`Error`] says which file, [`Defect`] says what about its content.
//!
//! Every message is one line: paths are quoted with their control characters escaped, and causes are spelled out in the
//! message itself, so printing the error alone says everything.

use crate::{Compression, Format, Region};
use std::io;
use std::path::PathBuf;

/// What a reader of a format gives: an error comes with the offset in the (decoded) file where it was found.
pub(crate) type Checked<T> = Result<T, (u64, Defect)>;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened.
    #[error("{path:?}: cannot open: {cause}")]
    Open {
        /// The image.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Reading the file failed.
    #[error("{path:?}: cannot read: {cause}")]
    Read {
        /// The image.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file cannot be mapped into memory. Reading it instead may work: `OpenOptions::map(false)`.
    #[error("{path:?}: cannot map into memory: {cause}")]
    Map {
        /// The image.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The path names a directory.
    #[error("{path:?}: is a directory")]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// There are no bytes at all, in the file or in what it decodes to.
    #[error("{path:?}: is empty")]
    Empty {
        /// The image.
        path: PathBuf,
    },
    /// The compressed data is damaged or ends early.
    #[error("{path:?}: bad {compression} data after {decoded:#x} decoded bytes: {reason}")]
    Decode {
        /// The image.
        path: PathBuf,
        /// How the file is compressed.
        compression: Compression,
        /// How many bytes were decoded before.
        decoded: u64,
        /// What the decoder says.
        reason: String,
    },
    /// What has to be kept in memory is larger than the limit.
    #[error("{path:?}: is larger than the limit of {limit} bytes for images kept in memory ({origin})")]
    Limit {
        /// The image.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
        /// How the bytes came about.
        origin: &'static str,
    },
    /// There is no memory left for the decoded bytes.
    #[error("{path:?}: no memory left after {decoded:#x} bytes were decoded or read")]
    OutOfMemory {
        /// The image.
        path: PathBuf,
        /// How many bytes were decoded or read before.
        decoded: u64,
    },
    /// A format that is recognised but not read.
    #[error("{path:?}: {format} is not supported{hint}")]
    Unsupported {
        /// The image.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
        /// What can be done, as the end of a sentence; may be empty.
        hint: &'static str,
    },
    /// The content contradicts its format or itself.
    #[error("{path:?}: bad {format} at offset {offset:#x}: {defect}")]
    Malformed {
        /// The image.
        path: PathBuf,
        /// The format that was being read.
        format: Format,
        /// Where in the (decoded) file the fault was found.
        offset: u64,
        /// What the fault is.
        defect: Defect,
    },
    /// A region cannot be had from its file, or collides with another one.
    #[error("region {region}: {defect}")]
    Region {
        /// The region, with its file.
        region: Region,
        /// What the fault is.
        defect: Defect,
    },
    /// The `state.json` of a snapshot does not say what it should.
    #[error("{path:?}: not the state of a Cloud Hypervisor snapshot that is read: {reason}")]
    State {
        /// The file.
        path: PathBuf,
        /// What is missing, or in the way.
        reason: String,
    },
    /// Nothing was given to make an image from.
    #[error("no files were given")]
    NoFiles,
    /// The file was modified after it was opened.
    #[error("{path:?}: was modified while in use")]
    Changed {
        /// The image.
        path: PathBuf,
    },
}

/// What is wrong with the content of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// Something is said to lie past the end of the file: the file is truncated, or the header lies.
    #[error("{what} of {len:#x} bytes at {start:#x} ends past the end of the file at {file:#x}")]
    Truncated {
        /// What does not fit.
        what: &'static str,
        /// The offset where it is said to start.
        start: u64,
        /// How long it is said to be, in bytes.
        len: u64,
        /// The length of the file in bytes.
        file: u64,
    },
    /// The file does not begin with the ELF magic.
    #[error("no ELF magic")]
    NotElf,
    /// `EI_CLASS` is neither 32 nor 64 bits.
    #[error("ELF class {0} is neither ELF32 (1) nor ELF64 (2)")]
    Class(u8),
    /// `EI_DATA` is not little-endian.
    #[error("ELF data encoding {0} is not little-endian (1)")]
    Encoding(u8),
    /// `EI_VERSION` is not 1.
    #[error("ELF version {0} is not 1")]
    Version(u8),
    /// `e_type` is not `ET_CORE`.
    #[error("ELF type {0} is not a core (4)")]
    NotACore(u16),
    /// `e_machine` is not an x86.
    #[error("ELF machine {0} is neither EM_386 (3) nor EM_X86_64 (62)")]
    Machine(u16),
    /// Table entries are not of the size that the class prescribes.
    #[error("{what} of {found} bytes where the class says {expected}")]
    EntrySize {
        /// Entries of which table.
        what: &'static str,
        /// What the header says.
        found: u16,
        /// What the class says.
        expected: u16,
    },
    /// `e_phnum` refers to section 0 for the number of program headers, but there are no sections.
    #[error("the number of program headers is said to be in section 0, and there are no sections")]
    NoSectionZero,
    /// More of something than any sensible image has.
    #[error("{count} {what}, more than the {limit} that are accepted")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: u64,
        /// How many are accepted.
        limit: u64,
    },
    /// No segment describes memory.
    #[error("no segment describes memory")]
    NoMemory,
    /// `p_filesz` is larger than `p_memsz`.
    #[error("the segment at physical {start:#x} holds {held:#x} bytes of memory that is {len:#x} bytes long")]
    SegmentLength {
        /// The segment's physical address.
        start: u64,
        /// The length in memory.
        len: u64,
        /// The length in the file.
        held: u64,
    },
    /// The segment goes past the last physical address.
    #[error(
        "the segment at physical {start:#x} of {len:#x} bytes ends past the last physical address, 2^52 - 1"
    )]
    AddressOverflow {
        /// The segment's physical address.
        start: u64,
        /// The length in memory.
        len: u64,
    },
    /// Two segments describe the same memory.
    #[error(
        "the segment at physical {start:#x} overlaps another one, which covers {other_start:#x}..={other_last:#x}"
    )]
    Overlap {
        /// The segment's physical address.
        start: u64,
        /// Where the other segment starts.
        other_start: u64,
        /// Where the other segment ends, inclusive.
        other_last: u64,
    },
    /// Segments carry virtual addresses, so the dump was taken by walking page tables (`paging = true`) and its
    /// physical addresses cannot be trusted.
    #[error(
        "the segment at physical {physical:#x} has the virtual address {virtual_:#x}: dumps by virtual address \
         (paging=true) have unreliable physical addresses, take one without paging"
    )]
    VirtualAddresses {
        /// `p_paddr`.
        physical: u64,
        /// `p_vaddr`.
        virtual_: u64,
    },
    /// A note goes past the end of its segment.
    #[error("the note needs {needed} bytes, and {left} are left in its segment")]
    Note {
        /// What it needs, its header included.
        needed: u64,
        /// What there is.
        left: u64,
    },
    /// QEMU's CPU note is too short for the registers, or for the size that it states.
    #[error("QEMU CPU note of {bytes} bytes says that its size is {size}; 432 or 440 is expected")]
    CpuNote {
        /// The note's length in bytes.
        bytes: u64,
        /// The `size` field; 0 if the note is too short to have one.
        size: u32,
    },
    /// A header of a `LiME` dump does not begin with the magic number.
    #[error("the range's header begins with {0:#010x} instead of 0x4c694d45")]
    LimeMagic(u32),
    /// A header of a `LiME` dump has another version.
    #[error("LiME version {0} is not 1")]
    LimeVersion(u32),
    /// A range of a `LiME` dump ends before it starts, or covers all 2^64 addresses.
    #[error("the range {start:#x}..={last:#x} is none")]
    LimeRange {
        /// Its first address.
        start: u64,
        /// Its last address.
        last: u64,
    },
    /// The dump does not begin with the signature of kdump-compressed ones.
    #[error("no \"KDUMP   \" signature")]
    NotKdump,
    /// The block size is not that of an x86 page, at the place where 64-bit dumps have it or that of 32-bit ones.
    #[error("block size {0} where 4096 is expected, in a 64-bit header and in a 32-bit one")]
    BlockSize(u32),
    /// The bitmaps are too short for the pages.
    #[error("each bitmap has {bits} bits for {pages} pages")]
    Bitmap {
        /// How many pages there are.
        pages: u64,
        /// How many bits half of the bitmap blocks have.
        bits: u64,
    },
    /// A part of a split dump is of pages that the dump does not have.
    #[error("this part is of pages {start:#x}..{end:#x}, and the dump has {pages:#x}")]
    PartRange {
        /// The part's first page.
        start: u64,
        /// The page after its last.
        end: u64,
        /// How many pages the dump has.
        pages: u64,
    },
    /// Two parts of a split dump have pages in common: a part that was given twice, or a dump that was not split.
    #[error("this part starts at page {start:#x}, and another one goes on to page {end:#x}")]
    PartOverlap {
        /// The part's first page.
        start: u64,
        /// The page after the other part's last.
        end: u64,
    },
    /// The bitmaps of two parts differ.
    #[error("this part and the first one belong to different dumps")]
    OtherDump,
    /// A number of the flattened form is none that its writer writes.
    #[error("{what} of the flattened form is {found}")]
    Flattened {
        /// Which number.
        what: &'static str,
        /// What it is.
        found: i64,
    },
    /// The ranges that the caller gave are not those of the file.
    #[error(
        "the file has {file:#x} bytes, and the ranges that were given are {layout:#x} bytes long together"
    )]
    LayoutLength {
        /// The bytes of the ranges, in all.
        layout: u64,
        /// The length of the file.
        file: u64,
    },
}
