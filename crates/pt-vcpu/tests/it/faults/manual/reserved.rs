//! Entries that no access gets past, and addresses that get to none.

use pt_vcpu::{Fault, Mode, Vendor};
use pt_x86::Reason;

use super::super::one::{NXE, One, XD};
use super::{LONG, SUPERVISOR, USER, accesses, levels_with_rights};
use crate::guest::PAGED;

/// "Format of Paging-Structure Entries": XD is reserved where NXE is clear.
#[test]
fn xd_is_reserved_without_nxe() {
    for mode in [Mode::Pae, Mode::FourLevel, Mode::FiveLevel] {
        for level in levels_with_rights(mode) {
            let one = One::new(mode).with(level, XD).in_state(|state| state.efer &= !NXE);
            assert_eq!(one.code(SUPERVISOR.reads()), Some((9, level)), "{mode}");
            assert_eq!(one.code(USER.writes()), Some((0xf, level)), "{mode}");
        }
    }
    let one = One::new(Mode::Pae).with(1, XD).in_state(|state| state.efer &= !NXE);
    assert_eq!(
        one.says(USER.reads()),
        "#PF error 0xd: read, user, present, reserved: PTE at 0x1018: reserved bits 0x8000000000000000 set"
    );
}

/// "Enumeration of Paging Features by CPUID": physical-address bits from MAXPHYADDR on are reserved, up to 51 in long mode and
/// up to 62 in PAE paging.
#[test]
fn every_maxphyaddr_at_every_level() {
    for mode in [Mode::Pae, Mode::FourLevel, Mode::FiveLevel] {
        for phys_bits in 32..=52 {
            for level in levels_with_rights(mode) {
                for bit in 32..63 {
                    let one =
                        One::new(mode).with(level, 1 << bit).on(|machine| machine.phys_bits = phys_bits);
                    let reserved = bit >= u32::from(phys_bits) && (bit < 52 || mode == Mode::Pae);
                    let outcome = one.access(SUPERVISOR.reads());
                    match outcome {
                        Err(Fault::Page(fault)) if reserved => {
                            assert_eq!((fault.code.bits(), fault.level.number()), (9, level));
                            assert_eq!(fault.reason, Reason::Reserved(1 << bit));
                        }
                        Ok(found) if level == 1 => assert_eq!(found.pa, 0x8123 | 1 << bit & ((1 << 52) - 1)),
                        Ok(found) => assert!(bit >= 52, "{found:?}"),
                        Err(Fault::Unreadable { level: below, table, .. }) => {
                            assert!(bit < 52 && !reserved);
                            assert_eq!(
                                (below.number(), table),
                                (level - 1, u64::from(level - 1) << 12 | 1 << bit)
                            );
                        }
                        other => {
                            panic!("{mode}, MAXPHYADDR {phys_bits}, bit {bit} at level {level}: {other:?}")
                        }
                    }
                }
            }
        }
    }
}

/// "4-Level Paging and 5-Level Paging": reserved bits of large pages, PS of what links no page, 1 GiB pages that do not exist.
#[test]
fn reserved_bits_of_large_pages() {
    for mode in LONG {
        for (level, top) in [(2, 20), (3, 29)] {
            for bit in 13..=top {
                let code = One::large(mode, level).with(level, 1 << bit).code(USER.reads());
                assert_eq!(code, Some((0xd, level)), "{mode}: bit {bit}");
            }
            assert_eq!(One::large(mode, level).with(level, 1 << 12).code(USER.reads()), None, "PAT");
        }
        for level in 4..=One::new(mode).levels() {
            assert_eq!(One::new(mode).with(level, 0x80).code(USER.reads()), Some((0xd, level)));
        }
        let without = One::large(mode, 3).on(|machine| machine.gib_pages = false);
        assert_eq!(without.code(USER.reads()), Some((0xd, 3)));
    }
    for bit in 13..=20 {
        assert_eq!(One::large(Mode::Pae, 2).with(2, 1 << bit).code(USER.reads()), Some((0xd, 2)));
    }
}

/// "32-Bit Paging": PSE-36 has as many bits as MAXPHYADDR, at most 40; above them, and without it, they are reserved. PS is
/// ignored without CR4.PSE.
#[test]
fn pse_36() {
    for (phys_bits, pse36, first) in
        [(32, true, 13), (36, true, 17), (39, true, 20), (40, true, 21), (52, true, 21), (40, false, 13)]
    {
        for bit in 13..=21 {
            let one = One::large(Mode::TwoLevel, 2)
                .with(2, 1 << bit)
                .on(|machine| (machine.phys_bits, machine.pse36) = (phys_bits, pse36));
            let expected = (bit >= first).then_some((9, 2));
            assert_eq!(one.code(SUPERVISOR.reads()), expected, "MAXPHYADDR {phys_bits}, bit {bit}");
        }
    }
    let mut one = One::new(Mode::TwoLevel).with(2, 0x80).in_state(|state| state.cr4 &= !0x10);
    assert_eq!(one.access(USER.reads()).unwrap().pa, 0x8123);
    one.set(2, 0x20_1087);
    let Err(Fault::Unreadable { table, .. }) = one.access(USER.reads()) else {
        panic!("bits 21:13 are address")
    };
    assert_eq!(table, 0x20_1000);
}

