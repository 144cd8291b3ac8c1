//! ELF64 cores like QEMU's: each range a `PT_LOAD` at its physical address, CPUs in notes.
//!
//! ```text
//! header, program headers (notes, ranges)     right after each other: some readers look there and nowhere else
//! section 0                                   if 65535 program headers or more have to be counted
//! notes
//! memory, from a multiple of 4096 on          what is held of each range
//! ```

use super::note::{QEMU_CR3, cpu_notes};
use super::{Memory, MemoryRange, Staged, WriteError, checked, written};
use crate::Image;
use object::elf;
use std::path::Path;

const HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;
const SECTION_HEADER: u16 = 64;
const RANGE_LIMIT: usize = 1 << 24;
const ALIGNMENT: u64 = 4096;

/// Writes ELF cores.
///
/// ```
/// use pt_core::Memory;
/// use pt_image::{CoreWriter, Image, MemoryRange, OpenOptions};
///
/// let memory = vec![7; 0x3000];
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("core");
/// let writer = CoreWriter::new().range(MemoryRange::held(0x1000, 0x2000)).note(b"VMCOREINFO", 0, b"PAGESIZE=4096\n");
/// writer.write(&path, &memory)?.commit()?;
///
/// let image = Image::open(&path, &OpenOptions::new())?;
/// assert_eq!(image.read_entry(0x1000, 4), Ok(0x0707_0707));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CoreWriter {
    machine: u16,
    notes: Vec<OwnedNote>,
    ranges: Vec<MemoryRange>,
}

#[derive(Clone, Debug)]
pub(super) struct OwnedNote {
    pub(super) name: Vec<u8>,
    pub(super) kind: u32,
    pub(super) bytes: Vec<u8>,
}

impl Default for CoreWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl CoreWriter {
    /// A core of a 64-bit machine, without ranges and notes.
    pub fn new() -> Self {
        Self { machine: elf::EM_X86_64.0, notes: Vec::new(), ranges: Vec::new() }
    }

    /// A core with the notes of `image` and the machine that its first CPU was, without ranges.
    ///
    /// Where the image records CPUs in another way than QEMU's notes, those are made, and `NT_PRSTATUS` for each CPU. They
    /// do not record EFER.
    pub fn like(image: &Image) -> Self {
        let first_long = image.cpus().first().is_none_or(|cpu| cpu.long_mode);
        let machine = if first_long { elf::EM_X86_64 } else { elf::EM_386 };
        let mut writer = Self { machine: image.machine().unwrap_or(machine.0), ..Self::new() };
        for note in image.notes() {
            writer = writer.note(note.name, note.kind, note.bytes);
        }
        if image.cpus().iter().all(|cpu| cpu.note.is_none()) {
            writer.notes.extend(cpu_notes(image.cpus()));
        }
        writer
    }

    /// `e_machine`: 62 if the first CPU is in long mode, 3 if it is not. Readers of QEMU's notes go by it.
    pub fn machine(mut self, machine: u16) -> Self {
        self.machine = machine;
        self
    }

    /// Adds a note after those that there are. A zero byte ends the name in the file.
    pub fn note(mut self, name: &[u8], kind: u32, bytes: &[u8]) -> Self {
        self.notes.push(OwnedNote { name: name.to_owned(), kind, bytes: bytes.to_owned() });
        self
    }

    /// Adds a range of memory. What it does not hold is said to exist.
    pub fn range(self, range: MemoryRange) -> Self {
        self.ranges([range])
    }

    /// Adds ranges of memory, in any order.
    pub fn ranges(mut self, ranges: impl IntoIterator<Item = MemoryRange>) -> Self {
        self.ranges.extend(ranges);
        self
    }

    /// Sets CR3 of a CPU, counted from 0 in the order of QEMU's notes, which is that of [`Image::cpus`].
    ///
    /// # Errors
    ///
    /// - [`WriteError::NoCpu`]: there are not so many notes of CPUs, or this one is too short to have CR3.
    pub fn set_cr3(&mut self, cpu: usize, cr3: u64) -> Result<(), WriteError> {
        let is_cpu = |note: &&mut OwnedNote| note.name == b"QEMU" && note.kind == 0;
        let cpus = self.notes.iter_mut().filter(is_cpu).count();
        let note = self.notes.iter_mut().filter(is_cpu).nth(cpu);
        let field = note.and_then(|note| note.bytes.get_mut(QEMU_CR3..QEMU_CR3 + 8));
        field.ok_or(WriteError::NoCpu { cpu, cpus })?.copy_from_slice(&cr3.to_le_bytes());
        Ok(())
    }

