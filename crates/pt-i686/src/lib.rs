//! The paging formats of 32-bit x86: [`TwoLevel`] and [`Pae`], as the engine of `pt-core` walks them.
//!
//! ```
//! use pt_core::translate;
//! use pt_i686::{TwoLevel, TwoLevelFeatures};
//!
//! // A page directory at 0x1000 with one 4 MiB page above 4 GiB (PSE-36).
//! let mut memory = vec![0; 0x2000];
//! memory[0x1000..0x1004].copy_from_slice(&0x0040_2083_u32.to_le_bytes());
//! let found = translate(&TwoLevel::default(), &memory, 0x1000, 0x5123)?;
//! assert_eq!(found.pa, 0x1_0040_5123);
//! # Ok::<(), pt_core::TranslateError>(())
//! ```
//!
//! [`raw`] is the raw interface of `pt_core::raw`, bound to 2-level paging.
//!
//! What this crate does not do: judge accesses or decide a CPU's mode (`pt-x86` does both), or model the PDPTE registers that
//! a CPU loads with CR3 in PAE mode. Nothing in it depends on the host's architecture.

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod pae;
pub mod raw;
mod two_level;

pub use pae::{Pae, PaeFeatures};
pub use two_level::{TwoLevel, TwoLevelFeatures};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
