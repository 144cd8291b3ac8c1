//! `memflow`: translations in batches. A walk is one batch of one piece, the whole range.

use memflow::architecture::x86::{X86VirtualTranslate, x64};
use memflow::cglue::CTup3;
use memflow::connector::MappedPhysicalMemory;
use memflow::mem::{DirectTranslate, MemoryMap, VirtualTranslate2};
use memflow::types::{Address, PageType, PhysicalAddress, umem};

use crate::Seen;

/// A space in bytes.
pub struct Space<'m> {
    memory: MappedPhysicalMemory<&'m [u8], MemoryMap<&'m [u8]>>,
    translator: X86VirtualTranslate,
    /// The peer's buffer of 64 MiB, made once.
    translate: DirectTranslate,
}

impl std::fmt::Debug for Space<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space").finish_non_exhaustive()
    }
}

impl<'m> Space<'m> {
    /// The space under `root`.
    pub fn new(bytes: &'m [u8], root: u64) -> Self {
        let mut map = MemoryMap::new();
        map.push(Address::from(0u64), bytes);
        Self {
            memory: MappedPhysicalMemory::with_info(map),
            translator: x64::new_translator(Address::from(root)),
            translate: DirectTranslate::new(),
        }
    }

    /// What each piece of the ranges is translated to: physical address, virtual one, and bytes. Pieces that are not
    /// mapped are passed over. Not in order.
    #[inline(always)]
    pub fn pieces(
        &mut self,
        ranges: impl Iterator<Item = (u64, umem)>,
        mut piece: impl FnMut(PhysicalAddress, u64, umem),
    ) {
        let found = &mut |CTup3(pa, va, len): CTup3<PhysicalAddress, Address, umem>| {
            piece(pa, va.to_umem(), len);
            true
        };
        self.translate.virt_to_phys_iter(
            &mut self.memory,
            &self.translator,
            ranges.map(|(va, len)| CTup3(Address::from(va), Address::from(va), len)),
            &mut found.into(),
            &mut (&mut |_| true).into(),
        );
    }

    /// The sum of all fields of all pieces.
    #[inline(never)]
    pub fn fields(&mut self, ranges: impl Iterator<Item = (u64, umem)>) -> u64 {
        let mut sum = 0u64;
        self.pieces(ranges, |pa, va, len| {
            let small = u64::from(pa.page_type().bits());
            sum = sum.wrapping_add(pa.address().to_umem() ^ pa.page_size() ^ va ^ len ^ small);
        });
        sum
    }

    /// All pages of a range, in order.
    pub fn seen(&mut self, range: (u64, umem)) -> Vec<Seen> {
        let mut all = Vec::new();
        self.pieces(std::iter::once(range), |pa, va, len| {
            let kind = pa.page_type();
            let (writable, executable) =
                (kind.contains(PageType::WRITEABLE), !kind.contains(PageType::NOEXEC));
            all.push((va, Seen::page(va, pa.address().to_umem(), len, writable, executable)));
        });
        all.sort_by_key(|(va, _)| *va);
        all.into_iter().map(|(_, seen)| seen).collect()
    }
}
