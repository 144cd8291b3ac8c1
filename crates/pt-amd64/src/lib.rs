//! The paging formats of x86-64: [`FourLevel`] and [`FiveLevel`].
#![no_std]
#![deny(unsafe_code)]

mod format;

pub use format::{Features, FiveLevel, FourLevel, LongMode, Vendor};
