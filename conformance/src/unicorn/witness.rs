//! Unicorn, as an MMU that can be asked.
//!
//! It is one 32-bit machine for all modes: what a mode needs is in its registers, long mode included. Its privilege is what
//! a stack segment that was loaded in virtual-8086 mode leaves behind.

use anyhow::{Context, Result, anyhow, bail};
use pt_vcpu::{AccessKind, Registers};
use unicorn_engine::{Arch, Mode, Prot, RegisterX86 as Register, TlbType, Unicorn, uc_error};

/// The bytes of physical memory, from 0 on.
pub(crate) const MEMORY: u64 = 0x1_0000;
/// Where WRPKRU stands: the last page, which holds no tables.
const CODE: u64 = MEMORY - 0x1000;
const WRPKRU: [u8; 3] = [0x0f, 0x01, 0xef];
/// Intel's Icelake server: LA57 and PKU.
const MODEL: i32 = 26;

const PROTECTED: u64 = 1;
const VIRTUAL_8086: u64 = 1 << 17;
const PKE: u64 = 1 << 22;
const EFER: u32 = 0xc000_0080;
const EFER_WRITABLE: u64 = 1 << 8 | 1 << 11;
/// What CR2 holds before a query. A 32-bit machine shows 32 bits of it, and no address that is asked for has these.
pub(crate) const UNTOUCHED: u32 = 0xdead_0bad;

/// What became of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It got to this physical address.
    Page(u64),
    /// #PF: it did not, and CR2 is the address.
    PageFault,
    /// It did not, and CR2 is what it was.
    Other,
}

/// The machine.
pub(crate) struct Witness {
    unicorn: Unicorn<'static, ()>,
    pkru: u32,
}

fn said(error: uc_error) -> anyhow::Error {
    anyhow!("Unicorn says {error:?}")
}

impl Witness {
    pub(crate) fn new() -> Result<Self> {
        let mut unicorn = Unicorn::new(Arch::X86, Mode::MODE_32).map_err(said)?;
        unicorn.ctl_set_cpu_model(MODEL).map_err(said)?;
        unicorn.ctl_set_tlb_type(TlbType::CPU).map_err(said)?;
        unicorn.mem_map(0, MEMORY, Prot::ALL).map_err(said)?;
        Ok(Self { unicorn, pkru: 0 })
    }

    fn set(&mut self, register: Register, value: u64) -> Result<()> {
        self.unicorn.reg_write(register, value).map_err(said).with_context(|| format!("{register:?}"))
    }

    /// Takes over these registers. What tables hold is looked at only by queries.
    pub(crate) fn enter(&mut self, registers: &Registers) -> Result<()> {
        // Without paging first: only there long mode begins and ends.
        self.set(Register::CR0, PROTECTED)?;
        self.set(Register::CR4, registers.cr4)?;
        let mut efer = [0; 16];
        efer[..4].copy_from_slice(&EFER.to_le_bytes());
        efer[8..].copy_from_slice(&(registers.efer & EFER_WRITABLE).to_le_bytes());
        self.unicorn.reg_write_long(Register::MSR, &efer).map_err(said)?;
        if registers.cr4 & PKE != 0 && self.pkru != registers.pkru {
            self.write_pkru(registers.pkru)?;
        }
        self.enter_ring(registers.cpl)?;
        self.set(Register::EFLAGS, registers.rflags)?;
        self.set(Register::CR3, registers.cr3)?;
        self.set(Register::CR0, registers.cr0)
    }

    /// By the instruction: nothing else reaches the register.
    fn write_pkru(&mut self, pkru: u32) -> Result<()> {
        self.enter_ring(0)?;
        self.set(Register::EAX, pkru.into())?;
        self.set(Register::ECX, 0)?;
        self.set(Register::EDX, 0)?;
        let mut before = [0; WRPKRU.len()];
        self.unicorn.mem_read(CODE, &mut before).map_err(said)?;
        self.unicorn.mem_write(CODE, &WRPKRU).map_err(said)?;
        self.unicorn.emu_start(CODE, CODE + WRPKRU.len() as u64, 0, 1).map_err(said).context("WRPKRU")?;
        self.unicorn.mem_write(CODE, &before).map_err(said)?;
        self.pkru = pkru;
        Ok(())
    }

    /// Outside of paging. A segment is loaded without a descriptor in virtual-8086 mode, where it is ring 3's, and in real
    /// mode, where it is ring 0's.
    fn enter_ring(&mut self, cpl: u8) -> Result<()> {
        if cpl == 3 {
            self.set(Register::EFLAGS, VIRTUAL_8086)?;
            self.set(Register::SS, 0)?;
            self.set(Register::EFLAGS, 0)
        } else {
            self.set(Register::CR0, 0)?;
            self.set(Register::SS, 0)?;
            self.set(Register::CR0, PROTECTED)
        }
    }

    pub(crate) fn store(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.unicorn
            .mem_write(address, bytes)
            .map_err(said)
            .with_context(|| format!("storing at {address:#x}"))
    }

    pub(crate) fn load(&self, address: u64, width: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        self.unicorn
            .mem_read(address, &mut bytes[..width])
            .map_err(said)
            .with_context(|| format!("loading from {address:#x}"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// One access, with nothing remembered of earlier ones.
    pub(crate) fn ask(&mut self, va: u64, kind: AccessKind) -> Result<Answer> {
        let protection = match kind {
            AccessKind::Read => Prot::READ,
            AccessKind::Write => Prot::WRITE,
            AccessKind::Fetch => Prot::EXEC,
        };
        self.unicorn.ctl_flush_tlb().map_err(said)?;
        self.set(Register::CR2, UNTOUCHED.into())?;
        if let Ok(pa) = self.unicorn.vmem_translate(va, protection) {
            return Ok(Answer::Page(pa));
        }
        match self.unicorn.reg_read(Register::CR2).map_err(said)? as u32 {
            UNTOUCHED => Ok(Answer::Other),
            cr2 if cr2 == va as u32 => Ok(Answer::PageFault),
            cr2 => bail!("CR2 is {cr2:#x} after an access to {va:#x}"),
        }
    }
}
