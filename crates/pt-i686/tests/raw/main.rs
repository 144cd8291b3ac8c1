//! The raw interface on 2-level tables.
#![cfg(feature = "alloc")]
#![allow(unsafe_code)]

mod raw_defects;
mod raw_interface;
mod raw_write;

use pt_i686::TwoLevel;
use pt_testkit::raw::{ALL_RIGHTS, LARGE, USER, WRITABLE, first_va, link_to};

pt_testkit::bound!(I686, TwoLevel, pt_i686::raw);
type Tables = pt_testkit::raw::Tables<I686>;

/// The whole space.
const EVERYTHING: (u64, u64) = Tables::EVERYTHING;

/// What a slot of a page directory spans.
const SLOT: u64 = 4 << 20;
