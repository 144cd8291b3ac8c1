//! Presence and rights: sections "Determination of Access Rights" and "Page-Fault Exceptions".

use pt_vcpu::{Mode, Registers, Vcpu};

use super::super::one::{AC, NXE, One, PKE, PKS, SMAP, SMEP, WP, XD};
use super::{IMPLICIT, LONG, SUPERVISOR, USER, about, accesses, levels_with_rights, prevents_fetches};
use crate::guest::{PAGED, registers};

#[test]
fn what_permits_everything_faults_on_nothing() {
    for mode in PAGED {
        for access in accesses() {
            let found = One::new(mode).access(access).unwrap();
            assert_eq!((found.pa, found.page_size), (0x8123, 4096), "{mode}: {access}");
        }
    }
}

/// "Page-Fault Exceptions": P = 0 in any entry, whatever its other bits and those of the entries above.
#[test]
fn an_entry_that_is_not_present() {
    for mode in PAGED {
        for level in 1..=One::new(mode).levels() {
            for access in accesses() {
                let code = about(access) & prevents_fetches(mode);
                let mut one = One::new(mode);
                one.set(level, !1);
                assert_eq!(one.code(access), Some((code, level)), "{mode}: {access}");
                // Entries above withhold everything, which is not asked.
                for above in level + 1..=one.levels() {
                    if mode != Mode::Pae || above < 3 {
                        one = one.without(above, 6);
                    }
                }
                assert_eq!(one.code(access), Some((code, level)), "{mode}: {access}");
            }
        }
    }
    let one = One::new(Mode::Pae).without(1, 1);
    assert_eq!(one.says(USER.writes()), "#PF error 0x6: write, user, not present: PTE at 0x1018: P = 0");
}

/// "Determination of Access Rights": U/S = 0 in any entry makes a supervisor-mode address.
#[test]
fn user_mode_accesses_to_supervisor_mode_addresses() {
    for mode in PAGED {
        for level in levels_with_rights(mode) {
            for access in accesses() {
                let expected =
                    access.is_user().then_some((1 | about(access) & prevents_fetches(mode), level));
                assert_eq!(One::new(mode).without(level, 4).code(access), expected, "{mode}: {access}");
            }
        }
    }
    let one = One::new(Mode::FiveLevel).without(5, 4).without(2, 4);
    assert_eq!(one.says(USER.reads()), "#PF error 0x5: read, user, present: PML5E at 0x5018: U/S = 0");
}

/// The same section: R/W = 0 in any entry; supervisor-mode accesses obey it where CR0.WP is set.
#[test]
fn writes_to_read_only_addresses() {
    for mode in PAGED {
        for level in levels_with_rights(mode) {
            for wp in [0, WP] {
                let one = One::new(mode).without(level, 2).in_state(|state| state.cr0 = state.cr0 & !WP | wp);
                for access in accesses() {
                    let faults = access.is_write() && (access.is_user() || wp != 0);
                    let expected = faults.then_some((1 | about(access), level));
                    assert_eq!(one.code(access), expected, "{mode}: {access}");
                }
            }
        }
    }
    let one = One::new(Mode::TwoLevel).without(2, 2);
    assert_eq!(one.says(USER.writes()), "#PF error 0x7: write, user, present: PDE at 0x200c: R/W = 0");
}

/// The same section: XD = 1 in any entry. "32-Bit Paging" has no XD, and PDPTEs of "PAE Paging" have none.
#[test]
fn fetches_from_addresses_that_are_not_to_be_executed() {
    for mode in [Mode::Pae, Mode::FourLevel, Mode::FiveLevel] {
        for level in levels_with_rights(mode) {
            for access in accesses() {
                let expected = access.is_fetch().then_some((0x11 | about(access), level));
                assert_eq!(One::new(mode).with(level, XD).code(access), expected, "{mode}: {access}");
            }
        }
    }
    let one = One::new(Mode::FourLevel).with(3, XD);
    assert_eq!(
        one.says(SUPERVISOR.fetches()),
        "#PF error 0x11: fetch, supervisor, present: PDPTE at 0x3018: XD = 1"
    );
}

