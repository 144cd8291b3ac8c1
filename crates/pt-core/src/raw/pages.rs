//! `virt_to_phys`: a range, page by page.

use crate::raw::memory::RawMemory;
use crate::raw::{Mapping, RawFormat, TableReadOps, pages_of};
use crate::{Extent, Extents, Translation};

/// Translates the pages that `address` and `len` bytes touch in the space under `op`'s root, lazily: one item of 4 KiB
/// per mapped page, whatever the size of the page that holds it. Pages that are not mapped, and entries that the
/// hardware faults on, are left out.
///
/// # Safety
///
/// While the iterator lives, [`TableReadOps::read_entry`] can be called on every entry of `op`'s root table and of
/// every table that a present entry reached from it links, and nothing writes those tables.
pub unsafe fn virt_to_phys<'a, F: RawFormat + 'a, Op: TableReadOps + 'a>(
    format: F,
    op: impl AsRef<Op> + Copy + 'a,
    address: u64,
    len: u64,
) -> impl Iterator<Item = Mapping> + 'a {
    let root = Op::to_phys(op.as_ref().root_table());
    // SAFETY: the caller promises what `RawMemory` asks for, for as long as the iterator lives.
    let memory = unsafe { RawMemory::<F, Op, _>::new(op) };
    let extents = Extents::new(format, memory, root, pages_of::<F>(address, len));
    let mapped = |extent: Extent<F::Rights>| Some((extent.len, extent.to.ok()?));
    extents.filter_map(mapped).flat_map(|(len, first)| pages::<F>(first, len))
}

fn pages<F: RawFormat>(first: Translation<F::Rights>, len: u64) -> impl Iterator<Item = Mapping> {
    let page = 1u64 << F::PAGE_SHIFT;
    (0..len >> F::PAGE_SHIFT).map(move |index| {
        let offset = index * page;
        Mapping::of_leaf::<F>(
            first.pa + offset,
            first.va + offset,
            page,
            (first.raw, first.level),
            first.rights,
        )
    })
}
