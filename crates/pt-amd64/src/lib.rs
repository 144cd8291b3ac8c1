//! The paging formats of x86-64: [`FourLevel`] and [`FiveLevel`].
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod format;
pub mod raw;

pub use format::{Features, FiveLevel, FourLevel, LongMode, Vendor};
