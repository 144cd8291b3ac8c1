//! What the engine is checked with: an oracle, generators of page-table graphs, and a battery of properties.
#![deny(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "checks panic: that is how they say no")]
#![allow(clippy::missing_errors_doc, reason = "checks give the reason for whatever they refuse")]

pub mod battery;
pub mod generate;
pub mod naive;
pub mod raw;
pub mod toy;

/// The repository's README: its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// How to take a snapshot: its program compiles, and does what it says.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/snapshot.md")]
struct Snapshot;
