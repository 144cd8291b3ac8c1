//! What becomes of an access that does not reach a page: the exception that the processor raises, and why.

use core::fmt;

use bitflags::bitflags;
use pt_core::{Level, Link, Unreadable};

use crate::{Access, table_name};

/// Why an access does not reach its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// #PF, with the error code and CR2 of the hardware.
    #[error(transparent)]
    Page(#[from] PageFault),
    /// #GP(0), or #SS(0) for an access to the stack: the address is not canonical. No table is read.
    #[error("#GP: {va:#x} is not canonical")]
    NonCanonical {
        /// The address.
        va: u64,
    },
    /// #GP(0), but earlier: the `MOV` to CR3 (or to CR0 or CR4) that loads PAE's PDPTEs refuses this one, so that a
    /// processor never comes to use it (SDM "PDPTE Registers").
    #[error("#GP when CR3 is loaded: PDPTE at {entry:#x} = {raw:#x} has reserved bits {reserved:#x} set")]
    Pdpte {
        /// The physical address of the PDPTE.
        entry: u64,
        /// The raw PDPTE.
        raw: u64,
        /// The reserved bits that are set in it.
        reserved: u64,
    },
    /// No exception of the architecture: a table is where no memory can be read.
    #[error("{} at {table:#x}, linked by {:#x}, cannot be read: {why}", table_name(*level), link.raw)]
    Unreadable {
        /// The level of the table.
        level: Level,
        /// The table's physical address.
        table: u64,
        /// What points to it.
        link: Link,
        /// Why its entry cannot be had.
        why: Unreadable,
    },
    /// No exception of the architecture: entries kept changing between being read and being marked.
    #[error("the entries that translate {va:#x} kept changing")]
    Contended {
        /// The address.
        va: u64,
    },
}

impl Fault {
    /// The page fault, if it is one.
    pub const fn page_fault(&self) -> Option<&PageFault> {
        if let Self::Page(fault) = self { Some(fault) } else { None }
    }
}

bitflags! {
    /// The error code of a page fault (SDM "Page-Fault Exceptions"). SS (bit 6), HLAT (bit 7) and SGX (bit 15) are never
    /// set: shadow stacks, HLAT and enclaves are not modelled.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct ErrorCode: u32 {
        /// P: every entry that was read is present. Otherwise one is not.
        const PRESENT = 1 << 0;
        /// W/R: the access is a write.
        const WRITE = 1 << 1;
        /// U/S: the access is a user-mode access.
        const USER = 1 << 2;
        /// RSVD: an entry has reserved bits set.
        const RESERVED = 1 << 3;
        /// I/D: the access is an instruction fetch, where fetches can be prevented at all: with SMEP, or with NXE in PAE
        /// paging and long mode.
        const FETCH = 1 << 4;
        /// PK: the page's protection key forbids the access, whatever else does.
        const PROTECTION_KEY = 1 << 5;
    }
}

/// A page fault.
///
/// Where the rights of the path and the protection key both forbid an access, [`reason`](Self::reason) is about the rights, and
/// the error code has PK set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// CR2: the linear address.
    pub va: u64,
    /// What faulted.
    pub access: Access,
    /// The error code.
    pub code: ErrorCode,
    /// The level of the entry that caused it: of those that withhold a right, the first from the root down.
    pub level: Level,
    /// The physical address of that entry.
    pub entry: u64,
    /// The raw entry.
    pub raw: u64,
    /// What is wrong with it.
    pub reason: Reason,
}

impl core::error::Error for PageFault {}

/// As `#PF error 0x7: write, user, present: PDE at 0x2008: R/W = 0`.
impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access, code, level, entry, reason, .. } = self;
        let present = if code.contains(ErrorCode::PRESENT) { "present" } else { "not present" };
        write!(f, "#PF error {:#x}: {access}, {present}", code.bits())?;
        let more = [(ErrorCode::RESERVED, "reserved"), (ErrorCode::PROTECTION_KEY, "protection key")];
        for (_, name) in more.into_iter().filter(|&(flag, _)| code.contains(flag)) {
            write!(f, ", {name}")?;
        }
        write!(f, ": {}E at {entry:#x}: {reason}", table_name(*level))
    }
}

/// What an entry has that makes an access fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is not present.
    NotPresent,
    /// These bits are reserved and set.
    Reserved(u64),
    /// It is the supervisor's, and this is a user-mode access.
    Supervisor,
    /// It is read-only, for a user-mode access or with CR0.WP set.
    ReadOnly,
    /// It is not to be executed.
    NoExecute,
    /// It is the user's, and CR4.SMEP keeps the supervisor from fetching there.
    Smep,
    /// It is the user's, and CR4.SMAP keeps the supervisor's data accesses out.
    Smap,
    /// Its protection key forbids the access.
    ProtectionKey {
        /// The key.
        key: u8,
        /// The register that says so: PKRU for a user page, `IA32_PKRS` for a supervisor's.
        register: KeyRegister,
        /// Whether all data accesses are disabled (AD), or only writes (WD).
        right: KeyRight,
    },
}

/// Which register has the rights of a protection key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRegister {
    /// PKRU, for pages of the user.
    Pkru,
    /// The MSR `IA32_PKRS`, for pages of the supervisor.
    Pkrs,
}

/// What a protection key's rights forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRight {
    /// AD: every data access.
    AccessDisable,
    /// WD: writes, by user-mode accesses or with CR0.WP set.
    WriteDisable,
}

/// The bit as it stands in the entry, and in the register that gives it its meaning.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPresent => f.write_str("P = 0"),
            Self::Reserved(bits) => write!(f, "reserved bits {bits:#x} set"),
            Self::Supervisor => f.write_str("U/S = 0"),
            Self::ReadOnly => f.write_str("R/W = 0"),
            Self::NoExecute => f.write_str("XD = 1"),
            Self::Smep => f.write_str("U/S = 1, SMEP"),
            Self::Smap => f.write_str("U/S = 1, SMAP"),
            Self::ProtectionKey { key, register, right } => {
                let register = match register {
                    KeyRegister::Pkru => "PKRU",
                    KeyRegister::Pkrs => "PKRS",
                };
                let right = match right {
                    KeyRight::AccessDisable => "AD",
                    KeyRight::WriteDisable => "WD",
                };
                write!(f, "key {key}, {register}.{right}{key} = 1")
            }
        }
    }
}
