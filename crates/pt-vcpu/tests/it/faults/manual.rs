//! Faults by hand, each with the place in the manual that says so. Sections are those of the SDM's volume 3, chapter "Paging",
//! unless the APM is named (volume 2).
//!
//! docs/conformance.md lists those of them that no other processor model here can confirm.

mod keys;
mod reserved;
mod rights;

use pt_vcpu::{Access, Mode, Privilege};

use super::one::One;

const USER: Privilege = Privilege::User;
const SUPERVISOR: Privilege = Privilege::Supervisor;
const IMPLICIT: Privilege = Privilege::Implicit;
const LONG: [Mode; 2] = [Mode::FourLevel, Mode::FiveLevel];

/// Every access by everybody.
fn accesses() -> impl Iterator<Item = Access> {
    let of = |by: Privilege| [by.reads(), by.writes(), by.fetches()];
    [USER, SUPERVISOR, IMPLICIT].into_iter().flat_map(of)
}

/// The levels whose entries have rights of their own.
fn levels_with_rights(mode: Mode) -> std::ops::RangeInclusive<u8> {
    let levels = One::new(mode).levels();
    1..=if mode == Mode::Pae { 2 } else { levels }
}

/// W/R, U/S and I/D of an access where fetches can be prevented.
fn about(access: Access) -> u32 {
    u32::from(access.is_write()) << 1 | u32::from(access.is_user()) << 2 | u32::from(access.is_fetch()) << 4
}

/// What prevents fetches: NXE, but for 2-level paging, which has no XD.
fn prevents_fetches(mode: Mode) -> u32 {
    if mode == Mode::TwoLevel { !0x10 } else { !0 }
}
