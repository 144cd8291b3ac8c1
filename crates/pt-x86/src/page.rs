//! What a page's entry says beside its address and its rights, and what tables are called.

use pt_core::Level;

use crate::EntryFlags;

/// The index of a page's memory type in the PAT, 0 to 7: PAT, PCD and PWT of its leaf (SDM "Paging and Memory Typing").
///
/// ```
/// use pt_core::Level;
///
/// assert_eq!(pt_x86::memory_type_index(Level::LEAF, 0x99), 0b111);
/// // Bit 7 of a large page says that it is one; PAT is bit 12.
/// assert_eq!(pt_x86::memory_type_index(Level::HIGHEST, 0x1091), 0b110);
/// ```
pub const fn memory_type_index(level: Level, leaf: u64) -> u8 {
    let leaf = EntryFlags::from_bits_retain(leaf);
    let pat = if level.number() == 1 { EntryFlags::PAT } else { EntryFlags::PAT_LARGE };
    (leaf.contains(pat) as u8) << 2
        | (leaf.contains(EntryFlags::CACHE_DISABLE) as u8) << 1
        | leaf.contains(EntryFlags::WRITE_THROUGH) as u8
}

/// The protection key in a leaf, 0 to 15 (SDM "Protection Keys"). Outside long mode there are none: those bits do not
/// exist, or are reserved.
pub const fn protection_key(leaf: u64) -> u8 {
    let key = EntryFlags::PROTECTION_KEY.bits();
    ((leaf & key) >> key.trailing_zeros()) as u8
}

/// What the manuals call a table of that level, such as `PD`; its entries add an `E`. All formats of x86 agree.
pub const fn table_name(level: Level) -> &'static str {
    ["PT", "PD", "PDPT", "PML4", "PML5"][level.number() as usize - 1]
}
