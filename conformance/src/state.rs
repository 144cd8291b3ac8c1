//! The states of a CPU that are tried.

use pt_vcpu::{Machine, Mode, Registers};

/// The modes with tables.
pub const MODES: [Mode; 4] = [Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel];

/// The machine that Unicorn and QEMU are: MAXPHYADDR 40, 1 GiB pages, PSE-36, and PDPTEs whose low reserved bits nobody checks.
pub fn machine() -> Machine {
    Machine { phys_bits: 40, strict_pdpte: false, ..Machine::default() }
}

const WP: u64 = 1 << 16;
const PAGING: u64 = 1 << 31 | 1;
const PSE: u64 = 1 << 4;
const PAE: u64 = 1 << 5;
const LA57: u64 = 1 << 12;
const SMEP: u64 = 1 << 20;
const SMAP: u64 = 1 << 21;
const PKE: u64 = 1 << 22;
const AC: u64 = 1 << 18;
const LONG: u64 = 1 << 8 | 1 << 10;
const NXE: u64 = 1 << 11;

/// Without keys; all open; key 1 closed, closed for writes, both; key 0 closed for writes; all but key 1 closed for writes.
const PKRU: [Option<u32>; 7] =
    [None, Some(0), Some(0b0100), Some(0b1000), Some(0b1100), Some(0b0010), Some(0xaaaa_aaa2)];

/// Every state of a mode, with that CR3. States that differ in the ring alone are neighbours.
pub fn states(mode: Mode, cr3: u64) -> Vec<Registers> {
    let mut states = Vec::new();
    for pkru in PKRU {
        for bits in 0..64 {
            let flag = |bit: u32, value: u64| if bits >> bit & 1 == 1 { value } else { 0 };
            let (size, long) = match mode {
                // The bit that other modes have for NXE.
                Mode::TwoLevel => (flag(5, PSE), 0),
                Mode::Pae | Mode::Unpaged => (PAE, 0),
                Mode::FourLevel => (PAE, LONG),
                Mode::FiveLevel => (PAE | LA57, LONG),
            };
            states.push(Registers {
                cr0: PAGING | flag(0, WP),
                cr3,
                cr4: size | flag(1, SMEP) | flag(2, SMAP) | if pkru.is_some() { PKE } else { 0 },
                efer: long | flag(5, NXE),
                rflags: flag(3, AC),
                cpl: if bits >> 4 & 1 == 1 { 3 } else { 0 },
                pkru: pkru.unwrap_or(0),
                ..Registers::default()
            });
        }
    }
    states
}

/// One of them.
pub fn any(mode: Mode, cr3: u64) -> Registers {
    let states = states(mode, cr3);
    states[fastrand::usize(..states.len())]
}
