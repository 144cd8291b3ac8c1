//! Guest memory of the rust-vmm crate [`vm_memory`], as page-table walks read and write it.
//!
//! [`VmMemory`] borrows any [`GuestMemoryBackend`] (`GuestMemoryMmap` is one) and is a [`Memory`], a [`MemoryMut`] and a
//! [`MemoryExchange`]: everything that works on those works on the memory of a running VMM.
//!
//! ```
//! use pt_amd64::FourLevel;
//! use pt_core::{Event, Options, Walk};
//! use pt_vm_memory::VmMemory;
//! use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
//!
//! // What a VMM has: two regions, and in the second one a guest's tables.
//! let ram = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x1000), (GuestAddress(0x10_0000), 0x4000)])?;
//! ram.write_obj(0x10_1003_u64, GuestAddress(0x10_0ff8))?;
//! ram.write_obj(0x4000_0083_u64, GuestAddress(0x10_1ff8))?;
//!
//! let memory = VmMemory::new(&ram);
//! for event in Walk::new(FourLevel::default(), &memory, &[0x10_0000], Options::default()) {
//!     match event? {
//!         Event::Leaf(leaf) => assert_eq!((leaf.va, leaf.pa), (0xffff_ffff_c000_0000, 0x4000_0000)),
//!         Event::Fault(fault) => panic!("{fault:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A table is one read: one look-up among the regions, one copy out of a volatile slice. Memory that a guest can write
//! at any time is never lent, because that would be a reference to bytes that change; what is decided about a table is
//! decided on the copy. Single entries are loaded, stored and exchanged atomically.
//!
//! A hole between regions is [`Unreadable::Outside`]; reads and writes that straddle regions which touch each other
//! work.
//!
//! What this crate does not do: translate (`pt-vcpu` does), walk (`pt-core` does), follow an IOMMU (a `vm_memory::GuestMemory`
//! that is not a backend has I/O virtual addresses, which page tables do not hold), or watch the memory map for changes:
//! a `VmMemory` is made for a while, from the map of that moment.

#![forbid(unsafe_code)]

/// The `vm-memory` that this crate is about, so that a VMM needs to name no version of its own. Its backends are features
/// of this crate by the same names: `backend-mmap`, `backend-atomic`, `backend-bitmap`.
pub use vm_memory;

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use pt_core::{Memory, MemoryExchange, MemoryMut, Unreadable};
use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress, VolatileMemory};

/// The memory of a VMM, borrowed: regions of type `R`, found by address.
///
/// It costs two small allocations to make, and an access one look-up: the region of the last one, else an index by
/// address. Writes go through a shared reference, as they do in `vm-memory`: a `&VmMemory` is a [`MemoryMut`] too.
///
/// ```
/// use pt_vcpu::{Machine, Registers, Vcpu};
/// use pt_vm_memory::VmMemory;
/// use vm_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
///
/// // As VMMs keep it: a map that can be replaced. The guard holds on to the one of now.
/// let ram = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x4000)])?;
/// ram.write_obj(0x83_u32, GuestAddress(0x1c00))?;
/// let ram = GuestMemoryAtomic::new(ram);
///
/// let guard = ram.memory();
/// let memory = VmMemory::new(&*guard);
/// let registers = Registers { cr0: 0x8001_0011, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
/// let mut view = Vcpu::new(registers, &Machine::default()).view(&memory);
/// view.write_integer(0xc000_2000, 0xcc_u8)?;
/// assert_eq!(guard.read_obj::<u8>(GuestAddress(0x2000))?, 0xcc);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VmMemory<'a, R> {
    /// By address, ascending.
    regions: Vec<Region<'a, R>>,
    /// The region that served the last access: the next one's, most likely. A hint, so that it may be racy.
    last_hit: AtomicUsize,
    /// For each stretch of `1 << stretch` addresses, the last region that starts in or before it: the next guess.
    likely: Vec<usize>,
    stretch: u32,
}

/// Enough stretches that memory below 4 GiB and memory above it are apart up to 1 TiB; few enough to stay in the cache.
const STRETCHES_LOG2: u32 = 8;

struct Region<'a, R> {
    first: u64,
    last: u64,
    handle: &'a R,
}

