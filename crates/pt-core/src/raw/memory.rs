//! [`TableReadOps`] as [`Memory`].

use core::marker::PhantomData;

use crate::raw::TableReadOps;
use crate::{Format, Memory, Unreadable};

/// The page that an embedder's base addresses point to.
const PAGE: u64 = 0xfff;

/// Tables behind an embedder's operations, read as `F`'s entries.
pub(super) struct RawMemory<F, Op, A> {
    op: A,
    types: PhantomData<fn() -> (F, Op)>,
}

impl<F: Format, Op: TableReadOps, A: AsRef<Op>> RawMemory<F, Op, A> {
    /// # Safety
    ///
    /// As long as this lives, [`TableReadOps::read_entry`] can be called on every entry of the root tables that are
    /// walked and of every table that a present entry reached from them links, and nothing writes those tables but
    /// whoever holds this, between two reads.
    pub(super) const unsafe fn new(op: A) -> Self {
        Self { op, types: PhantomData }
    }

    #[inline(always)]
    fn entry(&self, page: Op::TableAddr, offset: u64) -> u64 {
        let addr = Op::entry_addr(page, offset);
        // SAFETY: the engine asks for entries of root tables and of tables that present entries link, at offsets below
        // the table's size; whoever made `self` promised that those can be read and are not being written.
        unsafe { self.op.as_ref().read_entry(addr) }
    }

    /// The entry of `F`'s width at physical `address`.
    #[inline(always)]
    pub(super) fn entry_at(&self, address: u64) -> u64 {
        let raw = self.entry(Op::from_phys(address & !PAGE), address & PAGE);
        if F::ENTRY_BYTES == 4 { raw & u64::from(u32::MAX) } else { raw }
    }
}

/// The address of the entry at physical `address`, as `Op` has it.
#[inline(always)]
pub(super) fn entry_addr<Op: TableReadOps>(address: u64) -> Op::TableAddr {
    Op::entry_addr(Op::from_phys(address & !PAGE), address & PAGE)
}

impl<F: Format, Op: TableReadOps, A: AsRef<Op>> Memory for RawMemory<F, Op, A> {
    type Buffer = [u8; 4096];

    /// `into` is some entries of one table, which no table of 4 KiB or less lets cross a page.
    #[inline]
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let page = Op::from_phys(address & !PAGE);
        let mut offset = address & PAGE;
        for entry in into.chunks_exact_mut(F::ENTRY_BYTES) {
            let raw = self.entry(page, offset).to_le_bytes();
            entry.copy_from_slice(&raw[..F::ENTRY_BYTES]);
            offset += F::ENTRY_BYTES as u64;
        }
        Ok(())
    }

    #[inline(always)]
    fn read_entry(&self, address: u64, _: usize) -> Result<u64, Unreadable> {
        Ok(self.entry_at(address))
    }
}

/// A borrowed `Op` where something that refers to an `Op` is asked for.
pub(super) struct Borrowed<'a, Op>(pub(super) &'a Op);

impl<Op> AsRef<Op> for Borrowed<'_, Op> {
    fn as_ref(&self) -> &Op {
        self.0
    }
}
