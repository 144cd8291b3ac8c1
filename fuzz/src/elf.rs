//! ELF cores: headers of every kind behind the magic number, and the bytes that follow them.

use pt_image::{Format, Image};

use crate::image::{Stretch, check, options};

/// The input is the file, without the four bytes that every ELF file begins with.
pub fn run(input: &[u8]) {
    let file = [b"\x7fELF", input].concat();
    let opened = Image::from_bytes("fuzz", file.clone(), &options().format(Format::Elf));
    check(opened, |_| Some(segments(&file)));
}

/// A little-endian number in the file.
fn number(file: &[u8], at: usize, bytes: usize) -> u64 {
    file[at..at + bytes].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The memory that an accepted core describes, as its headers are laid out in the specification.
fn segments(file: &[u8]) -> Vec<Stretch<'_>> {
    let wide = file[4] == 2;
    let word = |at, width| number(file, at, if wide { 8 } else { width }) as usize;
    let (table, count) =
        if wide { (word(32, 8), number(file, 56, 2)) } else { (word(28, 4), number(file, 44, 2)) };
    let count = if count == 0xffff {
        let sections = if wide { word(40, 8) } else { word(32, 4) };
        number(file, sections + if wide { 44 } else { 28 }, 4)
    } else {
        count
    };
    let size = if wide { 56 } else { 32 };
    let headers = (0..count as usize).map(|index| table + index * size);
    let loads = headers.filter(|&header| number(file, header, 4) == 1);
    let segment = |header: usize| {
        let fields = if wide { [8, 24, 32, 40] } else { [4, 12, 16, 20] };
        let [offset, physical, held, len] = fields.map(|at| word(header + at, 4));
        let bytes = if held == 0 { &[][..] } else { &file[offset..offset + held] };
        (physical as u64, len as u64, bytes)
    };
    loads.map(segment).collect()
}
