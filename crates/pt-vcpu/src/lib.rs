//! From a vCPU's registers to its memory: what a VMM's debug stub, instruction emulator or introspection calls.
//!
//! A [`Vcpu`] is made of plain values, as `KVM_GET_SREGS` gives them. It knows the paging mode that they select, unpaged
//! included, and the format of its tables with every feature that registers and machine decide: NXE, PSE, MAXPHYADDR,
//! 1 GiB pages, bits that confidential guests set in addresses. Its [`View`] reads and writes guest-virtual memory.
//!
//! ```
//! use pt_vcpu::{Machine, Registers, Vcpu};
//!
//! // A PML4 at 0x1000, a PDPT at 0x2000; the last GiB of addresses is the first of memory.
//! let mut memory = vec![0; 0x4000];
//! memory[0x1ff8..0x2000].copy_from_slice(&0x2003_u64.to_le_bytes());
//! memory[0x2ff8..0x3000].copy_from_slice(&0x83_u64.to_le_bytes());
//! memory[0x3010..0x3016].copy_from_slice(b"Linux\0");
//!
//! // As KVM_GET_SREGS gives them. CR3 has a PCID in it.
//! let registers = Registers { cr0: 0x8005_0033, cr3: 0x1001, cr4: 0x20020, efer: 0xd01, ..Registers::default() };
//! let vcpu = Vcpu::new(registers, &Machine::default());
//! assert_eq!(vcpu.translate(&memory, 0xffff_ffff_c000_3010)?.pa, 0x3010);
//!
//! let mut view = vcpu.view(&mut memory);
//! assert_eq!(view.read_c_string(0xffff_ffff_c000_3010, &mut [0; 64])?, c"Linux");
//! view.write_integer(0xffff_ffff_c000_3018, 7_u64)?;
//! assert_eq!(view.read_integer::<u64>(0xffff_ffff_c000_3018)?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | what | where |
//! |---|---|
//! | registers, and what CPUID says | [`Registers`], [`Machine`] |
//! | one vCPU: translate, trace, iterate | [`Vcpu`], [`Extents`] |
//! | what an access finds, or the fault that it raises | [`Vcpu::translate_access`], [`Access`], [`Fault`] |
//! | its memory: bytes, C strings, integers | [`View`], [`Integer`], [`AccessError`] |
//! | the roots of all spaces, from one of them | [`find_roots`] |
//! | what may be a root, without any | [`rank_roots`] |
//! | code that is generic over the format | [`Paging`], [`with_format!`] |
//! | registers from KVM's structures | feature `kvm-bindings` |
//!
//! Physical memory is anything that implements [`pt_core::Memory`], and [`pt_core::MemoryMut`] for writing: a byte slice,
//! an image (`pt-image`), a VMM's own (`pt-vm-memory`). Memory is untrusted: whatever its bytes, nothing here panics,
//! and an access costs at most five reads of entries per page.
//!
//! What this crate does not do: judge accesses unasked (rights are reported, and a [`View`] ignores them unless it is made
//! [`with_access`](View::with_access)), strip the metadata bits of LAM from addresses, or remember translations as a TLB
//! would. In PAE mode it reads the PDPTEs from memory, where a CPU uses what it loaded with CR3. There is no second
//! dimension: in a nested guest the registers and the memory are those of one level.
//!
//! It is `no_std`. Only the search for roots allocates: feature `alloc` (default).

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod error;
mod extents;
mod integer;
#[cfg(all(feature = "kvm-bindings", target_arch = "x86_64"))]
mod kvm;
mod paging;
mod registers;
#[cfg(feature = "alloc")]
mod roots;
mod space;
mod vcpu;
mod view;

pub use error::{AccessCause, AccessError};
pub use extents::{Extent, Extents};
pub use integer::Integer;
pub use paging::Paging;
pub use registers::{Machine, Registers};
#[cfg(feature = "alloc")]
pub use roots::{FoundRoot, Reason, RootsError, RootsLimit, RootsLimits, find_roots};
#[cfg(feature = "alloc")]
pub use roots::{RankLimits, RankedRoot, rank_roots};
pub use space::Translation;
pub use vcpu::Vcpu;
pub use view::View;

pub use pt_core::{Marking, Memory, MemoryExchange, MemoryMut, Step, TranslateError, Unreadable};
pub use pt_x86::{Access, AccessKind, CpuState, Fault, Mode, PageFault, Privilege, Rights, Vendor};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
