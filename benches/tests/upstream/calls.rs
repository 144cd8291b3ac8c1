//! The functions under test, called alike.

use pt_amd64::raw as ours;
use pt_benches::{PhysicalMemory, Seen, SeenSpace, of_amd64, of_i686, of_ours};

/// Present, writable, user, accessed: a link that takes no right away.
pub(crate) const LINK: u64 = 0b10_0111;

/// A present leaf that takes no right away, accessed and dirty.
pub(crate) const LEAF: u64 = 0b110_0111;

// SAFETY of every call in here: a `Tables` reads any address, checked against a slice that nothing writes.

pub(crate) fn our_amd64_walk(
    memory: &PhysicalMemory,
    roots: &[u64],
    (address, len): (u64, u64),
) -> Vec<(u64, Vec<ours::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { ours::walk_va_spaces(&memory.amd64(0), roots, address, len) }
}

pub(crate) fn our_i686_walk(
    memory: &PhysicalMemory,
    roots: &[u64],
    (address, len): (u64, u64),
) -> Vec<(u64, Vec<ours::SpaceAwareMapping>)> {
    // SAFETY: as above.
    unsafe { pt_i686::raw::walk_va_spaces(&memory.i686(0), roots, address, len) }
}

/// Our walk of amd64 tables, as 0.18 could say it.
pub(crate) fn amd64_walk(memory: &PhysicalMemory, roots: &[u64], range: (u64, u64)) -> Vec<SeenSpace> {
    let mut spaces = of_ours(&our_amd64_walk(memory, roots, range));
    for (_, mappings) in &mut spaces {
        for mapping in mappings {
            *mapping = mapping.without_user();
        }
    }
    spaces
}

/// Our walk of i686 tables.
pub(crate) fn i686_walk(memory: &PhysicalMemory, roots: &[u64], range: (u64, u64)) -> Vec<SeenSpace> {
    of_ours(&our_i686_walk(memory, roots, range))
}

/// Upstream's walk of amd64 tables.
pub(crate) fn upstream_amd64_walk(
    memory: &PhysicalMemory,
    roots: &[u64],
    (address, len): (u64, u64),
) -> Vec<SeenSpace> {
    // SAFETY: as above.
    of_amd64(&unsafe { hyperlight::vmem::walk_va_spaces(&memory.amd64(0), roots, address, len) })
}

/// Upstream's walk of i686 tables.
pub(crate) fn upstream_i686_walk(
    memory: &PhysicalMemory,
    roots: &[u64],
    (address, len): (u64, u64),
) -> Vec<SeenSpace> {
    // SAFETY: as above.
    of_i686(&unsafe { hyperlight_i686::vmem::walk_va_spaces(&memory.i686(0), roots, address, len) })
}

/// Our pages of an amd64 space, as 0.18 could say them.
pub(crate) fn amd64_pages(memory: &PhysicalMemory, root: u64, (address, len): (u64, u64)) -> Vec<Seen> {
    // SAFETY: as above.
    let pages = unsafe { ours::virt_to_phys(memory.amd64(root), address, len) };
    pages.map(|page| Seen::from(&page).without_user()).collect()
}

/// Our pages of an i686 space.
pub(crate) fn i686_pages(memory: &PhysicalMemory, root: u64, (address, len): (u64, u64)) -> Vec<Seen> {
    // SAFETY: as above.
    let pages = unsafe { pt_i686::raw::virt_to_phys(memory.i686(root), address, len) };
    pages.map(|page| Seen::from(&page)).collect()
}

/// Upstream's pages of an amd64 space.
pub(crate) fn upstream_amd64_pages(
    memory: &PhysicalMemory,
    root: u64,
    (address, len): (u64, u64),
) -> Vec<Seen> {
    // SAFETY: as above.
    let pages = unsafe { hyperlight::vmem::virt_to_phys(memory.amd64(root), address, len) };
    pages.map(|page| Seen::from(&page)).collect()
}

/// Upstream's pages of an i686 space.
pub(crate) fn upstream_i686_pages(
    memory: &PhysicalMemory,
    root: u64,
    (address, len): (u64, u64),
) -> Vec<Seen> {
    // SAFETY: as above.
    let pages = unsafe { hyperlight_i686::vmem::virt_to_phys(memory.i686(root), address, len) };
    pages.map(|page| Seen::from(&page)).collect()
}
