//! Guest-virtual memory as an instruction sees it.

use pt_vcpu::{AccessCause, AccessError, Fault, Marking, Mode, Privilege, TranslateError, Unreadable};

use super::one::{One, SMAP, SMEP, XD};
use crate::guest::{Guest, PAGED};

const USER: Privilege = Privilege::User;
const SUPERVISOR: Privilege = Privilege::Supervisor;

/// Two pages, the second of which is the supervisor's and read-only.
fn two_pages(mode: Mode) -> (Guest, u64) {
    let mut guest = Guest::new(mode);
    let va = 0x40_0000;
    guest.map(va, 0x8_0000);
    guest.map(va + 0x1000, 0x8_3000);
    let leaf = |guest: &Guest, va| guest.view().translate(va).unwrap().leaf.unwrap();
    let (first, second) = (leaf(&guest, va), leaf(&guest, va + 0x1000));
    guest.memory[first.entry as usize] |= 4;
    guest.memory[second.entry as usize] &= !2;
    let mut links = Vec::new();
    guest.view().trace(va, |step| links.push(step)).unwrap();
    let pdpte = usize::from(mode == Mode::Pae);
    for link in &links[pdpte..links.len() - 1] {
        guest.memory[link.entry as usize] |= 4;
    }
    (guest, va)
}

fn code(error: AccessError) -> (u64, usize, u32) {
    let AccessCause::Fault(Fault::Page(fault)) = error.cause else { panic!("{error}") };
    assert_eq!(fault.va, error.va);
    (error.va, error.done, fault.code.bits())
}

#[test]
fn accesses_stop_at_the_first_byte_that_is_not_permitted() {
    for mode in PAGED {
        let (mut guest, va) = two_pages(mode);
        guest.memory[0x8_0ff8..0x8_1000].copy_from_slice(b"eight by");
        guest.memory[0x8_3000..0x8_3004].copy_from_slice(b"tes\0");
        let from = va + 0xff8;
        let mut bytes = [0; 12];

        // A debugger sees everything, and so does the supervisor's read.
        guest.view().read(from, &mut bytes).unwrap();
        assert_eq!(&bytes, b"eight bytes\0");
        let supervisor = guest.view().with_access(SUPERVISOR);
        assert_eq!(supervisor.read_c_string(from, &mut bytes).unwrap(), c"eight bytes");

        let user = guest.view().with_access(USER);
        bytes.fill(0);
        assert_eq!(code(user.read(from, &mut bytes).unwrap_err()), (va + 0x1000, 8, 5), "{mode}");
        assert_eq!(&bytes[..8], b"eight by");
        assert_eq!(code(user.read_c_string(from, &mut bytes).unwrap_err()), (va + 0x1000, 8, 5));
        assert_eq!(code(user.read_integer::<u64>(from + 4).unwrap_err()), (va + 0x1000, 4, 5));
        assert_eq!(code(user.read_integers(from, &mut [0_u16; 6]).unwrap_err()), (va + 0x1000, 8, 5));
        assert_eq!(user.read_integer::<u64>(from), Ok(u64::from_le_bytes(*b"eight by")));

        let before = guest.memory.clone();
        let written = guest.view_mut().with_access(SUPERVISOR).write(from + 4, b"12345678").unwrap_err();
        assert_eq!(code(written), (va + 0x1000, 4, 3), "CR0.WP is set");
        let written = guest.view_mut().with_access(USER).write_integer(va + 0x1000, 1_u8).unwrap_err();
        assert_eq!(code(written), (va + 0x1000, 0, 7));
        let changed = (0..before.len()).filter(|&at| before[at] != guest.memory[at]);
        assert_eq!(changed.collect::<Vec<_>>(), [0x8_0ffc, 0x8_0ffd, 0x8_0ffe, 0x8_0fff]);
        assert_eq!(guest.view_mut().with_access(USER).write(va + 0x1000, &[]), Ok(()), "nothing is accessed");
    }
}

