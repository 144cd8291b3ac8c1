//! An ELF core as a machine can be given it: its memory, and the registers in QEMU's note.
//!
//! ```text
//! the note:  0    version, size
//!            8    rax rbx rcx rdx rsi rdi rsp rbp r8 .. r15 rip rflags, 8 bytes each
//!            152  cs ds es fs gs ss ldt tr gdt idt, 24 bytes each, of which a selector is the first 4
//!            392  cr0 cr1 cr2 cr3 cr4, 8 bytes each
//! ```

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::elf_core::{Segment, contents};

/// Registers that a debugger can set, by the names that gdb gives them: where the first of them is in the note, how far they
/// are apart, and their size.
const REGISTERS: [(&[&str], usize, usize, usize); 3] = [
    (
        &[
            "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15", "rip", "eflags",
        ],
        8,
        8,
        8,
    ),
    (&["cs", "ds", "es", "fs", "gs", "ss"], 152, 24, 4),
    (&["cr0", "", "cr2", "cr3", "cr4"], 392, 8, 8),
];
const CR2: usize = 408;

const PAGE: usize = 4096;

/// A core, read whole.
#[derive(Debug)]
pub(super) struct Core {
    /// Address and bytes of each segment.
    memory: Vec<(u64, Vec<u8>)>,
    /// QEMU's note about the first CPU.
    cpu: Vec<u8>,
}

impl Core {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let contents = contents(&file)?;
        let memory = contents.segments.into_iter().map(|Segment { address, offset, held, len }| {
            let mut bytes = vec![0; usize::try_from(len)?];
            file.read_exact_at(&mut bytes[..usize::try_from(held)?], offset)?;
            Ok((address, bytes))
        });
        let cpu =
            contents.notes.into_iter().find(|note| note.name == b"QEMU").context("no state of a CPU")?;
        Ok(Self { memory: memory.collect::<Result<_>>()?, cpu: cpu.bytes })
    }

    /// The parts of memory within `start..end`, by their distances from `start`.
    pub(super) fn parts(&self, start: u64, end: u64) -> impl Iterator<Item = (usize, &[u8])> {
        self.memory.iter().filter_map(move |(address, bytes)| {
            let (from, to) = (start.max(*address), end.min(address + bytes.len() as u64));
            let part = (from < to).then(|| &bytes[(from - address) as usize..(to - address) as usize]);
            Some(((from - start) as usize, part?))
        })
    }

    /// Registers by the names that gdb gives them.
    pub(super) fn registers(&self) -> Result<Vec<(&'static str, u64)>> {
        let places = REGISTERS.into_iter().flat_map(|(names, start, step, bytes)| {
            names.iter().zip((start..).step_by(step)).map(move |(&name, at)| (name, at..at + bytes))
        });
        let value = |(name, at): (&'static str, Range<usize>)| {
            let field = self.cpu.get(at).with_context(|| format!("the note has no {name}"))?;
            Ok((name, field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))))
        };
        places.filter(|(name, _)| !name.is_empty()).map(value).collect()
    }

    /// Where the root of the space is that the CPU is in.
    pub(super) fn cr3(&self) -> Result<u64> {
        let registers = self.registers()?;
        registers.into_iter().find_map(|(name, value)| (name == "cr3").then_some(value)).context("no cr3")
    }

    /// That another core has the same state of the CPU. Words of the guest have as many bytes.
    pub(super) fn has_cpu_of(&self, other: &Self, word: usize) -> Result<()> {
        // A debugger writes CR2 with its sign extended, where 32-bit code does not see it.
        let mut cpus = [self.cpu.clone(), other.cpu.clone()];
        for cpu in &mut cpus {
            cpu.get_mut(CR2 + word..CR2 + 8).context("a short note")?.fill(0);
        }
        let registers = || Ok::<_, anyhow::Error>((self.registers()?, other.registers()?));
        ensure!(cpus[0] == cpus[1], "the state of the CPU differs: {:x?}", registers()?);
        Ok(())
    }

    /// That the memory of another core within `start..end` is there too.
    pub(super) fn has_memory_of(&self, other: &Self, start: u64, end: u64) -> Result<()> {
        for (at, bytes) in other.parts(start, end) {
            for (at, page) in (start + at as u64..).step_by(PAGE).zip(bytes.chunks(PAGE)) {
                let here = self.parts(at, at + page.len() as u64).next();
                ensure!(here == Some((0, page)), "memory differs in the page at {at:#x}");
            }
        }
        Ok(())
    }
}
