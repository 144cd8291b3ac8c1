//! ELF cores of guest memory, as QEMU's `dump-guest-memory` and Cloud Hypervisor write them.
//!
//! Each `PT_LOAD` is memory at physical `p_paddr`: `p_filesz` bytes are in the file, the rest up to `p_memsz` exists in
//! the guest only. `PT_NOTE` holds the CPUs. Whether the file is ELF32 or ELF64 says nothing about the guest's paging.
//!
//! Values are copied out of the file once, checked, and only the copies are used.

use crate::cpu::Hint;
use crate::error::{Checked, Defect};
use crate::image::Contents;
use crate::layout::{Layout, PHYSICAL_END, Piece};
use crate::note::Notes;
use crate::source::Source;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, ReadRef, elf};
use std::mem::size_of;

pub(crate) const MAGIC: [u8; 4] = elf::ELFMAG;

/// The segments that are accepted. QEMU writes one per block of memory, writers of sparse dumps one per run of pages.
const SEGMENT_LIMIT: u64 = 1 << 24;

const IDENT_CLASS: u64 = 4;
const IDENT_DATA: u64 = 5;
const IDENT_VERSION: u64 = 6;
const TYPE: u64 = 16;
const MACHINE: u64 = 18;

type Endian = LittleEndian;
const ENDIAN: Endian = LittleEndian;

/// Reads a core. An error comes with the offset of what is wrong.
pub(crate) fn parse(source: &Source) -> Checked<Contents> {
    let file = source.bytes();
    if !file.starts_with(&MAGIC) {
        return Err((0, Defect::NotElf));
    }
    let ident = |offset: u64| match file.get(offset as usize) {
        Some(&byte) => Ok(byte),
        None => Err(truncated(file, offset, "identification", 0, 16)),
    };
    let (class, encoding, version) = (ident(IDENT_CLASS)?, ident(IDENT_DATA)?, ident(IDENT_VERSION)?);
    if encoding != elf::ELFDATA2LSB.0 {
        return Err((IDENT_DATA, Defect::Encoding(encoding)));
    }
    if version != elf::EV_CURRENT.0 {
        return Err((IDENT_VERSION, Defect::Version(version)));
    }
    match elf::FileClass(class) {
        elf::ELFCLASS32 => parse_class::<FileHeader32<Endian>>(source),
        elf::ELFCLASS64 => parse_class::<FileHeader64<Endian>>(source),
        _ => Err((IDENT_CLASS, Defect::Class(class))),
    }
}

fn parse_class<H: FileHeader<Endian = Endian>>(source: &Source) -> Checked<Contents> {
    let file = source.bytes();
    let header: &H = read(file, "header", 0, 0)?;
    let kind = header.e_type(ENDIAN);
    if kind != elf::ET_CORE {
        return Err((TYPE, Defect::NotACore(kind.0)));
    }
    let machine = header.e_machine(ENDIAN);
    if machine != elf::EM_386 && machine != elf::EM_X86_64 {
        return Err((MACHINE, Defect::Machine(machine.0)));
    }

    let mut pieces = Vec::new();
    let mut notes = Notes::default();
    let (table, segments) = program_headers(file, header)?;
    for (index, segment) in segments.iter().enumerate() {
        let described_at = table + (index * size_of::<H::ProgramHeader>()) as u64;
        match segment.p_type(ENDIAN) {
            elf::PT_LOAD => pieces.extend(
                piece::<H::ProgramHeader>(segment, described_at).map_err(|defect| (described_at, defect))?,
            ),
            elf::PT_NOTE => {
                let (start, len) = (segment.p_offset(ENDIAN).into(), segment.p_filesz(ENDIAN).into());
                let range = range(file, start, len)
                    .ok_or_else(|| truncated(file, described_at, "notes", start, len))?;
                notes.add(file, range, described_at)?;
            }
            _ => {}
        }
    }
    if pieces.is_empty() {
        return Err((table, Defect::NoMemory));
    }
    let memory = Layout::new(pieces, std::slice::from_ref(source))?.into();
    let (cpus, prstatus_count) = notes.cpus(file, Hint::FirstOf { x86_64: machine == elf::EM_X86_64 })?;
    Ok(Contents { memory, notes, cpus, prstatus_count, machine: Some(machine.0) })
}