#[test]
fn kinds_of_access_are_told_apart() {
    let one = One::new(Mode::FourLevel).with(1, XD);
    let view = one.vcpu().view(&one.memory).with_access(USER);
    assert_eq!(view.read(one.va, &mut [0; 4]), Ok(()));
    assert_eq!(code(view.fetch(one.va, &mut [0; 4]).unwrap_err()), (one.va, 0, 0x15));
    assert_eq!(one.vcpu().view(&one.memory).fetch(one.va, &mut [0; 4]), Ok(()), "not judged");

    let one = One::new(Mode::FourLevel).in_state(|state| state.cr4 |= SMAP | SMEP);
    let view = |by| one.vcpu().view(&one.memory).with_access(by);
    assert_eq!(code(view(SUPERVISOR).read(one.va, &mut [0; 4]).unwrap_err()), (one.va, 0, 1));
    assert_eq!(code(view(SUPERVISOR).fetch(one.va, &mut [0; 4]).unwrap_err()), (one.va, 0, 0x11));
    assert_eq!(view(USER).fetch(one.va, &mut [0; 4]), Ok(()));
    let with_ac = one.clone().in_state(|state| state.rflags = super::one::AC);
    let view = |by| with_ac.vcpu().view(&with_ac.memory).with_access(by);
    assert_eq!(view(SUPERVISOR).read(one.va, &mut [0; 4]), Ok(()));
    assert_eq!(code(view(Privilege::Implicit).read(one.va, &mut [0; 4]).unwrap_err()), (one.va, 0, 1));
}

/// What is not a page fault, and what only an access that is not judged says.
#[test]
fn other_causes() {
    let mut one = One::new(Mode::FourLevel);
    one.va = 1 << 47;
    let judged = one.vcpu().view(&one.memory).with_access(USER).read(one.va, &mut [0]).unwrap_err();
    assert_eq!(judged.cause, AccessCause::Fault(Fault::NonCanonical { va: one.va }));
    let plain = one.vcpu().view(&one.memory).read(one.va, &mut [0]).unwrap_err();
    assert_eq!(plain.cause, AccessCause::Translate(TranslateError::NonCanonical { va: one.va }));
    assert_eq!(
        judged.to_string(),
        "stopped at 0x800000000000 after 0 byte(s): #GP: 0x800000000000 is not canonical"
    );

    let mut one = One::new(Mode::Pae);
    one.set(1, 0x7000_0007);
    let lost = one.vcpu().view(&one.memory).with_access(USER).read(one.va, &mut [0]).unwrap_err();
    assert_eq!(lost.cause, AccessCause::Physical { pa: 0x7000_0123, why: Unreadable::Outside });
}

/// Both pages of an access are judged before either is marked.
#[test]
fn marks_are_set_for_a_whole_access_or_not_at_all() {
    for mode in PAGED {
        let (mut guest, va) = two_pages(mode);
        let before = guest.memory.clone();
        let refused = guest.view_mut().mark(va + 0xffc, 8, SUPERVISOR.writes()).unwrap_err();
        assert_eq!(code(refused), (va + 0x1000, 4, 3));
        assert!(guest.memory == before, "{mode}");
        assert_eq!(guest.view_mut().mark(va + 0x1000, 0, USER.writes()), Ok(Marking::Complete));
        assert!(guest.memory == before, "{mode}: an access to nothing");

        let leaf = |guest: &Guest, va| guest.view().translate(va).unwrap().leaf.unwrap().raw & 0x60;
        assert_eq!(guest.view_mut().mark(va + 0xffc, 8, SUPERVISOR.reads()), Ok(Marking::Complete));
        assert_eq!((leaf(&guest, va), leaf(&guest, va + 0x1000)), (0x20, 0x20), "{mode}");
        assert_eq!(guest.view_mut().mark(va + 0xff8, 8, USER.writes()), Ok(Marking::Complete));
        assert_eq!((leaf(&guest, va), leaf(&guest, va + 0x1000)), (0x60, 0x20), "{mode}");
    }
}
