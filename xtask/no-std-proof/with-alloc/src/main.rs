//! The crates with `alloc`: several spaces walked as one, on an allocator of sixty lines.

#![no_std]
#![no_main]

mod allocator;

use bare::tables::{FIRST, NARROW, SECOND, memory};
use pt_amd64::FourLevel;
use pt_core::{Event, Format, Options, Walk, translate};
use pt_i686::TwoLevel;
use pt_x86::Rights;

bare::program!(check);

fn check() -> bool {
    let (four_level, two_level) = (FourLevel::default(), TwoLevel::default());
    let shared = translate(&four_level, memory(), SECOND, 0x2345);
    met(four_level, &[FIRST, SECOND]) == Some(Met { tables: 5, leaves: 3, aliases: 1 })
        && met(two_level, &[NARROW, NARROW]) == Some(Met { tables: 2, leaves: 2, aliases: 1 })
        && shared.is_ok_and(|page| page.pa == 0xa345 && page.rights == Rights::USER | Rights::EXECUTE)
}

/// What a walk met; nothing else was there to be met.
#[derive(Default, PartialEq, Eq)]
struct Met {
    tables: u32,
    leaves: u32,
    aliases: u32,
}

fn met<F: Format>(format: F, roots: &[u64]) -> Option<Met> {
    let mut met = Met::default();
    for event in Walk::new(format, memory(), roots, Options::default()) {
        match event.ok()? {
            Event::Table(_) => met.tables += 1,
            Event::Leaf(_) => met.leaves += 1,
            Event::Alias(_) => met.aliases += 1,
            _ => return None,
        }
    }
    Some(met)
}
