//! Images of guest physical memory, as files: dumps with CPU state, and memory alone.
//!
//! [`Image::open`] recognises the format by content, takes xz or zstd off, and gives a [`pt_core::Memory`] that lends the
//! bytes of tables from the mapped file. [`Cpu`] says how each CPU translated, as far as the file tells.
//!
//! ```no_run
//! use pt_core::Memory;
//! use pt_image::{Image, OpenOptions};
//!
//! let image = Image::open("guest.elf", &OpenOptions::new())?;
//! for cpu in image.cpus() {
//!     let root = cpu.cr3 & !0xfff;
//!     println!("{} from {root:#x}: {:x?}", cpu.mode(), image.read_entry(root, 8));
//! }
//! # Ok::<(), pt_image::Error>(())
//! ```
//!
//! | file | memory | CPU state |
//! |---|---|---|
//! | ELF32 or ELF64 core (QEMU `dump-guest-memory`, Cloud Hypervisor) | `PT_LOAD` at `p_paddr`, with holes | QEMU's notes |
//! | kdump-compressed dump (`makedumpfile`, QEMU), in one file or in parts, flattened or not | pages by bitmap, decoded when read | notes, as in a core |
//! | `LiME` dump | each range where its header says | none |
//! | Firecracker memory file ([`OpenOptions::format`], [`OpenOptions::layout`]) | regions one after the other | none |
//! | Cloud Hypervisor snapshot, by its folder | regions that `state.json` lists | `state.json`, EFER included |
//! | parts of files ([`Image::open_regions`]) | where each [`Region`] says | none |
//! | anything else | from physical address 0 on | none |
//!
//! Files are untrusted: whatever the bytes, opening and reading end in a value or in an [`Error`] that says where and why,
//! in time and memory linear in the file's size (and, for compressed ones, bounded by [`OpenOptions::decode_limit`]).
//!
//! [`CoreWriter`] and [`RawWriter`] write images, from any [`pt_core::Memory`], and never half a file.
//!
//! What this crate does not do: walk page tables (`pt-core`), read dumps that were taken by virtual address
//! (`paging = true`: their physical addresses are unreliable, so they are refused).

#![deny(unsafe_code)]

mod cloud_hypervisor;
mod cpu;
mod decode;
mod elf;
mod error;
mod firecracker;
mod headerless;
mod holes;
mod image;
mod kdump;
mod kvm;
mod layout;
mod lime;
mod lzo;
mod map;
mod note;
mod open;
mod options;
mod ranges;
mod raw;
mod region;
mod source;
mod write;

pub use cpu::{Cpu, GeneralRegisters, SegmentRegister, SegmentRegisters};
pub use decode::Compression;
pub use error::{Defect, Error};
pub use image::{Format, Image, MemoryRange};
pub use note::Note;
pub use options::OpenOptions;
pub use region::{Region, RegionError};
pub use write::{CoreWriter, RawWriter, Staged, WriteError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