/// The same section: SMEP prevents supervisor-mode fetches from user-mode addresses, whatever NXE is. A path with one
/// supervisor entry is not a user-mode address.
#[test]
fn smep() {
    for mode in PAGED {
        for nxe in [0, NXE] {
            let one = One::new(mode).in_state(|state| {
                state.cr4 |= SMEP;
                state.efer = state.efer & !NXE | nxe;
            });
            for access in accesses() {
                let faults = access.is_fetch() && !access.is_user();
                assert_eq!(one.code(access), faults.then_some((0x11, 1)), "{mode}: {access}");
                for level in levels_with_rights(mode) {
                    let code = one.clone().without(level, 4).code(access);
                    assert_eq!(code.is_some(), access.is_user(), "{mode}: {access}");
                }
            }
        }
    }
    let one = One::large(Mode::TwoLevel, 2).in_state(|state| state.cr4 |= SMEP);
    assert_eq!(
        one.says(SUPERVISOR.fetches()),
        "#PF error 0x11: fetch, supervisor, present: PDE at 0x200c: U/S = 1, SMEP"
    );
}

/// The same section: SMAP prevents supervisor-mode data accesses to user-mode addresses, but for explicit ones with
/// EFLAGS.AC set. CR0.WP is another matter.
#[test]
fn smap() {
    for mode in PAGED {
        for (ac, wp) in [(0, 0), (0, WP), (AC, 0), (AC, WP)] {
            let one = One::new(mode).in_state(|state| {
                state.cr4 |= SMAP;
                state.rflags = ac;
                state.cr0 = state.cr0 & !WP | wp;
            });
            for access in accesses() {
                let explicit_with_ac = ac != 0 && access.privilege == SUPERVISOR;
                let faults = !access.is_user() && !access.is_fetch() && !explicit_with_ac;
                let expected = faults.then_some((1 | about(access), 1));
                assert_eq!(one.code(access), expected, "{mode}: {access}");
                for level in levels_with_rights(mode) {
                    let code = one.clone().without(level, 4).code(access);
                    assert_eq!(code.is_some(), access.is_user(), "{mode}: {access}");
                }
            }
        }
    }
    let one = One::new(Mode::Pae).in_state(|state| (state.cr4, state.rflags) = (state.cr4 | SMAP, AC));
    assert_eq!(
        one.says(IMPLICIT.reads()),
        "#PF error 0x1: read, implicit supervisor, present: PTE at 0x1018: U/S = 1, SMAP"
    );
}

/// "Page-Fault Exceptions": I/D only where SMEP is set, or NXE with PAE paging or in long mode.
#[test]
fn fetches_are_told_where_they_can_be_prevented() {
    for mode in PAGED {
        for (smep, nxe) in [(0, 0), (0, NXE), (SMEP, 0), (SMEP, NXE)] {
            let one = One::new(mode).without(1, 1).in_state(|state| {
                state.cr4 |= smep;
                state.efer = state.efer & !NXE | nxe;
            });
            let told = smep != 0 || nxe != 0 && mode != Mode::TwoLevel;
            let code = if told { 0x14 } else { 4 };
            assert_eq!(one.code(USER.fetches()), Some((code, 1)), "{mode}");
            assert_eq!(one.code(USER.reads()), Some((4, 1)), "{mode}");
        }
    }
}

/// Without paging nothing is judged.
#[test]
fn an_unpaged_vcpu_faults_on_nothing() {
    let one = One::new(Mode::Unpaged).in_state(|state| state.cr4 |= SMEP | SMAP | PKE);
    for access in accesses() {
        let found = one.access(access).unwrap();
        assert_eq!((found.pa, found.memory_type_index(), found.protection_key()), (0x123, 0, 0));
    }
}

/// Where the format is known otherwise than by the registers, accesses are judged in its mode, and by what registers say
/// beside that.
#[test]
fn a_mode_that_registers_do_not_select() {
    for mode in PAGED {
        let one = One::new(mode).without(1, 4).in_state(|state| (state.pkrs, state.pkru) = (1, 1));
        let paging = *one.vcpu().paging();
        for other in PAGED.into_iter().chain([Mode::Unpaged]) {
            let elsewhere = registers(other);
            let state = Registers { cr4: elsewhere.cr4 | PKS, cr0: elsewhere.cr0 | WP, ..one.registers };
            let vcpu = Vcpu::with_paging(Registers { efer: elsewhere.efer | NXE, ..state }, paging);
            assert_eq!(vcpu.state().control.mode(), mode, "registers of {other}");
            let code = |access| match vcpu.translate_access(&one.memory, one.va, access) {
                Ok(_) => 0,
                Err(fault) => fault.page_fault().unwrap().code.bits(),
            };
            assert_eq!(code(USER.fetches()), 5 | about(USER.fetches()) & prevents_fetches(mode));
            let keyed = if LONG.contains(&mode) { 0x21 } else { 0 };
            assert_eq!(code(SUPERVISOR.reads()), keyed, "{mode} with registers of {other}");
        }
    }
}
