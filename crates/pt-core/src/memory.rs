//! The boundary to memory: [`Memory`], and the implementations that need nothing but slices.
//!
//! Reads are safe, fallible and table-sized. A memory that can lend bytes lends them and nothing is copied; one that
//! cannot fills a buffer. Whatever is decided about a table is decided on one read of it, so a guest that writes
//! meanwhile cannot make two readings disagree.
//!
//! | memory | lends | buffer per level |
//! |---|---|---|
//! | `[u8]`: physical address = index | always | none |
//! | [`Segments`]: sorted pieces of a sparse image | unless the read straddles two pieces | 4 KiB |
//! | an embedder's own | as it can | its choice |

mod exchange;
mod segments;

pub use exchange::MemoryExchange;
pub use segments::{Segment, Segments, SegmentsError};

/// Guest physical memory, as far as it can be read.
/// An embedder's own needs one function; its tables are then copied, one at a time.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use pt_amd64::FourLevel;
/// use pt_core::{Memory, Unreadable, translate};
///
/// /// Pages that were fetched from somewhere, by number.
/// struct Fetched(BTreeMap<u64, [u8; 4096]>);
///
/// impl Memory for Fetched {
///     type Buffer = [u8; 4096];
///
///     fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
///         let page = self.0.get(&(address >> 12)).ok_or(Unreadable::NotHeld)?;
///         let start = (address & 0xfff) as usize;
///         // A table or an entry never crosses a page.
///         let bytes = page.get(start..start + into.len()).ok_or(Unreadable::Failed)?;
///         into.copy_from_slice(bytes);
///         Ok(())
///     }
/// }
///
/// let mut pages = [[0; 4096]; 2];
/// pages[0][..8].copy_from_slice(&0x2003_u64.to_le_bytes());
/// pages[1][..8].copy_from_slice(&0x4000_0083_u64.to_le_bytes());
/// let memory = Fetched(BTreeMap::from([(1, pages[0]), (2, pages[1])]));
/// assert_eq!(translate(&FourLevel::default(), &memory, 0x1000, 0x1234)?.pa, 0x4000_1234);
/// # Ok::<(), pt_core::TranslateError>(())
/// ```
pub trait Memory {
    /// What the walk keeps per level for a table that was not lent: [`NoBuffer`] for a memory that lends every read
    /// it can serve, an array such as `[u8; 4096]` otherwise. It must hold the format's largest table.
    type Buffer: TableBuffer;

    /// Fills `into` with the bytes at physical `address`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] says why not all of these bytes can be had. What `into` then holds is not used.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable>;

    /// The `len` bytes at physical `address`, if this memory can lend them. `None` says only that it cannot: the
    /// caller then calls [`read`](Memory::read), which knows whether the bytes exist.
    #[inline]
    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        let _ = (address, len);
        None
    }

    /// One little-endian entry of `width` bytes (4 or 8) at physical `address`, widened: what translation reads.
    ///
    /// # Errors
    ///
    /// As [`read`](Memory::read).
    #[inline]
    fn read_entry(&self, address: u64, width: usize) -> Result<u64, Unreadable> {
        let mut bytes = [0; 8];
        match self.lend(address, width) {
            Some(lent) => bytes[..width].copy_from_slice(lent),
            None => self.read(address, &mut bytes[..width])?,
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// The first address from `address` on that may be readable; none if no more is. Guests map more memory than there
    /// is: who reads all of it passes over the rest in one step. A memory that does not know says `address`.
    fn next_readable(&self, address: u64) -> Option<u64> {
        Some(address)
    }
}

/// Guest physical memory that can also be written.
/// ```
/// use pt_core::{Memory, MemoryMut, Unreadable};
///
/// let mut memory = vec![0; 0x1000];
/// memory.write(0x10, &0x2003_u64.to_le_bytes())?;
/// assert_eq!(memory.read_entry(0x10, 8)?, 0x2003);
/// assert_eq!(memory.write(0xffc, &[0; 8]), Err(Unreadable::Outside));
/// # Ok::<(), Unreadable>(())
/// ```
pub trait MemoryMut: Memory {
    /// Stores `bytes` at physical `address`. Four or eight of them at a multiple of their number are an entry: a memory
    /// that others read meanwhile stores those at once. More of them, in a table that is in use, are entries side by side,
    /// each of which it stores at once, in any order.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] says why not all of these bytes can be stored. How many were is then open.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable>;

    /// The `len` bytes at physical `address`, to be changed where they are, if this memory can lend them so. A memory that
    /// others read meanwhile never does. What it lends it lends in parts, too. `None` says only that it cannot: the caller
    /// then calls [`write`](MemoryMut::write).
    #[inline]
    fn lend_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        let _ = (address, len);
        None
    }
}

