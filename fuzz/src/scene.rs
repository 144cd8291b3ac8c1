//! From the fuzzer's bytes to a [`Scene`]: a small memory, roots in it, and what to ask about them.
//!
//! ```text
//!  byte 0   the format
//!  byte 1   how pages are reported; whether there is a range
//!  2..=4    three roots, as page numbers (equal ones are welcome)
//!  16 more  the range: first and last address, if there is one
//!  then     entries of 7 bytes: table, slot, low bits (2), page, high bits (2)
//! ```
//!
//! An entry of 512 would cost 4 KiB of input, and most random addresses lead out of memory. So memory starts empty
//! and entries are put into it, whose addresses are page numbers just beyond its size. One in four entries fills a
//! stretch of its table, with pages that follow each other or with links that differ in what is ignored.

use std::ops::RangeInclusive;

use pt_amd64::{Features, LongMode, Vendor};
use pt_core::{Format, Leaves, Limits, Options};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_testkit::generate::Case;
use pt_testkit::naive::{Frames, Long, Missing, Mode};

use crate::choices::Choices;

/// The size of the memory in pages.
pub(crate) const PAGES: usize = 4;

/// What one input of the fuzzer stands for.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    /// Physical memory from address 0 on.
    pub(crate) memory: Vec<u8>,
    /// The root registers.
    pub(crate) roots: [u64; 3],
    /// What to walk. There are no limits in it.
    pub(crate) options: Options,
    /// What was left of the input when all this was made.
    pub(crate) rest: &'a [u8],
}

/// A question about a scene, in whatever format it is.
pub(crate) trait Question {
    /// Asks it. The mode is the oracle's description of the format.
    fn ask<F: Format<Rights = pt_x86::Rights> + pt_core::Encode>(
        &self,
        format: &F,
        mode: &Mode,
        scene: &Scene<'_>,
    );
}

const LONG: Long = Long { phys_bits: 52, nx: true, gib_pages: true, amd: false, ignored: 0 };
const SMALL: Long = Long { phys_bits: 40, nx: false, gib_pages: false, amd: true, ignored: 1 << 14 };

/// Asks about the scene that the input stands for; the first byte is which of the x86 formats it is in.
pub(crate) fn ask(input: &[u8], question: &impl Question) {
    let mut choices = Choices::new(input);
    let kind = choices.byte() & 7;
    let width = if kind < 6 { 8 } else { 4 };
    let scene = Scene::new(&mut choices, width);
    match kind {
        0 => long::<4>(LONG, Mode::FourLevel, &scene, question),
        1 => long::<4>(SMALL, Mode::FourLevel, &scene, question),
        2 => long::<5>(LONG, Mode::FiveLevel, &scene, question),
        3 => long::<5>(SMALL, Mode::FiveLevel, &scene, question),
        4 => pae(true, &scene, question),
        5 => pae(false, &scene, question),
        6 => two(true, &scene, question),
        _ => two(false, &scene, question),
    }
}