    /// Writes the file. It gets its name from [`Staged::commit`].
    ///
    /// # Errors
    ///
    /// - [`WriteError::Range`], [`WriteError::Overlap`], [`WriteError::Count`], [`WriteError::Note`]: what is to be
    ///   written cannot be;
    /// - [`WriteError::NotAFile`], [`WriteError::Create`]: the folder or the name is unusable;
    /// - [`WriteError::Memory`]: the memory does not have what is to be held;
    /// - [`WriteError::Write`]: the disk is full, for example.
    pub fn write<M: Memory + ?Sized>(
        &self,
        path: impl AsRef<Path>,
        memory: &M,
    ) -> Result<Staged, WriteError> {
        let ranges = checked(&self.ranges)?;
        if ranges.is_empty() || ranges.len() > RANGE_LIMIT {
            return Err(WriteError::Count(ranges.len()));
        }
        let head = self.head(&ranges)?;
        let memory_at = head.len() as u64;
        let end = memory_at + ranges.iter().map(|range| range.held).sum::<u64>();
        written(path.as_ref(), &head, in_order(&ranges, memory_at), end, memory)
    }

    /// All that comes before memory.
    fn head(&self, ranges: &[MemoryRange]) -> Result<Vec<u8>, WriteError> {
        let mut notes = Vec::new();
        for note in &self.notes {
            note.append_to(&mut notes)?;
        }
        // At most 2^24 ranges: none of these sums and casts can overflow.
        let count = ranges.len() as u32 + u32::from(!notes.is_empty());
        let in_section = count >= u32::from(elf::PN_XNUM);
        let sections = u64::from(HEADER) + u64::from(count) * u64::from(PROGRAM_HEADER);
        let notes_at = sections + if in_section { u64::from(SECTION_HEADER) } else { 0 };
        let memory_at = (notes_at + notes.len() as u64).next_multiple_of(ALIGNMENT);

        let mut head = self.header(count, in_section.then_some(sections));
        if !notes.is_empty() {
            let len = notes.len() as u64;
            program_header(&mut head, elf::PT_NOTE.0, notes_at, 0, [len, len]);
        }
        for (offset, range) in in_order(ranges, memory_at) {
            program_header(&mut head, elf::PT_LOAD.0, offset, range.start, [range.held, range.len]);
        }
        if in_section {
            // Nothing but sh_info: the number of program headers.
            let mut section = [0; SECTION_HEADER as usize];
            section[44..48].copy_from_slice(&count.to_le_bytes());
            head.extend(section);
        }
        head.extend(notes);
        head.resize(memory_at as usize, 0);
        Ok(head)
    }

    fn header(&self, count: u32, section: Option<u64>) -> Vec<u8> {
        let mut header = elf::ELFMAG.to_vec();
        header.extend([elf::ELFCLASS64.0, elf::ELFDATA2LSB.0, elf::EV_CURRENT.0]);
        header.resize(16, 0);
        header.extend(elf::ET_CORE.0.to_le_bytes());
        header.extend(self.machine.to_le_bytes());
        header.extend(u32::from(elf::EV_CURRENT.0).to_le_bytes());
        for word in [0, u64::from(HEADER), section.unwrap_or(0)] {
            header.extend(word.to_le_bytes());
        }
        header.extend(0_u32.to_le_bytes());
        let count = u16::try_from(count).unwrap_or(elf::PN_XNUM);
        let (section_size, sections) = if section.is_some() { (SECTION_HEADER, 1) } else { (0, 0) };
        for half in [HEADER, PROGRAM_HEADER, count, section_size, sections, 0] {
            header.extend(half.to_le_bytes());
        }
        header
    }
}

/// Where what is held of each range goes: one after the other, from `offset` on. They do not overlap, so that no sum overflows either.
fn in_order(ranges: &[MemoryRange], mut offset: u64) -> impl Iterator<Item = (u64, &MemoryRange)> {
    ranges.iter().map(move |range| {
        let at = offset;
        offset += range.held;
        (at, range)
    })
}

/// `lens` are those in the file and in memory. Virtual addresses are copies of the physical ones, as in QEMU's.
fn program_header(to: &mut Vec<u8>, kind: u32, offset: u64, address: u64, lens: [u64; 2]) {
    to.extend(kind.to_le_bytes());
    to.extend(0_u32.to_le_bytes());
    for word in [offset, address, address, lens[0], lens[1], 0] {
        to.extend(word.to_le_bytes());
    }
}
