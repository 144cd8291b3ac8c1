//! What the fuzz targets do, as functions: `fuzz_targets/` gives each the fuzzer's inputs, and a test those that are kept.
//!
//! A target is small and knows one thing. Where an oracle is cheap it is asked, else what comes out must agree with itself.
//! `scene` makes tables of the fuzzer's bytes, `choices` numbers; image readers also get the bytes as they are.

#![deny(unsafe_code)]

mod choices;
mod files;
mod image;
mod scene;

pub mod access;
pub mod cloud_hypervisor;
pub mod compressed;
pub mod edit;
pub mod elf;
pub mod headerless;
pub mod kdump;
pub mod lime;
pub mod notes;
pub mod raw;
pub mod rebuild;
pub mod roots;
pub mod translate;
pub mod walk;

#[cfg(test)]
mod corpus;