fn long<const LEVELS: u8>(facts: Long, mode: fn(Long) -> Mode, scene: &Scene<'_>, question: &impl Question)
where
    LongMode<LEVELS>: Format<Rights = pt_x86::Rights> + pt_core::Encode,
{
    let Long { phys_bits, nx, gib_pages, amd, ignored } = facts;
    let vendor = if amd { Vendor::Amd } else { Vendor::Intel };
    let features = Features { phys_bits: phys_bits as u8, nx, gib_pages, ignored, vendor };
    question.ask(&LongMode::<LEVELS>::new(features), &mode(facts), scene);
}

fn pae(strict: bool, scene: &Scene<'_>, question: &impl Question) {
    let (phys_bits, nx, ignored) = if strict { (52, true, 0) } else { (36, false, 1 << 14) };
    let format = Pae::new(PaeFeatures { phys_bits, nx, strict_pdpte: strict, ignored });
    let mode = Mode::Pae { phys_bits: phys_bits.into(), nx, strict_pdpte: strict, ignored };
    question.ask(&format, &mode, scene);
}

fn two(pse: bool, scene: &Scene<'_>, question: &impl Question) {
    let format = TwoLevel::new(TwoLevelFeatures { phys_bits: 40, pse, pse36: pse, ignored: 0 });
    question.ask(&format, &Mode::TwoLevel { phys_bits: 40, pse, pse36: pse, ignored: 0 }, scene);
}

impl<'a> Scene<'a> {
    /// The scene that the choices stand for, with entries of that width.
    pub(crate) fn new(choices: &mut Choices<'a>, width: usize) -> Self {
        let shown = choices.byte();
        let roots = [(); 3].map(|()| root(choices.byte()));
        let range = if shown & 8 == 0 { 0..=u64::MAX } else { choices.number(8)..=choices.number(8) };
        let options = Options {
            range,
            leaves: leaves(shown),
            absent: shown & 4 != 0,
            limits: Limits::NONE,
            ..Options::default()
        };
        let mut memory = vec![0; PAGES << 12];
        for _ in 0..usize::from(shown >> 4) + 8 {
            if choices.is_empty() {
                break;
            }
            put(&mut memory, choices, width);
        }
        Self { memory, roots, options, rest: choices.rest() }
    }

    /// The memory as the oracle reads it.
    pub(crate) fn physical(&self) -> impl Fn(u64, u64) -> Result<Vec<u8>, Missing> {
        |address, len| {
            let start = usize::try_from(address).map_err(|_| Missing::Outside)?;
            let end = start.checked_add(len as usize).ok_or(Missing::Outside)?;
            self.memory.get(start..end).map(<[u8]>::to_vec).ok_or(Missing::Outside)
        }
    }
}

/// Puts an entry where the choices say, or a stretch of them.
fn put(memory: &mut [u8], choices: &mut Choices<'_>, width: usize) {
    let (table, slot) = (choices.byte(), choices.byte());
    let low = choices.number(2);
    let page = choices.byte();
    let high = choices.number(2) << 48;
    let slots = 4096 / width;
    let usual = [0, 1, 2, 3, slots / 2 - 1, slots / 2, slots - 2, slots - 1];
    let slot =
        usual.get(usize::from(slot)).copied().unwrap_or(usize::from(slot) | usize::from(table & 0x80) << 1);
    let first = ((usize::from(table & 0x7f) % PAGES) << 12) + slot * width;
    let address = u64::from(page % (PAGES as u8 + 2)) << 12 | u64::from(page & 0x80) << 32;
    let raw = low & 0x1fff | address | high;
    let filled = low >> 13 == 7;
    for number in 0..if filled { 24 } else { 1 } {
        let raw = match page >> 5 & 3 {
            0 => raw.wrapping_add(number << 12),
            1 => raw ^ (number & 7) << 9,
            2 => raw ^ (number & 1) << 5,
            _ => raw,
        };
        let at = first + number as usize * width;
        if let Some(place) = memory.get_mut(at..at + width) {
            place.copy_from_slice(&raw.to_le_bytes()[..width]);
        }
    }
}

/// A page number in or just beyond memory; the upper bits of the byte go where a PAE root's would, and into flags.
fn root(byte: u8) -> u64 {
    ((u64::from(byte) % (PAGES as u64 + 1)) << 12) | u64::from(byte & 0xf0)
}

fn leaves(choice: u8) -> Leaves {
    match choice & 3 {
        0 | 1 => Leaves::Each,
        2 => Leaves::Runs,
        _ => Leaves::RunsIgnoringAccessedDirty,
    }
}

/// A graph of the toy format: a few tables of two entries, one or two roots, and a range.
pub(crate) fn toy(choices: &mut Choices<'_>) -> Case {
    const TABLES: u8 = 5;
    let kind = choices.byte();
    let mut roots = vec![u64::from(choices.byte() % (TABLES + 1)) * 32];
    for _ in 0..kind & 3 {
        roots.push(u64::from(choices.byte() % (TABLES + 1)) * 32);
    }
    let range = if kind & 4 == 0 { (0, u64::MAX) } else { (toy_address(choices), toy_address(choices)) };
    let mut memory = Frames::new();
    memory.add(0);
    for slot in 0..u64::from(TABLES) * 2 {
        let (low, high) = (choices.byte(), choices.byte());
        let address = match high & 3 {
            0 | 1 => u64::from(high >> 2) % u64::from(TABLES + 1) * 32,
            2 => u64::from(high >> 2) << 12,
            _ => (u64::from(high >> 2) << 20) | (0xfff0_0000 * u64::from(high >> 7)),
        };
        let raw = u64::from(low & 0x1f) | address | u64::from(low >> 6) << 62 | u64::from(low >> 5 & 1) << 40;
        memory.write(slot / 2 * 32 + slot % 2 * 8, 8, raw);
    }
    if kind & 8 != 0 {
        for frame in 1..8 {
            memory.add(frame << 12);
            memory.write((frame << 12) + 8, 8, frame % 3 * 0x10);
        }
    }
    Case { mode: Mode::Toy, memory, roots, range }
}

/// An address of one of the eight pages, or near one.
fn toy_address(choices: &mut Choices<'_>) -> u64 {
    let byte = choices.byte();
    let page = Mode::Toy.canonical(u64::from(byte & 7) << 12);
    match byte >> 3 & 3 {
        0 => page,
        1 => page | 0xfff,
        2 => page.wrapping_add(u64::from(byte)),
        _ => choices.number(8),
    }
}

/// The whole space.
pub(crate) const WHOLE: RangeInclusive<u64> = 0..=u64::MAX;
