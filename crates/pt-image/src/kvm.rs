//! The CPU state of KVM's `struct kvm_sregs` and `struct kvm_regs`, as bytes.
//!
//! ```text
//! sregs   0    cs ds es fs gs ss tr ldt, 24 bytes each: base u64, limit u32, selector u16,
//!              type present dpl db s l g avl unusable padding (a byte each)
//!         192  gdt idt, 16 bytes each: base u64, limit u16
//!         224  cr0 cr2 cr3 cr4 cr8 efer apic_base, then the interrupt bitmap, to 312
//! regs    0    rax rbx rcx rdx rsi rdi rsp rbp r8 .. r15 rip rflags
//! ```

use crate::Cpu;
use crate::cpu::{GeneralRegisters, SegmentRegister, SegmentRegisters};
use pt_x86::Efer;

/// The general registers, RIP and RFLAGS.
pub(crate) fn regs(bytes: &[u8]) -> Option<(GeneralRegisters, u64, u64)> {
    let (words, _) = bytes.first_chunk::<144>()?.as_chunks::<8>();
    let mut registers = [0; 18];
    for (register, word) in registers.iter_mut().zip(words) {
        *register = u64::from_le_bytes(*word);
    }
    Some(general(registers))
}

/// The same from numbers in KVM's order.
pub(crate) fn general(registers: [u64; 18]) -> (GeneralRegisters, u64, u64) {
    let [rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags] =
        registers;
    let general =
        GeneralRegisters { rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15 };
    (general, rip, rflags)
}

/// A CPU without its general registers.
pub(crate) fn sregs(bytes: &[u8]) -> Option<Cpu> {
    let bytes = bytes.first_chunk::<312>()?;
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |&word| u64::from_le_bytes(word));
    let segment = |index: usize| {
        let at = index * 24;
        let byte = |offset: usize| u32::from(bytes[at + offset]);
        let middle = word(at + 8);
        SegmentRegister {
            base: word(at),
            limit: middle as u32,
            selector: (middle >> 32) as u32 & 0xffff,
            flags: (byte(14) & 0xf) << 8
                | (byte(18) & 1) << 12
                | (byte(16) & 3) << 13
                | (byte(15) & 1) << 15
                | (byte(21) & 1) << 20
                | (byte(19) & 1) << 21
                | (byte(17) & 1) << 22
                | (byte(20) & 1) << 23,
        }
    };
    let table = |at: usize| SegmentRegister {
        base: word(at),
        limit: word(at + 8) as u32 & 0xffff,
        ..SegmentRegister::default()
    };
    let segments = SegmentRegisters {
        cs: segment(0),
        ds: segment(1),
        es: segment(2),
        fs: segment(3),
        gs: segment(4),
        ss: segment(5),
        tr: segment(6),
        ldt: segment(7),
        gdt: table(192),
        idt: table(208),
    };
    Some(cpu(segments, [224, 232, 240, 248, 264].map(word)))
}

/// A CPU of which CR0, CR2, CR3, CR4 and EFER are known, in this order.
pub(crate) fn cpu(segments: SegmentRegisters, [cr0, cr2, cr3, cr4, efer]: [u64; 5]) -> Cpu {
    let efer = Efer::from_bits_retain(efer);
    let long_mode = efer.contains(Efer::LONG_MODE_ACTIVE);
    Cpu { segments, cr0, cr2, cr3, cr4, efer: Some(efer), long_mode, ..Cpu::default() }
}
