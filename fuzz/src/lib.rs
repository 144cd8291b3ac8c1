//! From the fuzzer's bytes to a [`Scene`]: a small memory, roots in it, and what to ask of a walk.
//!
//! ```text
//!  byte 0   which format, and how pages are reported
//!  1..=3    three roots, as page numbers (equal ones are welcome)
//!  4..=19   the range: first and last address, used if the first byte says so
//!  then     entries of 8 bytes: place (2), low bits (2), page number (1), high bits (3)
//! ```
//!
//! An entry of 512 would cost 4 KiB of input, and most random addresses lead out of memory. So memory starts empty
//! and entries are put into it, whose addresses are page numbers just beyond its size.

#![forbid(unsafe_code)]

use std::ops::RangeInclusive;

use pt_core::{Leaves, Limits, Options};

/// The size of the memory in pages.
pub const PAGES: usize = 8;

/// What one input of the fuzzer stands for.
#[derive(Debug)]
pub struct Scene {
    /// Which of the formats, 0 to 7.
    pub format: u8,
    /// Physical memory from address 0 on.
    pub memory: Vec<u8>,
    /// The root registers.
    pub roots: Vec<u64>,
    /// What to walk. There are no limits in it.
    pub options: Options,
}

impl Scene {
    /// Reads what there is; bytes that are missing are zero.
    pub fn new(bytes: &[u8]) -> Self {
        let mut head = [0; 20];
        let (given, entries) = bytes.split_at(bytes.len().min(head.len()));
        head[..given.len()].copy_from_slice(given);
        let mut memory = vec![0; PAGES << 12];
        for entry in entries.chunks_exact(8) {
            let place = usize::from(u16::from_le_bytes([entry[0], entry[1]])) * 4 % memory.len();
            let low = u64::from(u16::from_le_bytes([entry[2], entry[3]]) & 0x1fff);
            let page = u64::from(entry[4]) % (PAGES as u64 + 2);
            let high = u64::from(u32::from_le_bytes([0, entry[5], entry[6], entry[7]])) << 32;
            let raw = (low | page << 12 | high).to_le_bytes();
            let room = memory.len().min(place + raw.len()) - place;
            memory[place..place + room].copy_from_slice(&raw[..room]);
        }
        let options =
            Options { range: range(&head), leaves: leaves(head[0]), absent: head[0] & 0x40 != 0, ..whole() };
        Self {
            format: head[0] & 7,
            memory,
            roots: head[1..4].iter().map(|&root| self::root(root)).collect(),
            options,
        }
    }
}

/// A page number in or just beyond memory; the upper bits of the byte go where a PAE root's would, and into flags.
fn root(byte: u8) -> u64 {
    ((u64::from(byte) % (PAGES as u64 + 1)) << 12) | u64::from(byte & 0xf0)
}

fn range(head: &[u8; 20]) -> RangeInclusive<u64> {
    let number =
        |at: usize| head[at..at + 8].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
    if head[0] & 0x80 == 0 { 0..=u64::MAX } else { number(4)..=number(12) }
}

fn leaves(choice: u8) -> Leaves {
    match choice >> 4 & 3 {
        0 | 1 => Leaves::Each,
        2 => Leaves::Runs,
        _ => Leaves::RunsIgnoringAccessedDirty,
    }
}

fn whole() -> Options {
    Options { limits: Limits::NONE, ..Options::default() }
}
