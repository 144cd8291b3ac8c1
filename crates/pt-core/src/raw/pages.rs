//! `virt_to_phys`: a range, page by page.

use crate::raw::memory::RawMemory;
use crate::raw::{Mapping, RawFormat, TableReadOps, pages_of};
use crate::{Extents, Level, Memory, Translation};

/// Translates the pages that `address` and `len` bytes touch in the space under `op`'s root, lazily: one item of 4 KiB
/// per mapped page, whatever the size of the page that holds it. Pages that are not mapped, and entries that the
/// hardware faults on, are left out.
///
/// # Safety
///
/// While the iterator lives, [`TableReadOps::read_entry`] can be called on every entry of `op`'s root table and of
/// every table that a present entry reached from it links, and nothing writes those tables.
#[inline]
pub unsafe fn virt_to_phys<'a, F: RawFormat + 'a, Op: TableReadOps + 'a>(
    format: F,
    op: impl AsRef<Op> + Copy + 'a,
    address: u64,
    len: u64,
) -> impl Iterator<Item = Mapping> + 'a {
    let root = Op::to_phys(op.as_ref().root_table());
    // SAFETY: the caller promises what `RawMemory` asks for, for as long as the iterator lives.
    let memory = unsafe { RawMemory::<F, Op, _>::new(op) };
    Pages { extents: Extents::new(format, memory, root, pages_of::<F>(address, len)), large: None }
}

/// The 4 KiB pages of extents that are made of whole ones.
struct Pages<F: RawFormat, M> {
    extents: Extents<F, M>,
    /// The rest of a page that is larger: where it starts, and how many bytes it has.
    large: Option<(Translation<F::Rights>, u64)>,
}

impl<F: RawFormat, M: Memory> Pages<F, M> {
    /// The next page of a larger one.
    fn next_of_large(&mut self) -> Option<Mapping> {
        let (at, len) = self.large?;
        let page = 1 << F::PAGE_SHIFT;
        let rest = Translation { va: at.va.wrapping_add(page), pa: at.pa.wrapping_add(page), ..at };
        self.large = (len > page).then_some((rest, len - page));
        Some(mapping::<F>(at))
    }

    /// The next page where it is not the next of a page table.
    #[inline(never)]
    fn next_other(&mut self, into: &mut Option<Mapping>) {
        while self.large.is_none() {
            let mut other = None;
            self.extents.descend(&mut other);
            let Some(extent) = other else { return };
            match extent.to {
                Ok(at) if at.level == Level::LEAF => {
                    *into = Some(mapping::<F>(at));
                    return;
                }
                Ok(at) => self.large = Some((at, extent.len)),
                Err(_) => {}
            }
        }
        *into = self.next_of_large();
    }
}

#[inline(always)]
fn mapping<F: RawFormat>(at: Translation<F::Rights>) -> Mapping {
    Mapping::of_leaf::<F>(at.pa, at.va, 1 << F::PAGE_SHIFT, (at.raw, at.level), at.rights)
}

impl<F: RawFormat, M: Memory> Iterator for Pages<F, M> {
    type Item = Mapping;

    /// Nearly all pages are those of one page table, one after the other: they are made here, by the caller.
    #[inline]
    fn next(&mut self) -> Option<Mapping> {
        if self.large.is_none()
            && let Some(at) = self.extents.next_page()
        {
            return Some(mapping::<F>(at));
        }
        let mut other = None;
        self.next_other(&mut other);
        other
    }

    fn fold<A, G: FnMut(A, Mapping) -> A>(mut self, init: A, mut give: G) -> A {
        let mut given = init;
        while let Some(page) = self.next_of_large() {
            given = give(given, page);
        }
        let Self { extents, .. } = self;
        extents.fold(given, |given, extent| {
            let Ok(at) = extent.to else { return given };
            if at.level == Level::LEAF {
                return give(given, mapping::<F>(at));
            }
            let page = 1 << F::PAGE_SHIFT;
            let parts = (0..extent.len).step_by(page);
            parts.fold(given, |given, offset| {
                give(given, mapping::<F>(Translation { va: at.va + offset, pa: at.pa + offset, ..at }))
            })
        })
    }
}
