//! The functions that are measured, called alike. Those that return at once with an iterator are inlined, as they would be
//! for a user of the crate.
#![allow(unsafe_code)]

use crate::builder::Builder;
use crate::{Amd64Tables, I686Tables};
use pt_amd64::FourLevel;
use pt_amd64::raw as ours;
use pt_core::{Leaves, Memory, Options, Visited, Walk};

/// All addresses of 4-level paging, in upstream's reading.
const ALL: (u64, u64) = (0, 1 << 48);
/// All addresses of 2-level paging.
const ALL_I686: (u64, u64) = (0, 1 << 32);

/// Our walk.
#[inline(always)]
pub fn walk<'m, M: Memory + ?Sized>(
    memory: &'m M,
    roots: &'m [u64],
    leaves: Leaves,
) -> Walk<'m, FourLevel, M, Visited> {
    Walk::new(FourLevel::default(), memory, roots, Options { leaves, ..Options::default() })
}

// SAFETY of every call in here: `Tables` reads any address, checked against a slice that nothing writes.

/// Our raw walk, all addresses.
#[inline(always)]
pub fn our_walk(tables: &Amd64Tables<'_>, roots: &[u64]) -> Vec<(u64, Vec<ours::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { ours::walk_va_spaces(tables, roots, ALL.0, ALL.1) }
}

/// Our raw iterator over a range: first address and bytes.
#[inline(always)]
pub fn our_pages(
    tables: Amd64Tables<'_>,
    (address, len): (u64, u64),
) -> impl Iterator<Item = ours::Mapping> + '_ {
    // SAFETY: as above.
    unsafe { ours::virt_to_phys(tables, address, len) }
}

/// Our raw walk of 2-level spaces.
#[inline(always)]
pub fn our_walk_i686(tables: &I686Tables<'_>, roots: &[u64]) -> Vec<(u64, Vec<ours::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { pt_i686::raw::walk_va_spaces(tables, roots, ALL_I686.0, ALL_I686.1) }
}

/// Upstream's walk, all addresses.
#[inline(always)]
pub fn upstream_walk(
    tables: &Amd64Tables<'_>,
    roots: &[u64],
) -> Vec<(u64, Vec<hyperlight::vmem::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { hyperlight::vmem::walk_va_spaces(tables, roots, ALL.0, ALL.1) }
}

/// Upstream's iterator over a range.
#[inline(always)]
pub fn upstream_pages(
    tables: Amd64Tables<'_>,
    (address, len): (u64, u64),
) -> impl Iterator<Item = hyperlight::vmem::Mapping> + '_ {
    // SAFETY: as above.
    unsafe { hyperlight::vmem::virt_to_phys(tables, address, len) }
}

/// Upstream's walk of 2-level spaces.
#[inline(always)]
pub fn upstream_walk_i686(
    tables: &I686Tables<'_>,
    roots: &[u64],
) -> Vec<(u64, Vec<hyperlight_i686::vmem::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { hyperlight_i686::vmem::walk_va_spaces(tables, roots, ALL_I686.0, ALL_I686.1) }
}

/// Maps in the space of `builder`, by our raw interface.
///
/// # Errors
///
/// As `map` has them.
#[inline(always)]
pub fn our_map(builder: &Builder<'_, 8>, mapping: ours::Mapping) -> Result<(), ours::MapError> {
    // SAFETY: every access is checked against the memory, which the builder has to itself.
    unsafe { ours::map(builder, mapping) }
}