/// Why bytes of physical memory cannot be read (or, where they are to be written, written).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The guest has no memory there.
    #[error("outside the guest's memory")]
    Outside,
    /// The guest has memory there, but this image does not hold it.
    #[error("not held by this image")]
    NotHeld,
    /// The memory is there, but reading it failed.
    #[error("reading it failed")]
    Failed,
    /// The memory is there and can be read, but not written.
    #[error("read-only")]
    ReadOnly,
}

/// Room for one table, for memories that do not lend.
pub trait TableBuffer {
    /// How many bytes it holds; `usize::MAX` for [`NoBuffer`], which never has to.
    const BYTES: usize;
    /// An empty buffer.
    fn empty() -> Self;
    /// The first `len` bytes, to fill; none where it has no such room.
    fn room(&mut self, len: usize) -> Option<&mut [u8]>;
    /// The first `len` bytes, as filled (fewer, if it has fewer).
    fn filled(&self, len: usize) -> &[u8];
}

/// The buffer of memories that lend every read they can serve.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBuffer;

impl TableBuffer for NoBuffer {
    const BYTES: usize = usize::MAX;
    #[inline(always)]
    fn empty() -> Self {
        Self
    }
    #[inline(always)]
    fn room(&mut self, _: usize) -> Option<&mut [u8]> {
        None
    }
    #[inline(always)]
    fn filled(&self, _: usize) -> &[u8] {
        &[]
    }
}

impl<const N: usize> TableBuffer for [u8; N] {
    const BYTES: usize = N;
    #[inline(always)]
    fn empty() -> Self {
        [0; N]
    }
    #[inline(always)]
    fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        self.get_mut(..len)
    }
    #[inline(always)]
    fn filled(&self, len: usize) -> &[u8] {
        &self[..len.min(N)]
    }
}

/// Physical memory that starts at address 0 and is one slice.
impl Memory for [u8] {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        into.copy_from_slice(self.lend(address, into.len()).ok_or(Unreadable::Outside)?);
        Ok(())
    }

    #[inline(always)]
    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(address).ok()?;
        self.get(start..start.checked_add(len)?)
    }

    #[inline(always)]
    fn read_entry(&self, address: u64, width: usize) -> Result<u64, Unreadable> {
        // The last place for an entry is the same for all of them, so that each costs one comparison.
        let last = self.len().checked_sub(width).ok_or(Unreadable::Outside)?;
        let start =
            usize::try_from(address).ok().filter(|&start| start <= last).ok_or(Unreadable::Outside)?;
        let entry = match width {
            4 => self[start..].first_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes))),
            _ => self[start..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes)),
        };
        entry.ok_or(Unreadable::Outside)
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        (address < self.len() as u64).then_some(address)
    }
}

impl MemoryMut for [u8] {
    #[inline]
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.lend_mut(address, bytes.len()).ok_or(Unreadable::Outside)?.copy_from_slice(bytes);
        Ok(())
    }

    #[inline(always)]
    fn lend_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(address).ok()?;
        self.get_mut(start..start.checked_add(len)?)
    }
}

impl<M: MemoryMut + ?Sized> MemoryMut for &mut M {
    #[inline(always)]
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        (**self).write(address, bytes)
    }
    #[inline(always)]
    fn lend_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        (**self).lend_mut(address, len)
    }
}

impl<M: Memory + ?Sized> Memory for &mut M {
    type Buffer = M::Buffer;

    #[inline(always)]
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        (**self).read(address, into)
    }
    #[inline(always)]
    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        (**self).lend(address, len)
    }
    #[inline(always)]
    fn read_entry(&self, address: u64, width: usize) -> Result<u64, Unreadable> {
        (**self).read_entry(address, width)
    }
    fn next_readable(&self, address: u64) -> Option<u64> {
        (**self).next_readable(address)
    }
}

impl<M: Memory + ?Sized> Memory for &M {
    type Buffer = M::Buffer;

    #[inline(always)]
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        (**self).read(address, into)
    }
    #[inline(always)]
    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        (**self).lend(address, len)
    }
    #[inline(always)]
    fn read_entry(&self, address: u64, width: usize) -> Result<u64, Unreadable> {
        (**self).read_entry(address, width)
    }
    fn next_readable(&self, address: u64) -> Option<u64> {
        (**self).next_readable(address)
    }
}

#[cfg(feature = "alloc")]
impl Memory for alloc::vec::Vec<u8> {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.as_slice().read(address, into)
    }
    #[inline(always)]
    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.as_slice().lend(address, len)
    }
    #[inline(always)]
    fn read_entry(&self, address: u64, width: usize) -> Result<u64, Unreadable> {
        self.as_slice().read_entry(address, width)
    }
    fn next_readable(&self, address: u64) -> Option<u64> {
        self.as_slice().next_readable(address)
    }
}

#[cfg(feature = "alloc")]
impl MemoryMut for alloc::vec::Vec<u8> {
    #[inline(always)]
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.as_mut_slice().write(address, bytes)
    }
    #[inline(always)]
    fn lend_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        self.as_mut_slice().lend_mut(address, len)
    }
}
