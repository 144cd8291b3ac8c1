//! Notes, and those of CPUs that come from elsewhere than QEMU.

use super::WriteError;
use super::core::OwnedNote;
use crate::{Cpu, SegmentRegister};

/// Where CR3 is in QEMU's note.
pub(super) const QEMU_CR3: usize = 416;
const NT_PRSTATUS: u32 = 1;

impl OwnedNote {
    /// Appends the note, each part padded to four bytes.
    pub(super) fn append_to(&self, notes: &mut Vec<u8>) -> Result<(), WriteError> {
        let fits = |len: usize| u32::try_from(len).map_err(|_| WriteError::Note(len));
        let (name_len, bytes_len) = (fits(self.name.len() + 1)?, fits(self.bytes.len())?);
        for word in [name_len, bytes_len, self.kind] {
            notes.extend(word.to_le_bytes());
        }
        for part in [&[&self.name[..], &[0]].concat(), &self.bytes] {
            notes.extend(part);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        Ok(())
    }
}

/// The notes that QEMU writes of CPUs, in its order: `NT_PRSTATUS` of all, then its own.
pub(super) fn cpu_notes(cpus: &[Cpu]) -> impl Iterator<Item = OwnedNote> {
    let prstatus = |(index, cpu)| OwnedNote {
        name: b"CORE".to_vec(),
        kind: NT_PRSTATUS,
        bytes: prstatus(index as u32 + 1, cpu),
    };
    let qemu = |cpu| OwnedNote { name: b"QEMU".to_vec(), kind: 0, bytes: qemu(cpu) };
    cpus.iter().enumerate().map(prstatus).chain(cpus.iter().map(qemu))
}

/// `struct elf_prstatus` of x86-64, or of i386 for a CPU that is not in long mode.
fn prstatus(pid: u32, cpu: &Cpu) -> Vec<u8> {
    let (general, segments) = (&cpu.general, &cpu.segments);
    let mut bytes = vec![0; if cpu.long_mode { 112 } else { 72 }];
    let pid_at = if cpu.long_mode { 32 } else { 24 };
    bytes[pid_at..pid_at + 4].copy_from_slice(&pid.to_le_bytes());
    let selector = |segment: &SegmentRegister| u64::from(segment.selector);
    if cpu.long_mode {
        let registers = [
            [general.r15, general.r14, general.r13, general.r12, general.rbp, general.rbx, general.r11],
            [general.r10, general.r9, general.r8, general.rax, general.rcx, general.rdx, general.rsi],
            [
                general.rdi,
                0,
                cpu.rip,
                selector(&segments.cs),
                cpu.rflags,
                general.rsp,
                selector(&segments.ss),
            ],
        ];
        bytes.extend(registers.as_flattened().iter().flat_map(|register| register.to_le_bytes()));
        let data = [&segments.ds, &segments.es, &segments.fs, &segments.gs].map(selector);
        let bases = [segments.fs.base, segments.gs.base];
        bytes.extend(bases.iter().chain(&data).flat_map(|register| register.to_le_bytes()));
    } else {
        let data = [&segments.ds, &segments.es, &segments.fs, &segments.gs].map(selector);
        let before =
            [general.rbx, general.rcx, general.rdx, general.rsi, general.rdi, general.rbp, general.rax];
        let after = [0, cpu.rip, selector(&segments.cs), cpu.rflags, general.rsp, selector(&segments.ss)];
        let registers = before.iter().chain(&data).chain(&after);
        bytes.extend(registers.flat_map(|&register| (register as u32).to_le_bytes()));
    }
    // Whether there are floating-point registers, and padding.
    bytes.resize(bytes.len() + if cpu.long_mode { 8 } else { 4 }, 0);
    bytes
}

/// The layout that [`Cpu`] is read from.
fn qemu(cpu: &Cpu) -> Vec<u8> {
    let (general, segments) = (&cpu.general, &cpu.segments);
    let size: u32 = if cpu.kernel_gs_base.is_some() { 440 } else { 432 };
    let mut bytes = [1_u32.to_le_bytes(), size.to_le_bytes()].concat();
    let mut words = |words: &[u64]| bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    words(&[
        general.rax,
        general.rbx,
        general.rcx,
        general.rdx,
        general.rsi,
        general.rdi,
        general.rsp,
        general.rbp,
    ]);
    words(&[
        general.r8,
        general.r9,
        general.r10,
        general.r11,
        general.r12,
        general.r13,
        general.r14,
        general.r15,
    ]);
    words(&[cpu.rip, cpu.rflags]);
    let code_and_data = [&segments.cs, &segments.ds, &segments.es, &segments.fs, &segments.gs, &segments.ss];
    let system = [&segments.ldt, &segments.tr, &segments.gdt, &segments.idt];
    for segment in code_and_data.into_iter().chain(system) {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        words(&[pair(segment.selector, segment.limit), pair(segment.flags, 0), segment.base]);
    }
    words(&[cpu.cr0, cpu.cr1, cpu.cr2, cpu.cr3, cpu.cr4]);
    words(cpu.kernel_gs_base.as_slice());
    bytes
}
