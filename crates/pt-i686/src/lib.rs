//! The paging formats of 32-bit x86: [`TwoLevel`] and [`Pae`].
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod pae;
pub mod raw;
mod two_level;

pub use pae::{Pae, PaeFeatures};
pub use two_level::{TwoLevel, TwoLevelFeatures};
