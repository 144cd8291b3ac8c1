//! `pt tlb`: one line per mapped page, in the columns of QEMU's `info tlb`.
//!
//! Every path has its lines, so aliases are expanded. A guest can have billions of paths over a few tables; lines are
//! written as they are found.

use std::io::{self, Write};

use pt_core::{Event, Format, Leaf, Options, Recording, Space, Walk};

use crate::arguments::SpaceArguments;
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::with_format;
use crate::show::{Faults, Letters};

pub(crate) fn run(arguments: &SpaceArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open(arguments)?.with_readable_roots()?;
    with_format!(guest.paging, |format| print(format, &guest, out))
}

fn print<F: Format>(format: F, guest: &Guest, out: &mut Output) -> anyhow::Result<()> {
    let options = Options { range: guest.range.clone(), ..Options::default() };
    let walk = Walk::new(format.clone(), &guest.image, &guest.roots, options);
    let recording = Recording::new(format, walk)?;
    let mut faults = Faults::default();
    for (space, root) in guest.roots.iter().enumerate() {
        if guest.roots.len() > 1 {
            writeln!(out, "# root {root:#x}")?;
        }
        for event in recording.expand(space as Space) {
            match event {
                Event::Leaf(leaf) => line::<F>(&leaf, out)?,
                Event::Fault(fault) => faults.count(&fault),
                _ => {}
            }
        }
    }
    faults.tell(guest);
    Ok(())
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
