//! Entries changed as a processor changes them: only if nobody else did since they were read.

use super::{Memory, Unreadable};

/// Guest physical memory whose entries can be exchanged: what it takes to set accessed and dirty bits while the guest runs.
pub trait MemoryExchange: Memory {
    /// Stores `new` over the little-endian entry of `width` bytes (4 or 8) at physical `address` if that still is
    /// `current`, and returns whether it was. Where others use the memory meanwhile, the comparison and the store are one
    /// atomic step.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] says why the entry cannot be stored; nothing was. Memory that is only to be read says
    /// [`Unreadable::ReadOnly`].
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable>;
}

/// Exclusive, and so atomic.
impl MemoryExchange for [u8] {
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        let start = usize::try_from(address).ok();
        let place = start.and_then(|start| self.get_mut(start..start.checked_add(width)?));
        let place = place.ok_or(Unreadable::Outside)?;
        let (current, new) = (current.to_le_bytes(), new.to_le_bytes());
        let unchanged = current.starts_with(place);
        if unchanged {
            place.copy_from_slice(new.get(..width).ok_or(Unreadable::Failed)?);
        }
        Ok(unchanged)
    }
}

#[cfg(feature = "alloc")]
impl MemoryExchange for alloc::vec::Vec<u8> {
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        self.as_mut_slice().compare_exchange(address, width, current, new)
    }
}

impl<M: MemoryExchange + ?Sized> MemoryExchange for &mut M {
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        (**self).compare_exchange(address, width, current, new)
    }
}
