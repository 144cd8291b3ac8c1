//! The CPU state in QEMU's note, and what it says about paging.
//!
//! ```text
//! 0    version, size (u32)            152  cs ds es fs gs ss ldt tr gdt idt, 24 bytes each:
//! 8    rax rbx rcx rdx rsi rdi              selector, limit, flags, padding (u32), base (u64)
//! 56   rsp rbp r8 .. r15              392  cr0 cr1 cr2 cr3 cr4
//! 136  rip rflags                     432  kernel_gs_base, if size >= 440
//! ```
//!
//! EFER is not in it, so long mode is inferred, and NXE is assumed: see [`Cpu::control_registers`].

use crate::error::Defect;
use crate::note::Note;
use pt_x86::{ControlRegisters, Cr0, Cr4, Efer, Mode};

const WITHOUT_KERNEL_GS: u32 = 432;
const WITH_KERNEL_GS: u32 = 440;
const FLAGS_LONG: u32 = 1 << 21;

/// The general registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each field is the register of that name")]
pub struct GeneralRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

/// A segment or descriptor-table register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SegmentRegister {
    /// The selector; 0 for descriptor tables.
    pub selector: u32,
    /// The limit in bytes, expanded by the granularity bit.
    pub limit: u32,
    /// The second word of the descriptor, without the bits of base and limit.
    pub flags: u32,
    /// The base address.
    pub base: u64,
}

impl SegmentRegister {
    /// Whether this code segment is a 64-bit one (L, flags bit 21).
    pub const fn is_long(&self) -> bool {
        self.flags & FLAGS_LONG != 0
    }
}

/// The segment and descriptor-table registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each field is the register of that name")]
pub struct SegmentRegisters {
    pub cs: SegmentRegister,
    pub ds: SegmentRegister,
    pub es: SegmentRegister,
    pub fs: SegmentRegister,
    pub gs: SegmentRegister,
    pub ss: SegmentRegister,
    pub ldt: SegmentRegister,
    pub tr: SegmentRegister,
    pub gdt: SegmentRegister,
    pub idt: SegmentRegister,
}

/// One CPU, as an image records it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cpu {
    /// The general registers.
    pub general: GeneralRegisters,
    /// The instruction pointer.
    pub rip: u64,
    /// The flags.
    pub rflags: u64,
    /// The segment and descriptor-table registers.
    pub segments: SegmentRegisters,
    /// CR0.
    pub cr0: u64,
    /// CR1, which no CPU has; QEMU's note keeps a place for it.
    pub cr1: u64,
    /// CR2: the address of the last page fault.
    pub cr2: u64,
    /// CR3, with all its fields.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// The MSR `KERNEL_GS_BASE`, which older versions of the note lack.
    pub kernel_gs_base: Option<u64>,
    /// EFER, where the image records it. QEMU's note does not.
    pub efer: Option<Efer>,
    /// Whether long mode is active: from EFER, else inferred.
    pub long_mode: bool,
    /// Which of the image's notes this was read from.
    pub note: Option<usize>,
}

/// What the rest of an ELF core says about a CPU's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// The first CPU: `e_machine` is `EM_X86_64` exactly if it is in long mode.
    FirstOf { x86_64: bool },
    /// Another CPU, about which `e_machine` says nothing.
    Another,
}

