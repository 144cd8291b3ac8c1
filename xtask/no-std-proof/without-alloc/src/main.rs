//! The crates without `alloc`: one space walked under a limit, addresses translated, and pages mapped, with no allocator
//! at all.

#![no_std]
#![no_main]

mod writing;

use bare::tables::{FIRST, NARROW, SECOND, memory};
use pt_amd64::FourLevel;
use pt_core::{Event, Format, Limits, Options, Resource, Walk, translate};
use pt_i686::TwoLevel;
use pt_vcpu::{Machine, Registers, Vcpu};
use pt_x86::Rights;

bare::program!(check);

fn check() -> bool {
    let (four_level, two_level) = (FourLevel::default(), TwoLevel::default());
    let shared = translate(&four_level, memory(), SECOND, 0x1234);
    let large = translate(&two_level, memory(), NARROW, 0x40_5678);
    let ended = walk(four_level, FIRST, 6).err();
    walk(four_level, FIRST, 7) == Ok((4, 3))
        && walk(two_level, NARROW, 4) == Ok((2, 2))
        && ended == Some(Resource::Events)
        && shared.is_ok_and(|page| page.pa == 0x9234 && page.rights == Rights::USER)
        && large.is_ok_and(|page| page.pa == 0x40_5678)
        && translate(&four_level, memory(), FIRST, 0x3000).is_err()
        && of_a_vcpu()
        && writing::check()
}

/// The same address from registers: paging, write protection and long mode are on.
fn of_a_vcpu() -> bool {
    let registers =
        Registers { cr0: 0x8001_0001, cr3: SECOND, cr4: 0x20, efer: 0xd00, ..Registers::default() };
    let vcpu = Vcpu::new(registers, &Machine::default());
    vcpu.translate(memory(), 0x1234).is_ok_and(|page| page.pa == 0x9234)
}

/// Tables and leaves under `root`, or what the walk ran out of.
fn walk<F: Format>(format: F, root: u64, events: u64) -> Result<(u32, u32), Resource> {
    let (mut tables, mut leaves) = (0, 0);
    let limits = Limits { tables: 4, events };
    for event in Walk::single(format, memory(), root, Options::default(), limits) {
        match event.map_err(|reached| reached.resource)? {
            Event::Table(_) => tables += 1,
            Event::Leaf(_) => leaves += 1,
            _ => {}
        }
    }
    Ok((tables, leaves))
}