impl<'a, R: GuestMemoryRegion> VmMemory<'a, R> {
    /// The regions of that memory as they are now. They must not overlap, which `vm-memory`'s own collections see to:
    /// of some addresses that two regions have, neither would be found.
    pub fn new<B: GuestMemoryBackend<R = R>>(backend: &'a B) -> Self {
        let mut regions: Vec<_> = backend.iter().filter_map(Region::new).collect();
        regions.sort_by_key(|region| region.first);
        let last = regions.iter().map(|region| region.last).max().unwrap_or(0);
        let stretch = (u64::BITS - last.leading_zeros()).saturating_sub(STRETCHES_LOG2);
        let starting = |at| regions.partition_point(|region| region.first >> stretch <= at);
        let likely = (0..=last >> stretch).map(|at| starting(at).saturating_sub(1)).collect();
        Self { regions, last_hit: AtomicUsize::new(0), likely, stretch }
    }

    /// The physical addresses of each region, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.regions.iter().map(|region| region.first..=region.last)
    }

    /// The region that has `address`.
    #[inline]
    fn find(&self, address: u64) -> Option<&Region<'a, R>> {
        let region = self.regions.get(self.last_hit.load(Ordering::Relaxed))?;
        if region.has(address) {
            return Some(region);
        }
        let likely = *self.likely.get(usize::try_from(address >> self.stretch).ok()?)?;
        let region = self.regions.get(likely)?;
        if region.has(address) {
            self.last_hit.store(likely, Ordering::Relaxed);
            return Some(region);
        }
        self.search(address)
    }

    /// Several regions start in one stretch, or none has the address.
    #[cold]
    fn search(&self, address: u64) -> Option<&Region<'a, R>> {
        let starting = self.regions.partition_point(|region| region.first <= address);
        self.regions.get(starting.checked_sub(1)?).filter(|region| region.has(address))
    }

    /// Hands out the part of an access that each region has, ascending.
    #[inline]
    fn parts(
        &self,
        mut address: u64,
        len: usize,
        mut access: impl FnMut(&Region<'a, R>, MemoryRegionAddress, Range<usize>) -> Option<()>,
    ) -> Result<(), Unreadable> {
        let mut done = 0;
        while done < len {
            let region = self.find(address).ok_or(Unreadable::Outside)?;
            let behind = usize::try_from(region.last - address).unwrap_or(usize::MAX);
            let part = done..done + behind.saturating_add(1).min(len - done);
            access(region, region.offset(address), part.clone()).ok_or(Unreadable::Failed)?;
            done = part.end;
            address = match address.checked_add(part.len() as u64) {
                Some(next) => next,
                None if done == len => break,
                None => return Err(Unreadable::Outside),
            };
        }
        Ok(())
    }

    fn store(&self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        if self.store_entry(address, bytes).is_some() {
            return Ok(());
        }
        self.parts(address, bytes.len(), |region, at, part| region.write(at, &bytes[part]))
    }

    /// Stores 4 or 8 bytes at once; none where their address or their number forbids it.
    #[inline]
    fn store_entry(&self, address: u64, bytes: &[u8]) -> Option<()> {
        let width = bytes.len();
        if width != size_of::<usize>() && width != size_of::<u32>() {
            return None;
        }
        let region = self.find(address)?;
        let at = region.offset(address);
        // `vm-memory` has 64-bit hosts only, and on all of them usize is atomic; for u64 it lists them one by one.
        let stored = if width == size_of::<usize>() {
            region.handle.store(usize::from_ne_bytes(bytes.try_into().ok()?), at, Ordering::Release)
        } else {
            region.handle.store(u32::from_ne_bytes(bytes.try_into().ok()?), at, Ordering::Release)
        };
        stored.ok()
    }

    /// Loads 4 or 8 bytes at once; none where their address forbids it.
    #[inline]
    fn load_entry(&self, address: u64, width: usize) -> Option<u64> {
        let region = self.find(address)?;
        let at = region.offset(address);
        if width == size_of::<usize>() {
            region.handle.load::<usize>(at, Ordering::Acquire).ok().map(|raw| raw.to_le() as u64)
        } else if width == size_of::<u32>() {
            region.handle.load::<u32>(at, Ordering::Acquire).ok().map(|raw| u64::from(raw.to_le()))
        } else {
            None
        }
    }
}

impl<R: GuestMemoryRegion> VmMemory<'_, R> {
    fn exchange(&self, address: u64, width: usize, current: u64, new: u64) -> Result<bool, Unreadable> {
        let region = self.find(address).ok_or(Unreadable::Outside)?;
        region.exchange(region.offset(address), width, current, new).ok_or(Unreadable::Failed)
    }
}

impl<'a, R: GuestMemoryRegion> Region<'a, R> {
    /// None where it has no address.
    fn new(handle: &'a R) -> Option<Self> {
        let first = handle.start_addr().0;
        Some(Self { first, last: first.checked_add(handle.len().checked_sub(1)?)?, handle })
    }

