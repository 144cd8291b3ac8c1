//! What the x86 paging formats share.
//!
//! - [`EntryFlags`]: the bits of an entry, by name;
//! - [`Rights`]: what a path permits, in the entry's own bit positions, so that one operation accumulates it;
//! - [`Mode`] and [`ControlRegisters`]: which format a CPU's registers select;
//! - [`CpuState`]: which accesses a CPU's state permits; [`Fault`]: the exception that it raises otherwise;
//! - [`Shape`]: reserved bits and address field of an entry, and all that follows from them;
//! - [`memory_type_index`] and [`protection_key`]: what else a page's entry says;
//! - [`address_mask`] and [`reserved_above`]: MAXPHYADDR as masks.
//!
//! ```
//! use pt_x86::{EntryFlags, Mode, Rights};
//!
//! assert_eq!("pae".parse(), Ok(Mode::Pae));
//!
//! // A path permits what all its entries permit.
//! let link = EntryFlags::PRESENT | EntryFlags::WRITABLE | EntryFlags::USER;
//! let page = EntryFlags::PRESENT | EntryFlags::WRITABLE;
//! assert_eq!(Rights::all().restrict(link.bits()).restrict(page.bits()), Rights::WRITE | Rights::EXECUTE);
//! ```
//!
//! What this crate does not do: decode entries (`pt-amd64` and `pt-i686` do, one type per format) or walk tables (`pt-core`
//! does). It is `no_std` and never allocates.
//!
//! Sections named here are those of the Intel SDM, volume 3A, chapter "Paging", and of the AMD64 APM, volume 2, chapter
//! "Page Translation and Protection".

#![no_std]
#![forbid(unsafe_code)]

mod access;
mod cpu;
mod fault;
mod flags;
mod mode;
mod page;
mod rights;
mod shape;
mod vendor;

pub use access::{Access, AccessKind, Privilege};
pub use cpu::{CpuState, Rflags};
pub use fault::{ErrorCode, Fault, KeyRegister, KeyRight, PageFault, Reason};
pub use flags::EntryFlags;
pub use mode::{ControlRegisters, Cr0, Cr4, Efer, Mode, ParseModeError};
pub use page::{memory_type_index, protection_key, table_name};
pub use rights::Rights;
pub use shape::{Shape, marked, narrowed, permissive_link, widened};
pub use vendor::Vendor;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The widest physical address of the architecture in bits (SDM "Enumeration of Paging Features by CPUID").
pub const MAX_PHYS_BITS: u8 = 52;

/// Bits `low..=high` of an entry.
pub const fn bits(low: u32, high: u32) -> u64 {
    (u64::MAX >> (63 - high)) & (u64::MAX << low)
}

/// The address field of an entry: from `low` up to MAXPHYADDR (`phys_bits`, at most 52).
pub const fn address_mask(phys_bits: u8, low: u32) -> u64 {
    let top = if phys_bits > MAX_PHYS_BITS { MAX_PHYS_BITS } else { phys_bits } as u32;
    if top <= low { 0 } else { bits(low, top - 1) }
}

/// What lies between MAXPHYADDR and bit `high`, inclusive: reserved.
pub const fn reserved_above(phys_bits: u8, high: u32) -> u64 {
    if phys_bits as u32 > high { 0 } else { bits(phys_bits as u32, high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn physical_addresses_end_at_bit_51() {
        for phys_bits in 32..=64 {
            let field = address_mask(phys_bits, 12);
            assert_eq!(field, bits(12, u32::from(phys_bits.min(52)) - 1), "{phys_bits} bits");
            assert_eq!(field | reserved_above(phys_bits, 51), bits(12, 51), "all of it is one or the other");
        }
        assert_eq!((address_mask(12, 12), address_mask(13, 12)), (0, 1 << 12));
    }
}
