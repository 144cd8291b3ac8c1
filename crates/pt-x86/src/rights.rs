//! What a path of entries permits.

use bitflags::bitflags;
use pt_core::Permissions;

bitflags! {
    /// The rights that all entries of a path leave together (SDM "Determination of Access Rights").
    ///
    /// R/W and U/S are the AND over all levels, XD the OR. The flags sit where the entry has them, and [`EXECUTE`] is
    /// the complement of XD, so that one more entry costs one operation: `above & (raw ^ XD)`.
    ///
    /// [`EXECUTE`]: Rights::EXECUTE
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u64 {
        /// Every entry has R/W set.
        const WRITE = 1 << 1;
        /// Every entry has U/S set.
        const USER = 1 << 2;
        /// No entry has XD set.
        const EXECUTE = 1 << 63;
    }
}

impl Rights {
    /// These rights under one more entry.
    #[inline(always)]
    pub const fn restrict(self, raw: u64) -> Self {
        self.intersection(Self::from_bits_retain(raw ^ Self::EXECUTE.bits()))
    }
}

/// What the supervisor can do with CR0.WP set and neither SMEP nor SMAP, and whether user mode can do the same.
impl Permissions for Rights {
    #[inline(always)]
    fn readable(self) -> bool {
        true
    }
    #[inline(always)]
    fn writable(self) -> bool {
        self.contains(Self::WRITE)
    }
    #[inline(always)]
    fn executable(self) -> bool {
        self.contains(Self::EXECUTE)
    }
    #[inline(always)]
    fn user(self) -> bool {
        self.contains(Self::USER)
    }
}
