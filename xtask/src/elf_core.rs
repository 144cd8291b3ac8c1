//! An ELF core: its segments, its notes, and its memory laid out flat.
//!
//! QEMU is given what the file says without the help of the crate that is being checked: this is a reader of its own.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::elf::{FileHeader32, FileHeader64, PT_LOAD};
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadRef};
use tempfile::NamedTempFile;

use crate::qemu::GRANULE;

/// Memory is read and written in pieces of this size; those that are zero become holes.
const PIECE: usize = 1 << 16;

/// Which bytes of the file are which physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    /// Bytes that the file holds.
    pub(crate) held: u64,
    /// Bytes in memory; those after the held ones are zero.
    pub(crate) len: u64,
}

/// What a core consists of, in the order of its program headers.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) segments: Vec<Segment>,
    pub(crate) notes: Vec<Note>,
}

/// Whose note it is, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) name: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
}

/// What a core consists of.
pub(crate) fn contents(core: &File) -> Result<Contents> {
    let data = &ReadCache::new(core.try_clone()?);
    match FileKind::parse(data).context("not an ELF core")? {
        FileKind::Elf32 => of_header::<FileHeader32<Endianness>, _>(data),
        FileKind::Elf64 => of_header::<FileHeader64<Endianness>, _>(data),
        other => bail!("not an ELF core but {other:?}"),
    }
}

fn of_header<'a, E: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(data: R) -> Result<Contents> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let mut contents = Contents::default();
    for program in header.program_headers(endian, data)? {
        if program.p_type(endian) == PT_LOAD {
            let segment = Segment {
                address: program.p_paddr(endian).into(),
                offset: program.p_offset(endian).into(),
                held: program.p_filesz(endian).into(),
                len: program.p_memsz(endian).into(),
            };
            let ends = [segment.address.checked_add(segment.len), segment.offset.checked_add(segment.held)];
            ensure!(
                ends.iter().all(Option::is_some) && segment.held <= segment.len,
                "a segment without sense: {segment:x?}"
            );
            contents.segments.push(segment);
        }
        let mut notes = program.notes(endian, data)?;
        while let Some(note) = notes.as_mut().and_then(|notes| notes.next().transpose()).transpose()? {
            contents.notes.push(Note { name: note.name().to_vec(), bytes: note.desc().to_vec() });
        }
    }
    Ok(contents)
}

/// Where in the file a range is that one segment holds.
pub(crate) fn offset_of(segments: &[Segment], address: u64, bytes: u64) -> Option<u64> {
    let inside = |segment: &Segment| {
        let into = address.checked_sub(segment.address)?;
        (into.checked_add(bytes)? <= segment.held).then_some(segment.offset + into)
    };
    segments.iter().find_map(inside)
}

/// The memory of a core as a temporary file whose offsets are physical addresses, of a size that QEMU takes.
pub(crate) fn flat(core: &Path) -> Result<NamedTempFile> {
    let raw = NamedTempFile::new()?;
    let flattened =
        File::open(core).map_err(Into::into).and_then(|core| flatten(&core, raw.as_file(), GRANULE));
    flattened.with_context(|| core.display().to_string())?;
    Ok(raw)
}

/// Writes the memory of a core to a file whose offsets are physical addresses, with holes where nothing or zero is, and
/// as long as a multiple of `granule`.
pub(crate) fn flatten(core: &File, raw: &File, granule: u64) -> Result<()> {
    let mut end = 0;
    let mut piece = vec![0; PIECE];
    for Segment { address, offset, held, len } in contents(core)?.segments {
        let mut done = 0;
        while done < held {
            let part = PIECE.min(usize::try_from(held - done).unwrap_or(PIECE));
            let part = &mut piece[..part];
            core.read_exact_at(part, offset + done).context("a segment goes on after the file's end")?;
            if part.iter().any(|&byte| byte != 0) {
                raw.write_all_at(part, address + done)?;
            }
            done += part.len() as u64;
        }
        end = end.max(address + len);
    }
    let whole = end.checked_next_multiple_of(granule).context("memory goes on after the last address")?;
    Ok(raw.set_len(whole)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core of one page of ones at 0x3000, with as much zero memory after it.
    fn core(wide: bool) -> File {
        let field = |value: u64, wide: bool| value.to_le_bytes()[..if wide { 8 } else { 4 }].to_vec();
        let (header, program, at) = if wide { (64_u16, 56_u16, 0x200) } else { (52, 32, 0x200) };
        let mut bytes = b"\x7fELF\0\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x03\0\x01\0\0\0".to_vec();
        bytes[4] = if wide { 2 } else { 1 };
        bytes.extend([field(0, wide), field(header.into(), wide), field(0, wide), field(0, false)].concat());
        bytes.extend([header, program, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
        // Flags come second in wide program headers and last but one in narrow ones.
        let [offset, virt, phys, held, len, align] =
            [at, 0, 0x3000, 0x1000, 0x2000, 0].map(|value| field(value, wide));
        let (kind, flags) = (field(PT_LOAD.0.into(), false), field(0, false));
        bytes.extend(if wide {
            [kind, flags, offset, virt, phys, held, len, align].concat()
        } else {
            [kind, offset, virt, phys, held, len, flags, align].concat()
        });
        bytes.resize(at as usize, 0);
        bytes.resize(at as usize + 0x1000, 1);
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&bytes, 0).expect("written");
        file
    }

    #[test]
    fn memory_is_where_the_core_says() {
        for wide in [false, true] {
            let core = core(wide);
            let segment = Segment { address: 0x3000, offset: 0x200, held: 0x1000, len: 0x2000 };
            assert_eq!(contents(&core).expect("a core").segments, [segment]);
            let raw = tempfile::tempfile().expect("a file");
            flatten(&core, &raw, 0x4000).expect("memory");
            assert_eq!(raw.metadata().expect("a length").len(), 0x8000);
            let mut bytes = vec![7; 0x8000];
            raw.read_exact_at(&mut bytes, 0).expect("bytes");
            assert!(bytes.iter().enumerate().all(|(at, &byte)| byte == u8::from(at >> 12 == 3)));
        }
    }

    #[test]
    fn what_is_cut_or_no_core_is_refused() {
        let cut = core(true);
        cut.set_len(0x11ff).expect("cut");
        let raw = tempfile::tempfile().expect("a file");
        assert!(flatten(&cut, &raw, 1).expect_err("cut").to_string().contains("after the file's end"));
        cut.set_len(100).expect("cut");
        assert!(contents(&cut).is_err());
        cut.write_all_at(b"none", 0).expect("written");
        assert!(contents(&cut).is_err());
    }
}
