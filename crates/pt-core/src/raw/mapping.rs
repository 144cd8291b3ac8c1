//! The types of the raw interface: one set for every architecture.

use crate::raw::RawFormat;
use crate::{Encode, Fault, Level, Permissions};

/// A space, known by the physical address of its root.
pub type SpaceId = u64;

/// What a page permits when it is neither absent nor copy-on-write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicMapping {
    /// Data can be read.
    pub readable: bool,
    /// Data can be written.
    pub writable: bool,
    /// Instructions can be fetched.
    pub executable: bool,
}

/// What a copy-on-write page permits until it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CowMapping {
    /// Data can be read.
    pub readable: bool,
    /// Instructions can be fetched.
    pub executable: bool,
}

/// What kind of mapping it is. Rights are the effective ones: of the whole path, not of the leaf alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappingKind {
    /// Nothing. Reading never gives it; it is what the write side takes away with.
    Unmapped,
    /// An ordinary page.
    Basic(BasicMapping),
    /// A page to be copied when it is written.
    Cow(CowMapping),
}

/// A page, or on the write side a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first physical address.
    pub phys_base: u64,
    /// The first virtual address, in canonical form.
    pub virt_base: u64,
    /// Bytes.
    pub len: u64,
    /// What kind of mapping it is.
    pub kind: MappingKind,
    /// Whether user mode reaches it, on this path.
    pub user_accessible: bool,
    /// The raw leaf entry: accessed and dirty bits, cache attributes, keys and all else. Zero when built by hand.
    pub entry: u64,
    /// The level of that entry, 1 for a 4 KiB page. No page is mapped larger than that.
    pub level: Level,
}

impl Mapping {
    /// A mapping by hand: supervisor only, 4 KiB pages.
    pub const fn new(phys_base: u64, virt_base: u64, len: u64, kind: MappingKind) -> Self {
        Self { phys_base, virt_base, len, kind, user_accessible: false, entry: 0, level: Level::LEAF }
    }

    /// The [attributes](Encode::attributes) that its pages get: rights and copy-on-write from the kind, all else from the
    /// entry, if there is one. None where nothing is mapped, or the format cannot say so.
    #[inline(always)]
    pub fn attributes<F: RawFormat>(&self, format: &F) -> Option<u64> {
        let entry = self.entry;
        let given = if entry == 0 { F::ACCESSED_DIRTY } else { format.attributes(self.level, entry) };
        let marked = given & F::KIND_BITS == F::COPY_ON_WRITE;
        let (writable, executable, given) = match self.kind {
            MappingKind::Unmapped => return None,
            MappingKind::Basic(page) if marked => (page.writable, page.executable, given & !F::KIND_BITS),
            MappingKind::Basic(page) => (page.writable, page.executable, given),
            MappingKind::Cow(page) => (false, page.executable, given & !F::KIND_BITS | F::COPY_ON_WRITE),
        };
        let rights = LinkRights { writable, executable, user_accessible: self.user_accessible };
        rights.narrow(format, Level::LEAF, format.widen(Level::LEAF, given, F::PERMISSIVE))
    }

    /// What `entry` at `virt_base` maps, under the rights of its path.
    pub(super) fn of_leaf<F: RawFormat>(
        phys_base: u64,
        virt_base: u64,
        len: u64,
        (entry, level): (u64, Level),
        rights: F::Rights,
    ) -> Self {
        let (readable, executable) = (rights.readable(), rights.executable());
        let kind = if entry & F::KIND_BITS == F::COPY_ON_WRITE {
            MappingKind::Cow(CowMapping { readable, executable })
        } else {
            MappingKind::Basic(BasicMapping { readable, writable: rights.writable(), executable })
        };
        Self { phys_base, virt_base, len, kind, user_accessible: rights.user(), entry, level }
    }
}

/// What a path of links still permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRights {
    /// No link of the path forbids writes.
    pub writable: bool,
    /// No link of the path forbids fetches.
    pub executable: bool,
    /// No link of the path forbids user mode.
    pub user_accessible: bool,
}

impl LinkRights {
    /// Nothing is forbidden.
    pub const ALL: Self = Self { writable: true, executable: true, user_accessible: true };

    #[cfg(feature = "alloc")]
    pub(super) fn of<R: Permissions>(rights: R) -> Self {
        Self { writable: rights.writable(), executable: rights.executable(), user_accessible: rights.user() }
    }

    /// `raw` with what these rights withhold taken away, as far as the format has words for it: where there is no XD,
    /// fetches cannot be forbidden.
    #[inline(always)]
    pub fn narrow<F: Encode>(self, format: &F, level: Level, raw: u64) -> Option<u64> {
        let narrowed = format.narrow(level, raw, self);
        narrowed.or_else(|| format.narrow(level, raw, Self { executable: true, ..self }))
    }
}

impl Permissions for LinkRights {
    #[inline(always)]
    fn readable(self) -> bool {
        true
    }
    #[inline(always)]
    fn writable(self) -> bool {
        self.writable
    }
    #[inline(always)]
    fn executable(self) -> bool {
        self.executable
    }
    #[inline(always)]
    fn user(self) -> bool {
        self.user_accessible
    }
}

/// A link to a table that was met before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceReferenceMapping {
    /// How far the table is below the root: on amd64 1, 2 and 3 for a PDPT, PD and PT.
    pub depth: usize,
    /// The space that owns the table.
    pub space: SpaceId,
    /// The first virtual address that the table maps through this link.
    pub our_va: u64,
    /// The first virtual address at which its owner has it.
    pub their_va: u64,
    /// This link's own raw entry: it can differ from the owner's in everything but the address.
    pub entry: u64,
    /// What this path permits, down to and including the link.
    pub rights: LinkRights,
}

/// One thing that a space holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceAwareMapping {
    /// A page of its own: one per leaf entry, of the entry's size.
    ThisSpace(Mapping),
    /// A link to a table of an earlier space. (Of an equal root given earlier, too: spaces go by address.)
    AnotherSpace(SpaceReferenceMapping),
    /// A link to a table that this space itself reached before, at the same depth.
    SameSpace(SpaceReferenceMapping),
    /// An entry that the hardware faults on. What it would have led to is not here.
    Fault(Fault),
}
