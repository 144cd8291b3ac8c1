//! A paging mode, known at run time, as a format, known at compile time.

use pt_amd64::{Features, FiveLevel, FourLevel};
use pt_core::Format;
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_x86::{Cr4, Efer, Mode};

use crate::{Machine, Registers};

/// How a vCPU translates: without tables, or by one of the formats, with its features set.
///
/// [`with_format!`](crate::with_format) is the way from here to code that is generic over the format.
/// ```
/// use pt_vcpu::{Machine, Mode, Paging, Registers};
///
/// let registers = Registers { cr0: 0x8001_0001, cr3: 0x1018, cr4: 0x20, ..Registers::default() };
/// let paging = Paging::new(&registers, &Machine::default());
/// assert_eq!(paging.mode(), Mode::Pae);
/// // CR3 without PWT and PCD.
/// assert_eq!(paging.root(registers.cr3), Some(0x1000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// CR0.PG = 0: linear addresses are physical.
    Unpaged,
    /// 32-bit paging.
    TwoLevel(TwoLevel),
    /// PAE paging.
    Pae(Pae),
    /// 4-level paging.
    FourLevel(FourLevel),
    /// 5-level paging.
    FiveLevel(FiveLevel),
}

/// Evaluates an expression with the format bound to a name: compiled once per format, dispatched once. The `unpaged` arm
/// is for [`Paging::Unpaged`], which has no tables.
///
/// ```
/// use pt_core::{Leaves, Options, Walk};
/// use pt_vcpu::{Paging, with_format};
///
/// /// How many events a walk of these roots gives.
/// fn events(paging: Paging, memory: &[u8], roots: &[u64]) -> usize {
///     with_format!(
///         paging,
///         |format| Walk::new(format, memory, roots, Options::default()).count(),
///         unpaged => 0,
///     )
/// }
/// # assert_eq!(events(Paging::FourLevel(Default::default()), &[0; 4096], &[0]), 1);
/// # assert_eq!(events(Paging::Unpaged, &[], &[0]), 0);
/// ```
#[macro_export]
macro_rules! with_format {
    ($paging:expr, |$format:ident| $body:expr, unpaged => $unpaged:expr $(,)?) => {
        match $paging {
            $crate::Paging::Unpaged => $unpaged,
            $crate::Paging::TwoLevel($format) => $body,
            $crate::Paging::Pae($format) => $body,
            $crate::Paging::FourLevel($format) => $body,
            $crate::Paging::FiveLevel($format) => $body,
        }
    };
}

impl Paging {
    /// What these registers select on that machine.
    pub const fn new(registers: &Registers, machine: &Machine) -> Self {
        Self::of_mode(registers.mode(), registers, machine)
    }

    /// As [`new`](Self::new), in a mode that is known otherwise. Of the registers only what the mode leaves open counts:
    /// CR4.PSE and EFER.NXE.
    pub const fn of_mode(mode: Mode, registers: &Registers, machine: &Machine) -> Self {
        let control = registers.control();
        let nx = control.efer.contains(Efer::NO_EXECUTE_ENABLE);
        let pse = control.cr4.contains(Cr4::PAGE_SIZE_EXTENSIONS);
        let &Machine { phys_bits, gib_pages, pse36, strict_pdpte, ignored, vendor } = machine;
        let long = Features { phys_bits, nx, gib_pages, ignored, vendor };
        match mode {
            Mode::Unpaged => Self::Unpaged,
            Mode::TwoLevel => {
                Self::TwoLevel(TwoLevel::new(TwoLevelFeatures { phys_bits, pse, pse36, ignored }))
            }
            Mode::Pae => Self::Pae(Pae::new(PaeFeatures { phys_bits, nx, strict_pdpte, ignored })),
            Mode::FourLevel => Self::FourLevel(FourLevel::new(long)),
            Mode::FiveLevel => Self::FiveLevel(FiveLevel::new(long)),
        }
    }

    /// The mode.
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Unpaged => Mode::Unpaged,
            Self::TwoLevel(_) => Mode::TwoLevel,
            Self::Pae(_) => Mode::Pae,
            Self::FourLevel(_) => Mode::FourLevel,
            Self::FiveLevel(_) => Mode::FiveLevel,
        }
    }

    /// The address of the root table that `cr3` holds, its other fields stripped; none without paging.
    pub fn root(&self, cr3: u64) -> Option<u64> {
        with_format!(self, |format| Some(format.root(cr3)), unpaged => None)
    }

    /// The linear address that `va` is: outside long mode its low 32 bits, in long mode all of it.
    pub const fn linear(&self, va: u64) -> u64 {
        match self {
            Self::Unpaged | Self::TwoLevel(_) | Self::Pae(_) => va & u32::MAX as u64,
            Self::FourLevel(_) | Self::FiveLevel(_) => va,
        }
    }
}
