//! The functions that are measured, called alike.

use pt_amd64::FourLevel;
use pt_amd64::raw as ours;
use pt_benches::{Amd64Tables, I686Tables};
use pt_core::{Leaves, Memory, Options, Visited, Walk};

/// All addresses of 4-level paging, in upstream's reading.
const ALL: (u64, u64) = (0, 1 << 48);
/// All addresses of 2-level paging.
const ALL_I686: (u64, u64) = (0, 1 << 32);

pub(crate) fn walk<'m, M: Memory + ?Sized>(
    memory: &'m M,
    roots: &'m [u64],
    leaves: Leaves,
) -> Walk<'m, FourLevel, M, Visited> {
    Walk::new(FourLevel::default(), memory, roots, Options { leaves, ..Options::default() })
}

// SAFETY of every call in here: `Tables` reads any address, checked against a slice that nothing writes.

pub(crate) fn our_walk(tables: &Amd64Tables<'_>, roots: &[u64]) -> Vec<(u64, Vec<ours::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { ours::walk_va_spaces(tables, roots, ALL.0, ALL.1) }
}

pub(crate) fn our_pages(
    tables: Amd64Tables<'_>,
    (address, len): (u64, u64),
) -> impl Iterator<Item = ours::Mapping> + '_ {
    // SAFETY: as above.
    unsafe { ours::virt_to_phys(tables, address, len) }
}

pub(crate) fn our_walk_i686(
    tables: &I686Tables<'_>,
    roots: &[u64],
) -> Vec<(u64, Vec<ours::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { pt_i686::raw::walk_va_spaces(tables, roots, ALL_I686.0, ALL_I686.1) }
}

pub(crate) fn upstream_walk(
    tables: &Amd64Tables<'_>,
    roots: &[u64],
) -> Vec<(u64, Vec<hyperlight::vmem::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { hyperlight::vmem::walk_va_spaces(tables, roots, ALL.0, ALL.1) }
}

pub(crate) fn upstream_pages(
    tables: Amd64Tables<'_>,
    (address, len): (u64, u64),
) -> impl Iterator<Item = hyperlight::vmem::Mapping> + '_ {
    // SAFETY: as above.
    unsafe { hyperlight::vmem::virt_to_phys(tables, address, len) }
}

pub(crate) fn upstream_walk_i686(
    tables: &I686Tables<'_>,
    roots: &[u64],
) -> Vec<(u64, Vec<hyperlight_i686::vmem::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { hyperlight_i686::vmem::walk_va_spaces(tables, roots, ALL_I686.0, ALL_I686.1) }
}
