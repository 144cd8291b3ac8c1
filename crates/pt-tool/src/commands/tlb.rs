//! `pt tlb`: one line per mapped page, in the columns of QEMU's `info tlb`.
//!
//! Every path has its lines, so aliases are expanded; lines are written as they are found.

use std::io::{self, Write};

use pt_core::{Format, Leaf, Leaves};

use super::expand;
use crate::arguments::PagesArguments;
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::with_format;
use crate::show::Letters;

pub(crate) fn run(arguments: &PagesArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open(&arguments.spaces)?.with_readable_roots()?;
    with_format!(guest.paging, |format| print(format, &guest, arguments, out))
}

fn print<F: Format>(
    format: F,
    guest: &Guest,
    arguments: &PagesArguments,
    out: &mut Output,
) -> anyhow::Result<()> {
    expand::pages(format, guest, Leaves::Each, arguments, out, |page, out| match page {
        Some(page) => line::<F>(&page, out),
        None => Ok(()),
    })
}

/// `va: pa XGPDACTUW`, both addresses of 16 digits.
fn line<F: Format>(leaf: &Leaf<F::Rights>, out: &mut Output) -> io::Result<()> {
    let mut line = *b"0000000000000000: 0000000000000000 ---------\n";
    hexadecimal(leaf.va, &mut line[0..16]);
    hexadecimal(leaf.pa, &mut line[18..34]);
    line[35..44].copy_from_slice(&Letters::of(leaf.level, leaf.raw).as_bytes());
    if out.is_coloured() && matches!(Output::tone_of(leaf.rights), Tone::Danger) {
        let dangerous = out.tone(Tone::Danger, String::from_utf8_lossy(&line[..44]));
        return writeln!(out, "{dangerous}");
    }
    out.write_all(&line)
}

/// 16 digits, by hand: a large guest has millions of lines.
fn hexadecimal(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}
