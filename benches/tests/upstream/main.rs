//! The raw interface against hyperlight-common's `vmem`: equal where upstream is right, and what upstream does where it
//! is not.
#![allow(unsafe_code)]

mod amd64;
mod calls;
mod defects;
mod differences;
mod i686;
mod map;
