//! The paging formats of x86-64: [`FourLevel`] and [`FiveLevel`], as the engine of `pt-core` walks them.
//!
//! ```
//! use pt_amd64::{Features, FourLevel};
//! use pt_core::{Cause, Format, TranslateError, translate};
//!
//! let mut memory = vec![0; 0x3000];
//! memory[0x1000..0x1008].copy_from_slice(&0x2003_u64.to_le_bytes());
//! memory[0x2000..0x2008].copy_from_slice(&0x83_u64.to_le_bytes());
//!
//! // On a machine without 1 GiB pages, the same entry has a reserved bit set.
//! let old = FourLevel::new(Features { gib_pages: false, ..Features::default() });
//! assert_eq!(translate(&FourLevel::default(), &memory, 0x1000, 0x123)?.pa, 0x123);
//! let fault = translate(&old, &memory, 0x1000, 0x123).unwrap_err();
//! assert!(matches!(fault, TranslateError::Fault(Cause::Malformed { reserved: 0x80, .. })));
//! # Ok::<(), TranslateError>(())
//! ```
//!
//! [`raw`] is the raw interface of `pt_core::raw`, bound to 4-level paging.
//!
//! What this crate does not do: judge accesses or decide a CPU's mode (`pt-x86` does both), or anything that is not data about
//! these two formats. Nothing in it depends on the host's architecture.

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod format;
pub mod raw;

pub use format::{Features, FiveLevel, FourLevel, LongMode};
pub use pt_x86::Vendor;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
