//! The raw interface on 4-level tables.
#![cfg(feature = "alloc")]
#![allow(unsafe_code)]

mod raw_defects;
mod raw_interface;
mod raw_write;

use pt_amd64::FourLevel;
use pt_testkit::raw::{ALL_RIGHTS, LARGE, NO_EXECUTE, USER, WRITABLE, first_va, link_to};

pt_testkit::bound!(Amd64, FourLevel, pt_amd64::raw);
type Tables = pt_testkit::raw::Tables<Amd64>;

/// The whole space, both halves.
const EVERYTHING: (u64, u64) = Tables::EVERYTHING;

/// What an entry spans, by the depth of its table.
const SPANS: [u64; 4] = [1 << 39, 1 << 30, 1 << 21, 1 << 12];
