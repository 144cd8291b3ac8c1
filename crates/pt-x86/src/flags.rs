//! The bits of an entry, by name.

use bitflags::bitflags;

bitflags! {
    /// The bits of an x86 page-table entry that are not address (SDM "Format of Paging-Structure Entries").
    ///
    /// ```text
    ///  63  62:59  58:52      51:12     11:9   8   7   6   5   4   3   2   1   0
    ///  NX  key    software   address   AVL    G   PS  D   A   PCD PWT U/S R/W P
    /// ```
    ///
    /// Raw values are kept everywhere; this is only a way to read them, and unknown bits stay in it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct EntryFlags: u64 {
        /// P: the entry is used.
        const PRESENT = 1 << 0;
        /// R/W: writes are allowed.
        const WRITABLE = 1 << 1;
        /// U/S: user mode is allowed.
        const USER = 1 << 2;
        /// PWT: write-through; low bit of the PAT index.
        const WRITE_THROUGH = 1 << 3;
        /// PCD: cache disable; middle bit of the PAT index.
        const CACHE_DISABLE = 1 << 4;
        /// A: the entry was used.
        const ACCESSED = 1 << 5;
        /// D: the page was written.
        const DIRTY = 1 << 6;
        /// PS: the entry maps a page although its level could have a table. In a level-1 entry the same bit is PAT.
        const LARGE = 1 << 7;
        /// PAT of a 4 KiB page: high bit of the PAT index.
        const PAT = 1 << 7;
        /// G: not flushed with the address space.
        const GLOBAL = 1 << 8;
        /// Software bits 11:9.
        const AVAILABLE = 0b111 << 9;
        /// Software bit 9: with the other two clear, the raw interface's copy-on-write mark.
        const COPY_ON_WRITE = 1 << 9;
        /// PAT of a large page.
        const PAT_LARGE = 1 << 12;
        /// The protection key of a leaf.
        const PROTECTION_KEY = 0b1111 << 59;
        /// XD / NX: no instruction fetches.
        const NO_EXECUTE = 1 << 63;

        const _ = !0;
    }
}
