//! Protection keys and memory types: sections "Protection Keys" and "Paging and Memory Typing".

use pt_vcpu::{Fault, Mode};
use pt_x86::{KeyRegister, KeyRight, Reason};

use super::super::one::{One, PKE, PKS, SMAP, WP, XD};
use super::{IMPLICIT, LONG, SUPERVISOR, USER, about, accesses};
use crate::guest::PAGED;

/// "Protection Keys": PKRU for user-mode addresses. AD bars every data access, WD writes: the user's always, the supervisor's
/// with CR0.WP set. Fetches are not barred.
#[test]
fn protection_keys_of_user_pages() {
    for mode in LONG {
        for key in 0..16_u32 {
            for (rights, wp) in [(1, WP), (2, WP), (3, WP), (1, 0), (2, 0), (3, 0)] {
                let one = One::new(mode).with(1, u64::from(key) << 59).in_state(|state| {
                    (state.cr4, state.pkru) = (state.cr4 | PKE, rights << (2 * key));
                    state.cr0 = state.cr0 & !WP | wp;
                });
                for access in accesses() {
                    let write = access.is_write() && (access.is_user() || wp != 0);
                    let barred = !access.is_fetch() && (rights & 1 != 0 || write);
                    let expected = barred.then_some((0x21 | about(access), 1));
                    assert_eq!(one.code(access), expected, "{mode}: key {key}, rights {rights}, {access}");
                    // Other keys, a clear CR4.PKE, and pages of the supervisor are not concerned.
                    let other =
                        one.clone().with(1, u64::from(key ^ 15) << 59).without(1, u64::from(key) << 59);
                    assert_eq!(other.code(access), None);
                    let off = one.clone().in_state(|state| state.cr4 = state.cr4 & !PKE | PKS);
                    assert_eq!(off.code(access), None);
                    let supervisor = one.clone().without(2, 4).code(access);
                    assert_eq!(supervisor.map(|(code, _)| code & 0x20), access.is_user().then_some(0));
                }
            }
        }
    }
    let one = One::new(Mode::FourLevel)
        .with(1, 5 << 59)
        .in_state(|state| (state.cr4, state.pkru) = (state.cr4 | PKE, 2 << 10));
    assert_eq!(
        one.says(USER.writes()),
        "#PF error 0x27: write, user, present, protection key: PTE at 0x1018: key 5, PKRU.WD5 = 1"
    );
}

/// The same section: `IA32_PKRS` for supervisor-mode addresses, with CR4.PKS.
#[test]
fn protection_keys_of_supervisor_pages() {
    for mode in LONG {
        for supervisor_entry in 1..=One::new(mode).levels() {
            for (rights, wp) in [(1, WP), (2, WP), (3, WP), (1, 0), (2, 0), (3, 0)] {
                let key = 9_u32;
                let one = One::new(mode).with(1, u64::from(key) << 59).without(supervisor_entry, 4);
                let one = one.in_state(|state| {
                    (state.cr4, state.pkrs, state.pkru) = (state.cr4 | PKS, rights << (2 * key), !0);
                    state.cr0 = state.cr0 & !WP | wp;
                });
                for access in
                    [SUPERVISOR, IMPLICIT].into_iter().flat_map(|by| [by.reads(), by.writes(), by.fetches()])
                {
                    let write = access.is_write() && wp != 0;
                    let barred = !access.is_fetch() && (rights & 1 != 0 || write);
                    assert_eq!(
                        one.code(access),
                        barred.then_some((0x21 | about(access), 1)),
                        "{mode}: {access}"
                    );
                    let off = one.clone().in_state(|state| state.cr4 = state.cr4 & !PKS | PKE);
                    assert_eq!(off.code(access), None, "{mode}: {access}");
                }
            }
        }
    }
    let one = One::new(Mode::FourLevel).without(1, 4);
    let one = one.in_state(|state| (state.cr4, state.pkrs) = (state.cr4 | PKS, 1));
    let Err(Fault::Page(fault)) = one.access(SUPERVISOR.reads()) else { panic!("it is barred") };
    let (register, right) = (KeyRegister::Pkrs, KeyRight::AccessDisable);
    assert_eq!(fault.reason, Reason::ProtectionKey { key: 0, register, right });
}

/// "Page-Fault Exceptions": PK goes by the address's mode and by the key alone, whatever else forbids the access; not where the
/// translation did not get to a page.
#[test]
fn pk_beside_other_reasons() {
    let keyed = |state: &mut pt_vcpu::Registers| {
        (state.cr4, state.pkru, state.pkrs) = (state.cr4 | PKE | PKS | SMAP, !0, !0);
    };
    let one = |mode| One::new(mode).in_state(keyed);
    assert_eq!(one(Mode::FourLevel).without(3, 2).code(USER.writes()), Some((0x27, 3)), "R/W");
    assert_eq!(one(Mode::FourLevel).code(SUPERVISOR.reads()), Some((0x21, 1)), "SMAP");
    assert_eq!(one(Mode::FourLevel).without(3, 4).code(USER.reads()), Some((0x25, 3)), "U/S, PKRS");
    assert_eq!(one(Mode::FourLevel).without(1, 1).code(USER.reads()), Some((4, 1)));
    let reserved = one(Mode::FourLevel).with(1, 1 << 51).on(|machine| machine.phys_bits = 40);
    assert_eq!(reserved.code(USER.reads()), Some((0xd, 1)));
    assert_eq!(one(Mode::FourLevel).with(1, XD).code(USER.fetches()), Some((0x15, 1)), "a fetch");
    // "Protection Keys": only in long mode.
    for mode in [Mode::TwoLevel, Mode::Pae] {
        assert_eq!(one(mode).code(USER.writes()), None, "{mode}");
    }
}

/// "Paging and Memory Typing": PAT, PCD and PWT of the leaf; PAT is bit 7 of a PTE and bit 12 of a large page.
#[test]
fn memory_type_indices() {
    for mode in PAGED {
        let mut pages = vec![(1, One::new(mode), 7), (2, One::large(mode, 2), 12)];
        if LONG.contains(&mode) {
            pages.push((3, One::large(mode, 3), 12));
        }
        for (level, one, pat) in pages {
            for index in 0..8_u64 {
                let one = one.clone().with(level, (index & 3) << 3 | (index >> 2) << pat);
                let found = one.access(USER.reads()).unwrap();
                assert_eq!((u64::from(found.memory_type_index()), found.protection_key()), (index, 0));
            }
            // Those of the tables are another matter.
            let link = one.with(One::new(mode).levels(), 0x18).access(USER.reads()).unwrap();
            assert_eq!(link.memory_type_index(), if level == One::new(mode).levels() { 3 } else { 0 });
        }
    }
}