impl Cpu {
    /// Reads QEMU's note.
    pub(crate) fn from_qemu(note: &Note<'_>, index: usize, hint: Hint) -> Result<Self, Defect> {
        let bytes = note.bytes;
        let size =
            bytes.get(4..8).and_then(|size| size.first_chunk()).map_or(0, |&size| u32::from_le_bytes(size));
        let state = usize::try_from(size).ok().and_then(|size| bytes.get(..size));
        let Some(state) = state.filter(|_| size >= WITHOUT_KERNEL_GS) else {
            return Err(Defect::CpuNote { bytes: bytes.len() as u64, size });
        };
        let mut fields = Fields(&state[8..]);
        let mut cpu = Self {
            general: GeneralRegisters {
                rax: fields.u64(),
                rbx: fields.u64(),
                rcx: fields.u64(),
                rdx: fields.u64(),
                rsi: fields.u64(),
                rdi: fields.u64(),
                rsp: fields.u64(),
                rbp: fields.u64(),
                r8: fields.u64(),
                r9: fields.u64(),
                r10: fields.u64(),
                r11: fields.u64(),
                r12: fields.u64(),
                r13: fields.u64(),
                r14: fields.u64(),
                r15: fields.u64(),
            },
            rip: fields.u64(),
            rflags: fields.u64(),
            segments: SegmentRegisters {
                cs: fields.segment(),
                ds: fields.segment(),
                es: fields.segment(),
                fs: fields.segment(),
                gs: fields.segment(),
                ss: fields.segment(),
                ldt: fields.segment(),
                tr: fields.segment(),
                gdt: fields.segment(),
                idt: fields.segment(),
            },
            cr0: fields.u64(),
            cr1: fields.u64(),
            cr2: fields.u64(),
            cr3: fields.u64(),
            cr4: fields.u64(),
            kernel_gs_base: (size >= WITH_KERNEL_GS).then(|| fields.u64()),
            efer: None,
            long_mode: false,
            note: Some(index),
        };
        cpu.long_mode = cpu.infer_long_mode(hint);
        Ok(cpu)
    }

    /// EFER.LMA, from what the note does record (SDM Vol. 3A, "IA-32e Mode Operation" and "Paging Modes").
    fn infer_long_mode(&self, hint: Hint) -> bool {
        let (cr0, cr4) = (Cr0::from_bits_retain(self.cr0), Cr4::from_bits_retain(self.cr4));
        // Long mode cannot be active without both.
        if !cr0.contains(Cr0::PAGING) || !cr4.contains(Cr4::PHYSICAL_ADDRESS_EXTENSION) {
            return false;
        }
        match hint {
            Hint::FirstOf { x86_64 } => x86_64,
            // L is reserved outside long mode, and PCIDE can only be set inside. A CPU that runs 32-bit code under a
            // 64-bit kernel shows neither, but its descriptor tables lie where 32-bit paging cannot reach.
            Hint::Another => {
                let tables = [&self.segments.gdt, &self.segments.idt];
                self.segments.cs.is_long()
                    || cr4.contains(Cr4::PROCESS_CONTEXT_ID)
                    || tables.iter().any(|table| table.base > u64::from(u32::MAX))
            }
        }
    }

    /// The registers that paging depends on.
    ///
    /// Where the image does not record EFER ([`Cpu::efer`] is `None`), LME and LMA are as [`Cpu::long_mode`] says, and
    /// NXE, which nothing in the image tells, is assumed to be set in the modes that have 8-byte entries. Whoever
    /// knows better clears it: with NXE clear, bit 63 of an entry is reserved.
    pub fn control_registers(&self) -> ControlRegisters {
        let cr4 = Cr4::from_bits_retain(self.cr4);
        let efer = self.efer.unwrap_or_else(|| {
            let mut efer = Efer::empty();
            efer.set(Efer::LONG_MODE_ENABLE | Efer::LONG_MODE_ACTIVE, self.long_mode);
            efer.set(Efer::NO_EXECUTE_ENABLE, cr4.contains(Cr4::PHYSICAL_ADDRESS_EXTENSION));
            efer
        });
        ControlRegisters { cr0: Cr0::from_bits_retain(self.cr0), cr3: self.cr3, cr4, efer }
    }

    /// How this CPU translates addresses.
    pub fn mode(&self) -> Mode {
        self.control_registers().mode()
    }
}

/// The fields of the note, one after the other. The caller has checked that there are enough bytes; were there not,
/// zeros would follow.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((&field, rest)) => {
                self.0 = rest;
                field
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn segment(&mut self) -> SegmentRegister {
        let (selector, limit, flags) = (self.u32(), self.u32(), self.u32());
        let _padding = self.u32();
        SegmentRegister { selector, limit, flags, base: self.u64() }
    }
}
