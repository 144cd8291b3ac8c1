//! Peers beside upstream: crates that other systems manage their page tables with.
//!
//! | module | crate | memory it reads |
//! |---|---|---|
//! | [`x86_64`] | `x86_64` | through pointers to whole tables, each checked against their number |
//! | [`multiarch`] | `page_table_multiarch` | the same |
//! | [`generic`] | `page-table-generic` | the same |
//! | [`memflow`] | `memflow` | the bytes, copied through its own memory map |
//!
//! The middle two ask for memory through functions without a `self`, so it stands in statics while they have it.
#![allow(unsafe_code)]

pub mod generic;
mod lent;
pub mod memflow;
pub mod multiarch;
pub mod x86_64;

/// The address bits of an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
