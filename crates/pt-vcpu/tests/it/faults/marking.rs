//! Accessed and dirty bits ("Accessed and Dirty Flags"): which are set, when, and that nothing else changes.

use pt_core::{Memory, NoBuffer, Step};
use pt_vcpu::{Fault, Marking, MemoryExchange, Mode, Privilege, Unreadable};

use super::one::{One, XD};
use crate::guest::PAGED;

const A: u64 = 1 << 5;
const D: u64 = 1 << 6;
const USER: Privilege = Privilege::User;

/// The levels that have pages, with a page there.
fn pages(mode: Mode) -> Vec<(u8, One)> {
    let mut pages = vec![(1, One::new(mode)), (2, One::large(mode, 2))];
    if matches!(mode, Mode::FourLevel | Mode::FiveLevel) {
        pages.push((3, One::large(mode, 3)));
    }
    pages
}

#[test]
fn accessed_in_every_entry_and_dirty_in_the_page_that_is_written() {
    for mode in PAGED {
        for (leaf, one) in pages(mode) {
            for access in [USER.reads(), USER.writes(), USER.fetches()] {
                let mut marked = one.clone();
                let (found, marking) =
                    one.vcpu().translate_marking(&mut marked.memory, one.va, access).unwrap();
                assert_eq!((found, marking), (one.access(access).unwrap(), Marking::Complete));
                let mut expected = one.clone();
                for level in leaf..=one.levels() {
                    let accessed = if mode == Mode::Pae && level == 3 { 0 } else { A };
                    let dirty = if level == leaf && access.is_write() { D } else { 0 };
                    expected = expected.with(level, accessed | dirty);
                }
                assert!(marked.memory == expected.memory, "{mode}: {access}, a page at level {leaf}");
                // Twice is once, and a read takes no dirty bit away.
                let again = one.vcpu().translate_marking(&mut marked.memory, one.va, USER.reads());
                assert_eq!(again.unwrap().1, Marking::Complete);
                assert!(marked.memory == expected.memory, "{mode}: {access}, again");
            }
        }
    }
}

#[test]
fn an_access_that_is_refused_marks_nothing() {
    for mode in PAGED {
        let one = One::new(mode).without(1, 2);
        let absent = one.clone().without(1, 1);
        for one in [one, absent] {
            let mut memory = one.memory.clone();
            let refused = one.vcpu().translate_marking(&mut memory, one.va, USER.writes());
            assert_eq!(refused.map(|_| ()), one.access(USER.writes()).map(|_| ()));
            assert!(memory == one.memory, "{mode}");
        }
    }
}

/// Memory whose first pages cannot be written, or change after an entry was read.
struct Odd {
    bytes: Vec<u8>,
    read_only: u64,
    /// Exchanges to disturb: as many first exchanges find the last byte of their entry changed.
    disturb: usize,
    exchanges: usize,
}

impl Memory for Odd {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.bytes.read(address, into)
    }
}

impl MemoryExchange for Odd {
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        if address < self.read_only {
            return Err(Unreadable::ReadOnly);
        }
        self.exchanges += 1;
        if self.exchanges <= self.disturb {
            self.bytes[address as usize + width - 1] ^= 0x80;
        }
        self.bytes.compare_exchange(address, width, current, new)
    }
}

/// Tables in read-only memory (an option ROM's, a snapshot's) are passed over, and said.
#[test]
fn what_cannot_be_written_is_passed_over_and_said() {
    let one = One::new(Mode::FourLevel);
    for (read_only, first) in [(0x2000, Some(1)), (0x3000, Some(2)), (0x5000, Some(4)), (0x1000, None)] {
        let mut memory = Odd { bytes: one.memory.clone(), read_only, disturb: 0, exchanges: 0 };
        let (found, marking) = one.vcpu().translate_marking(&mut memory, one.va, USER.writes()).unwrap();
        assert_eq!(found.pa, 0x8123);
        let step = |level: u8| Step {
            level: pt_core::Level::new(level).unwrap(),
            entry: one.entry(level),
            raw: one.get(level),
        };
        let skipped = |level| Marking::Skipped { step: step(level), why: Unreadable::ReadOnly };
        assert_eq!(marking, first.map_or(Marking::Complete, skipped));
        let mut expected = one.clone();
        for level in (1..=4).filter(|&level| one.entry(level) >= read_only) {
            expected = expected.with(level, if level == 1 { A | D } else { A });
        }
        assert!(memory.bytes == expected.memory, "the others are marked");
    }
    // Nothing to mark is nothing to write.
    let marked = (1..=4).fold(one, |one, level| one.with(level, A | D));
    let mut memory = Odd { bytes: marked.memory.clone(), read_only: u64::MAX, disturb: 0, exchanges: 0 };
    let (_, marking) = marked.vcpu().translate_marking(&mut memory, marked.va, USER.writes()).unwrap();
    assert_eq!(marking, Marking::Complete);
}

/// An entry that changes between being read and being marked: all is judged anew, on what is there then.
#[test]
fn a_race_begins_anew() {
    // The entry that changes is the root's: XD is set and cleared in turns.
    for (disturb, access, allowed) in [
        (1, USER.reads(), true),
        (2, USER.reads(), true),
        (1, USER.fetches(), false),
        (2, USER.fetches(), false),
    ] {
        let one = One::new(Mode::FourLevel);
        let mut memory = Odd { bytes: one.memory.clone(), read_only: 0, disturb, exchanges: 0 };
        let outcome = one.vcpu().translate_marking(&mut memory, one.va, access);
        if allowed {
            assert_eq!(outcome.unwrap().1, Marking::Complete);
            let root = if disturb == 1 { one.get(4) | XD } else { one.get(4) };
            let expected = One { memory: memory.bytes.clone(), ..one };
            assert_eq!(expected.get(4), root | A, "no change of the guest's is lost");
        } else {
            let Err(Fault::Page(fault)) = outcome else { panic!("{outcome:?}") };
            assert_eq!((fault.code.bits(), fault.level.number()), (0x15, 4));
            let expected = One { memory: memory.bytes.clone(), ..one.with(4, XD) };
            assert_eq!(expected.get(4) & A, 0);
        }
    }
}

#[test]
fn a_guest_that_never_stops_writing_does_not_hold_anybody_up() {
    let one = One::new(Mode::Pae);
    let mut memory = Odd { bytes: one.memory.clone(), read_only: 0, disturb: usize::MAX, exchanges: 0 };
    // Both the directory's entry and what it is changed to permit reads.
    let outcome = one.vcpu().translate_marking(&mut memory, one.va, USER.reads());
    assert_eq!(outcome.map(|_| ()), Err(Fault::Contended { va: one.va }));
    assert!(memory.exchanges < 1000, "{}", memory.exchanges);
}

/// A root that maps itself: one entry is all levels' and the page's.
#[test]
fn a_self_map_is_marked_as_link_and_as_page() {
    for mode in [Mode::TwoLevel, Mode::FourLevel, Mode::FiveLevel] {
        let mut one = One::new(mode);
        let root = one.registers.cr3;
        one.set(one.levels(), root | 7);
        let mut memory = one.memory.clone();
        let (found, marking) = one.vcpu().translate_marking(&mut memory, one.va, USER.writes()).unwrap();
        assert_eq!((found.pa, marking), (root | 0x123, Marking::Complete));
        let expected = one.clone().with(one.levels(), A | D);
        assert!(memory == expected.memory, "{mode}");
    }
}
