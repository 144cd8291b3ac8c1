//! What decides how a vCPU translates: its registers, and facts of the machine that no register holds.

use pt_x86::{ControlRegisters, Cr0, Cr4, Efer, MAX_PHYS_BITS, Mode, Vendor};

/// The registers of a vCPU that address translation depends on, as plain values: what `KVM_GET_SREGS` and its like in
/// other hypervisors return.
///
/// Every value is taken as it is: a CR3 with a PCID, reserved bits, EFER.LME without LMA. All zeros, the default, is a
/// CPU without paging. Literals end in `..Registers::default()`, so that registers can be added.
///
/// ```
/// use pt_vcpu::Registers;
/// use pt_x86::Mode;
///
/// let linux = Registers { cr0: 0x8005_0033, cr3: 0x616_8000, cr4: 0x75_0ef0, efer: 0xd01, ..Registers::default() };
/// assert_eq!(linux.mode(), Mode::FourLevel);
/// assert_eq!(Registers::default().mode(), Mode::Unpaged);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Registers {
    /// CR0.
    pub cr0: u64,
    /// CR3, with all its fields.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// The MSR EFER.
    pub efer: u64,
    /// RFLAGS. Translation does not depend on it; judging an access does (AC).
    pub rflags: u64,
    /// The current privilege level: the DPL of SS. Translation does not depend on it; judging an access does.
    pub cpl: u8,
    /// PKRU: the rights of protection keys for user pages. Judging an access depends on it where CR4.PKE is set.
    pub pkru: u32,
    /// The MSR `IA32_PKRS`: the same for supervisor pages, where CR4.PKS is set.
    pub pkrs: u32,
}

impl Registers {
    /// The control registers, with their bits named.
    pub const fn control(&self) -> ControlRegisters {
        ControlRegisters {
            cr0: Cr0::from_bits_retain(self.cr0),
            cr3: self.cr3,
            cr4: Cr4::from_bits_retain(self.cr4),
            efer: Efer::from_bits_retain(self.efer),
        }
    }

    /// The paging mode that these registers select.
    pub const fn mode(&self) -> Mode {
        self.control().mode()
    }
}

/// The control registers, with interrupts and privilege as after a reset.
impl From<ControlRegisters> for Registers {
    fn from(control: ControlRegisters) -> Self {
        let ControlRegisters { cr0, cr3, cr4, efer } = control;
        Self { cr0: cr0.bits(), cr3, cr4: cr4.bits(), efer: efer.bits(), ..Self::default() }
    }
}

/// What CPUID says to the guest, not its registers. Literals end in `..Machine::default()`.
/// ```
/// use pt_vcpu::{Machine, Registers, TranslateError, Vcpu};
///
/// // A PML4 at 0x1000 and a PDPT at 0x2000. Its page has bit 51 set: in this guest, the C-bit of SEV.
/// let mut memory = vec![0; 0x3000];
/// memory[0x1000..0x1008].copy_from_slice(&0x2003_u64.to_le_bytes());
/// memory[0x2000..0x2008].copy_from_slice(&(1 << 51 | 0x4000_0083_u64).to_le_bytes());
/// let registers = Registers { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x20, efer: 0xd00, ..Registers::default() };
///
/// let sev = Machine { phys_bits: 40, ignored: 1 << 51, ..Machine::default() };
/// assert_eq!(Vcpu::new(registers, &sev).translate(&memory, 0x123)?.pa, 0x4000_0123);
/// // Where that is no C-bit, it is reserved above MAXPHYADDR.
/// let other = Machine { phys_bits: 40, ..Machine::default() };
/// let error = Vcpu::new(registers, &other).translate(&memory, 0x123).unwrap_err();
/// assert!(matches!(error, TranslateError::Fault(_)));
/// # Ok::<(), TranslateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// MAXPHYADDR (CPUID 80000008H, EAX bits 7:0), at most 52. Address bits above it are reserved.
    pub phys_bits: u8,
    /// Whether there are pages of 1 GiB (CPUID 80000001H, EDX bit 26); otherwise PS of a PDPTE is reserved.
    pub gib_pages: bool,
    /// Whether pages of 4 MiB can lie above 4 GiB (CPUID 1, EDX bit 17).
    pub pse36: bool,
    /// Whether the reserved bits of PAE PDPTEs are checked. Hardware does; a guest that ran under QEMU's TCG has some set.
    pub strict_pdpte: bool,
    /// Address bits that are not address: an SEV C-bit, a TDX shared bit. They are taken out of every physical address.
    pub ignored: u64,
    /// Whose manual decides where the two differ.
    pub vendor: Vendor,
}

/// The widest machine: MAXPHYADDR 52, 1 GiB pages, PSE-36, PDPTEs as hardware checks them.
impl Default for Machine {
    fn default() -> Self {
        Self {
            phys_bits: MAX_PHYS_BITS,
            gib_pages: true,
            pse36: true,
            strict_pdpte: true,
            ignored: 0,
            vendor: Vendor::default(),
        }
    }
}
