//! A mode, known at run time, as a format, known at compile time.

use pt_vcpu::{Machine, Registers};
use pt_x86::{ControlRegisters, Cr4, Efer, Mode};
use serde::{Deserialize, Serialize};

pub(crate) use pt_vcpu::Paging;

/// What the entries of an image's tables mean: all that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    #[serde(with = "name")]
    pub(crate) mode: Mode,
    /// MAXPHYADDR.
    pub(crate) phys_bits: u8,
    /// EFER.NXE.
    pub(crate) nx: bool,
    /// CR4.PSE.
    pub(crate) pse: bool,
    /// Whether the reserved bits of PAE PDPTEs are checked.
    pub(crate) strict_pdpte: bool,
}

impl Reading {
    /// The format, with its features set.
    pub(crate) fn paging(self) -> Paging {
        let mut control = ControlRegisters::default();
        control.cr4.set(Cr4::PAGE_SIZE_EXTENSIONS, self.pse);
        control.efer.set(Efer::NO_EXECUTE_ENABLE, self.nx);
        let Self { phys_bits, strict_pdpte, .. } = self;
        let machine = Machine { phys_bits, strict_pdpte, ..Machine::default() };
        Paging::of_mode(self.mode, &Registers::from(control), &machine)
    }
}

/// A mode as the command line has it.
mod name {
    use pt_x86::Mode;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(mode: &Mode, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(mode)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Mode, D::Error> {
        let word = String::deserialize(from)?;
        crate::arguments::paged_mode(&word).map_err(de::Error::custom)
    }
}

/// Evaluates an expression with the format bound to a name, once per format; where there are no tables, returns an error.
macro_rules! with_format {
    ($paging:expr, |$format:ident| $body:expr) => {
        pt_vcpu::with_format!(
            $paging,
            |$format| $body,
            unpaged => anyhow::bail!("paging is off: there are no tables"),
        )
    };
}
pub(crate) use with_format;