/// The table of program headers, and the file offset where it starts.
fn program_headers<'a, H: FileHeader<Endian = Endian>>(
    file: &'a [u8],
    header: &H,
) -> Checked<(u64, &'a [H::ProgramHeader])> {
    // The fields between e_entry and e_shstrndx, whose offsets depend on the class.
    let (entry_size_at, count_at) = if header.is_type_64() { (54, 56) } else { (42, 44) };
    let (section_offset_at, section_size_at) = if header.is_type_64() { (40, 58) } else { (32, 46) };

    let table: u64 = header.e_phoff(ENDIAN).into();
    let (mut count, mut counted_at) = (u64::from(header.e_phnum(ENDIAN)), count_at);
    if count == u64::from(elf::PN_XNUM) {
        // More segments than the field can count: section 0 has the number.
        let sections: u64 = header.e_shoff(ENDIAN).into();
        if sections == 0 {
            return Err((section_offset_at, Defect::NoSectionZero));
        }
        entry_size::<H::SectionHeader>("section headers", header.e_shentsize(ENDIAN))
            .map_err(|defect| (section_size_at, defect))?;
        let section: &H::SectionHeader = read(file, "section header", sections, section_offset_at)?;
        (count, counted_at) = (section.sh_info(ENDIAN).into(), sections);
    }
    if count == 0 {
        return Err((counted_at, Defect::NoMemory));
    }
    if count > SEGMENT_LIMIT {
        return Err((counted_at, Defect::TooMany { what: "segments", count, limit: SEGMENT_LIMIT }));
    }
    entry_size::<H::ProgramHeader>("program headers", header.e_phentsize(ENDIAN))
        .map_err(|defect| (entry_size_at, defect))?;
    let len = count * size_of::<H::ProgramHeader>() as u64;
    let headers = file
        .read_slice_at(table, count as usize)
        .map_err(|()| truncated(file, counted_at, "table of program headers", table, len))?;
    Ok((table, headers))
}

/// What a `PT_LOAD` describes; nothing if that is empty.
fn piece<P: ProgramHeader<Endian = Endian>>(segment: &P, described_at: u64) -> Result<Option<Piece>, Defect> {
    let (physical, virtual_): (u64, u64) = (segment.p_paddr(ENDIAN).into(), segment.p_vaddr(ENDIAN).into());
    let (held, len): (u64, u64) = (segment.p_filesz(ENDIAN).into(), segment.p_memsz(ENDIAN).into());
    // Dumps by physical address have 0 or a copy of p_paddr here. Those by virtual address have what the guest's tables
    // map, with the high bits of entries in p_paddr, pages that are mapped twice, and none that are not mapped.
    if (virtual_ != 0 && virtual_ != physical) || physical >= PHYSICAL_END {
        return Err(Defect::VirtualAddresses { physical, virtual_ });
    }
    // Filtered segments have an offset of -1 in the class's width; without bytes it does not matter.
    let offset = if held == 0 { 0 } else { segment.p_offset(ENDIAN).into() };
    let piece = Piece { start: physical, len, held, file: 0, offset, described_at };
    Ok((len > 0 || held > 0).then_some(piece))
}

/// The structure at `offset`; `described_at` is where the file says that it is there.
fn read<'a, T: object::Pod>(
    file: &'a [u8],
    what: &'static str,
    offset: u64,
    described_at: u64,
) -> Checked<&'a T> {
    file.read_at(offset).map_err(|()| truncated(file, described_at, what, offset, size_of::<T>() as u64))
}

fn range(file: &[u8], start: u64, len: u64) -> Option<std::ops::Range<usize>> {
    let end = start.checked_add(len).filter(|&end| end <= file.len() as u64)?;
    Some(start as usize..end as usize)
}

fn entry_size<T>(what: &'static str, found: u16) -> Result<(), Defect> {
    let expected = size_of::<T>() as u16;
    if found == expected { Ok(()) } else { Err(Defect::EntrySize { what, found, expected }) }
}

fn truncated(file: &[u8], described_at: u64, what: &'static str, start: u64, len: u64) -> (u64, Defect) {
    (described_at, Defect::Truncated { what, start, len, file: file.len() as u64 })
}
