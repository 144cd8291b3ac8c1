//! Control registers to paging mode (SDM "Paging Modes and Control Bits").

use bitflags::bitflags;
use core::fmt;
use core::str::FromStr;

bitflags! {
    /// CR0, as far as paging depends on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Cr0: u64 {
        /// PE: protected mode.
        const PROTECTED = 1 << 0;
        /// WP: supervisor writes obey R/W.
        const WRITE_PROTECT = 1 << 16;
        /// PG: paging.
        const PAGING = 1 << 31;
        const _ = !0;
    }

    /// CR4, as far as paging depends on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Cr4: u64 {
        /// PSE: 4 MiB pages in 2-level paging.
        const PAGE_SIZE_EXTENSIONS = 1 << 4;
        /// PAE: 8-byte entries.
        const PHYSICAL_ADDRESS_EXTENSION = 1 << 5;
        /// LA57: five levels.
        const LINEAR_ADDRESS_57 = 1 << 12;
        /// PCIDE: CR3 bits 11:0 are a process-context identifier.
        const PROCESS_CONTEXT_ID = 1 << 17;
        /// SMEP.
        const SUPERVISOR_EXECUTION_PREVENTION = 1 << 20;
        /// SMAP.
        const SUPERVISOR_ACCESS_PREVENTION = 1 << 21;
        /// PKE: protection keys for user pages.
        const PROTECTION_KEYS = 1 << 22;
        /// PKS: protection keys for supervisor pages.
        const SUPERVISOR_PROTECTION_KEYS = 1 << 24;
        const _ = !0;
    }

    /// EFER, as far as paging depends on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Efer: u64 {
        /// LME: long mode is asked for.
        const LONG_MODE_ENABLE = 1 << 8;
        /// LMA: long mode is active.
        const LONG_MODE_ACTIVE = 1 << 10;
        /// NXE: bit 63 of an 8-byte entry is XD rather than reserved.
        const NO_EXECUTE_ENABLE = 1 << 11;
        const _ = !0;
    }
}

/// How a CPU translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// CR0.PG = 0: linear addresses are physical.
    Unpaged,
    /// 32-bit paging: 4-byte entries, two levels.
    TwoLevel,
    /// PAE paging: 8-byte entries, a root of four entries that is 32-byte aligned.
    Pae,
    /// 4-level paging.
    FourLevel,
    /// 5-level paging.
    FiveLevel,
}

impl Mode {
    /// The name as commands take it: `unpaged`, `2level`, `pae`, `4level` or `5level`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unpaged => "unpaged",
            Self::TwoLevel => "2level",
            Self::Pae => "pae",
            Self::FourLevel => "4level",
            Self::FiveLevel => "5level",
        }
    }

    /// Whether it is one of long mode: 4-level or 5-level paging.
    pub const fn is_long(self) -> bool {
        matches!(self, Self::FourLevel | Self::FiveLevel)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no paging mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("a paging mode is one of 2level, pae, 4level, 5level and unpaged")]
pub struct ParseModeError;

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(name: &str) -> Result<Self, ParseModeError> {
        [Self::Unpaged, Self::TwoLevel, Self::Pae, Self::FourLevel, Self::FiveLevel]
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or(ParseModeError)
    }
}

/// The registers that select a paging mode and a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ControlRegisters {
    /// CR0.
    pub cr0: Cr0,
    /// CR3, with all its fields. Each format strips what is not address.
    pub cr3: u64,
    /// CR4.
    pub cr4: Cr4,
    /// EFER.
    pub efer: Efer,
}

impl ControlRegisters {
    /// The mode that these registers select.
    ///
    /// ```
    /// use pt_x86::{ControlRegisters, Cr0, Cr4, Efer, Mode};
    ///
    /// let linux = ControlRegisters {
    ///     cr0: Cr0::from_bits_retain(0x8005_0033),
    ///     cr3: 0x6168000,
    ///     cr4: Cr4::from_bits_retain(0x75_0ef0),
    ///     efer: Efer::from_bits_retain(0xd01),
    /// };
    /// assert_eq!(linux.mode(), Mode::FourLevel);
    /// ```
    pub const fn mode(&self) -> Mode {
        if !self.cr0.contains(Cr0::PAGING) {
            Mode::Unpaged
        } else if self.efer.contains(Efer::LONG_MODE_ACTIVE) {
            if self.cr4.contains(Cr4::LINEAR_ADDRESS_57) { Mode::FiveLevel } else { Mode::FourLevel }
        } else if self.cr4.contains(Cr4::PHYSICAL_ADDRESS_EXTENSION) {
            Mode::Pae
        } else {
            Mode::TwoLevel
        }
    }
    /// The same registers with the bits changed that select `mode`: for tables whose mode is known otherwise.
    ///
    /// ```
    /// use pt_x86::{ControlRegisters, Mode};
    ///
    /// assert_eq!(ControlRegisters::default().in_mode(Mode::FiveLevel).mode(), Mode::FiveLevel);
    /// ```
    pub fn in_mode(mut self, mode: Mode) -> Self {
        let long = mode.is_long();
        self.cr0.set(Cr0::PAGING, mode != Mode::Unpaged);
        self.cr4.set(Cr4::PHYSICAL_ADDRESS_EXTENSION, long || mode == Mode::Pae);
        self.cr4.set(Cr4::LINEAR_ADDRESS_57, mode == Mode::FiveLevel);
        self.efer.set(Efer::LONG_MODE_ACTIVE, long);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::format;

    #[test]
    fn every_mode_has_a_name_of_its_own() {
        for mode in [Mode::Unpaged, Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel] {
            assert_eq!(mode.name().parse(), Ok(mode));
            assert_eq!(format!("{mode}"), mode.name());
            assert_eq!(format!("{mode:>9}|"), format!("{:>9}|", mode.name()), "columns can be padded");
        }
        for name in ["", "4LEVEL", "4level "] {
            assert_eq!(name.parse::<Mode>(), Err(ParseModeError));
        }
    }
}