    #[inline]
    fn has(&self, address: u64) -> bool {
        self.first <= address && address <= self.last
    }

    #[inline]
    fn offset(&self, address: u64) -> MemoryRegionAddress {
        MemoryRegionAddress(address - self.first)
    }

    /// A region that has no slices still copies, in its own way.
    #[inline]
    fn read(&self, at: MemoryRegionAddress, into: &mut [u8]) -> Option<()> {
        match self.handle.get_slice(at, into.len()) {
            Ok(slice) => (slice.copy_to(into) == into.len()).then_some(()),
            Err(_) => self.handle.read_slice(into, at).ok(),
        }
    }

    /// None where the region has no memory that is mapped, or the entry is not aligned.
    fn exchange(&self, at: MemoryRegionAddress, width: usize, current: u64, new: u64) -> Option<bool> {
        let slice = self.handle.get_slice(at, width).ok()?;
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        // As for stores: only of usize is it known that all hosts have it.
        let exchanged = if width == size_of::<usize>() {
            let [current, new] = [current, new].map(|raw| (raw as usize).to_le());
            slice
                .get_atomic_ref::<AtomicUsize>(0)
                .ok()?
                .compare_exchange(current, new, success, failure)
                .is_ok()
        } else if width == size_of::<u32>() {
            let [current, new] = [current, new].map(|raw| (raw as u32).to_le());
            slice
                .get_atomic_ref::<AtomicU32>(0)
                .ok()?
                .compare_exchange(current, new, success, failure)
                .is_ok()
        } else {
            return None;
        };
        if exchanged {
            slice.bitmap().mark_dirty(0, width);
        }
        Some(exchanged)
    }

    #[inline]
    fn write(&self, at: MemoryRegionAddress, bytes: &[u8]) -> Option<()> {
        self.handle.write_slice(bytes, at).ok()
    }
}

impl<R: GuestMemoryRegion> Memory for VmMemory<'_, R> {
    type Buffer = [u8; 4096];

    /// Copies out of each region that has a part, in one piece.
    ///
    /// # Errors
    ///
    /// - [`Unreadable::Outside`]: no region has one of the bytes;
    /// - [`Unreadable::Failed`]: a region has it, but does not give it.
    #[inline]
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.parts(address, into.len(), |region, at, part| region.read(at, &mut into[part]))
    }

    /// Atomic, if the region has memory that is mapped and the entry is aligned.
    #[inline]
    fn read_entry(&self, address: u64, width: usize) -> Result<u64, Unreadable> {
        if let Some(raw) = self.load_entry(address, width) {
            return Ok(raw);
        }
        let mut bytes = [0; 8];
        self.read(address, &mut bytes[..width])?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        let after = self.regions.partition_point(|region| region.last < address);
        self.regions.get(after).map(|region| region.first.max(address))
    }
}

impl<R: GuestMemoryRegion> MemoryMut for VmMemory<'_, R> {
    /// Atomic for 4 and 8 aligned bytes. Dirty bitmaps are marked.
    ///
    /// # Errors
    ///
    /// - [`Unreadable::Outside`]: no region has one of the bytes;
    /// - [`Unreadable::Failed`]: a region has it, but does not take it.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.store(address, bytes)
    }
}

impl<R: GuestMemoryRegion> MemoryMut for &VmMemory<'_, R> {
    /// As for [`VmMemory`].
    ///
    /// # Errors
    ///
    /// As there.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.store(address, bytes)
    }
}

impl<R: GuestMemoryRegion> MemoryExchange for VmMemory<'_, R> {
    /// Dirty bitmaps are marked. Whether a region is mapped for reading only is not known here: what the VMM gives the
    /// guest as ROM it must map for writing itself, or not put here.
    ///
    /// # Errors
    ///
    /// - [`Unreadable::Outside`]: no region has the entry;
    /// - [`Unreadable::Failed`]: a region has it, but no memory that is mapped; or the entry is not aligned.
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        self.exchange(address, width, current, new)
    }
}

impl<R: GuestMemoryRegion> MemoryExchange for &VmMemory<'_, R> {
    /// As for [`VmMemory`].
    ///
    /// # Errors
    ///
    /// As there.
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        self.exchange(address, width, current, new)
    }
}

impl<R> fmt::Debug for VmMemory<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VmMemory")?;
        f.debug_list().entries(&self.regions).finish()
    }
}

impl<R> fmt::Debug for Region<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..={:#x}", self.first, self.last)
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