/// APM, "4-Kbyte Page Translation": bit 8 of a PML4E must be zero. The SDM ignores it.
#[test]
fn bit_8_of_the_upper_levels_by_vendor() {
    for mode in LONG {
        for level in 4..=One::new(mode).levels() {
            for vendor in [Vendor::Intel, Vendor::Amd] {
                let one = One::new(mode).with(level, 1 << 8).on(|machine| machine.vendor = vendor);
                let expected = (vendor == Vendor::Amd).then_some((0xd, level));
                assert_eq!(one.code(USER.reads()), expected, "{mode}");
            }
        }
    }
}

/// "PDPTE Registers": reserved bits are an error of the instruction that loads them. APM, "Legacy PAE Mode" (of nested paging):
/// a guest's PDPTEs are read on the way.
#[test]
fn reserved_bits_of_pdptes() {
    let reserved = |bit| matches!(bit, 1 | 2 | 5..=8 | 40..=63);
    for bit in 1..=63 {
        let one = One::new(Mode::Pae).with(3, 1 << bit).on(|machine| machine.phys_bits = 40);
        let raw = one.get(3);
        for access in accesses() {
            match one.access(access) {
                Err(Fault::Pdpte { entry, raw: same, reserved: bits }) => {
                    assert!(reserved(bit), "bit {bit}");
                    assert_eq!((entry, same, bits), (0x3038, raw, 1 << bit));
                }
                // Another directory.
                Ok(_) | Err(Fault::Unreadable { .. } | Fault::Page(_)) => {
                    assert!(!reserved(bit), "bit {bit}");
                }
                other => panic!("bit {bit}: {other:?}"),
            }
        }
        let amd = one.on(|machine| machine.vendor = Vendor::Amd);
        if reserved(bit) {
            assert_eq!(amd.code(USER.writes()), Some((0xf, 3)), "bit {bit}");
        }
    }
    let one = One::new(Mode::Pae).with(3, 1 << 5);
    assert_eq!(
        one.says(USER.reads()),
        "#GP when CR3 is loaded: PDPTE at 0x3038 = 0x2021 has reserved bits 0x20 set"
    );
    assert_eq!(one.clone().without(3, 1).code(USER.reads()), Some((4, 3)), "not if it is not present");
    assert_eq!(one.on(|machine| machine.strict_pdpte = false).code(USER.reads()), None, "QEMU's TCG");
}

/// "Page-Fault Exceptions": of what is wrong on the way down, the first counts; rights are judged at the end.
#[test]
fn the_first_entry_that_is_wrong_counts() {
    for mode in LONG {
        for level in 2..=One::new(mode).levels() {
            let reserved = One::new(mode).with(level, 1 << 51).on(|machine| machine.phys_bits = 40);
            assert_eq!(reserved.clone().without(level - 1, 1).code(USER.reads()), Some((0xd, level)));
            let absent = One::new(mode).without(level, 1).with(level - 1, 1 << 51);
            let absent = absent.on(|machine| machine.phys_bits = 40);
            assert_eq!(absent.code(USER.reads()), Some((4, level)));
            assert_eq!(reserved.clone().without(level, 7 - 1).code(USER.writes()), Some((0xf, level)));
            // Rights that an entry above withholds are no reason to stop there.
            let below = One::new(mode).without(level, 6).with(level - 1, 1 << 51);
            assert_eq!(
                below.on(|machine| machine.phys_bits = 40).code(USER.writes()),
                Some((0xf, level - 1))
            );
        }
    }
}

/// "Paging Modes and Control Bits": an address that is not canonical is #GP, and no table is read.
#[test]
fn addresses_that_are_not_canonical() {
    for (mode, bits) in [(Mode::FourLevel, 48), (Mode::FiveLevel, 57)] {
        for va in [1 << (bits - 1), 1 << bits, u64::MAX << bits, 1 << 63] {
            let mut one = One::new(mode);
            (one.va, one.registers.cr3) = (va, 0x7000_0000);
            for access in accesses() {
                assert_eq!(one.access(access), Err(Fault::NonCanonical { va }));
            }
        }
    }
    let mut one = One::new(Mode::FourLevel);
    one.va = 1 << 47;
    assert_eq!(one.says(USER.reads()), "#GP: 0x800000000000 is not canonical");
    // Outside long mode there are 32 bits of an address.
    for mode in [Mode::TwoLevel, Mode::Pae] {
        let mut one = One::new(mode).without(1, 4);
        one.va |= 0xdead_beef_0000_0000;
        let Err(Fault::Page(fault)) = one.access(USER.reads()) else { panic!("{mode}") };
        assert_eq!(fault.va, one.va & 0xffff_ffff, "CR2");
    }
}

/// No exception of the architecture: which table is not there, and what links it.
#[test]
fn a_table_outside_memory() {
    for mode in PAGED {
        let mut one = One::new(mode);
        one.set(2, 0x7000_0001);
        let Err(Fault::Unreadable { level, table, link, .. }) = one.access(USER.writes()) else {
            panic!("{mode}")
        };
        assert_eq!(
            (level.number(), table, link.raw, link.entry),
            (1, 0x7000_0000, 0x7000_0001, Some(one.entry(2)))
        );
    }
    let one = One::new(Mode::FourLevel).in_state(|state| state.cr3 = 0x7000_0005);
    assert_eq!(
        one.says(USER.reads()),
        "PML4 at 0x70000000, linked by 0x70000005, cannot be read: outside the guest's memory"
    );
}
