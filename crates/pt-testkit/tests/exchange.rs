//! Exchanging entries of memory that is a slice, and marking in a format that is not x86's.

use pt_core::{
    Marking, MemoryExchange, Permissions, Step, TranslateError, Unreadable, translate_judged,
    translate_marking,
};
use pt_testkit::toy::{Toy, Writable};

#[test]
fn an_entry_is_exchanged_if_it_is_what_it_was() {
    let mut memory = vec![0_u8; 24];
    memory[8..16].copy_from_slice(&0x1122_3344_5566_7788_u64.to_le_bytes());
    let mut exchange = |address, width, current, new| {
        let done = memory.compare_exchange(address, width, current, new);
        (done, u64::from_le_bytes(memory[8..16].try_into().unwrap()))
    };
    let old = 0x1122_3344_5566_7788;
    assert_eq!(exchange(8, 8, old ^ 1 << 63, 5), (Ok(false), old));
    assert_eq!(exchange(8, 8, old, 0xa1a2_a3a4_a5a6_a7a8), (Ok(true), 0xa1a2_a3a4_a5a6_a7a8));
    // Only as many bytes as the entry has.
    assert_eq!(
        exchange(8, 4, 0xdead_beef_a5a6_a7a8, 0xffff_ffff_0000_0001),
        (Ok(true), 0xa1a2_a3a4_0000_0001)
    );
    assert_eq!(exchange(12, 4, 0xa1a2_a3a5, 0), (Ok(false), 0xa1a2_a3a4_0000_0001));
    for (address, width) in [(17, 8), (20, 8), (24, 4), (u64::MAX, 8), (u64::MAX - 3, 4)] {
        assert_eq!(
            exchange(address, width, 0, 1).0,
            Err(Unreadable::Outside),
            "{width} bytes at {address:#x}"
        );
    }
    assert_eq!(memory[..8], [0; 8]);
    assert_eq!(memory[16..], [0; 8]);
    // Behind a reference too.
    let mut behind: &mut [u8] = &mut memory;
    assert_eq!(MemoryExchange::compare_exchange(&mut behind, 0, 4, 0, 7), Ok(true));
    assert_eq!(memory[0], 7);
}

#[derive(Debug, PartialEq)]
enum Refused {
    Lost(TranslateError),
    ReadOnly(Vec<u8>),
}

impl From<TranslateError> for Refused {
    fn from(error: TranslateError) -> Self {
        Self::Lost(error)
    }
}

/// Writes, where every entry permits them.
fn judge(found: &pt_core::Translation<Writable>, path: &[Step]) -> Result<(), Refused> {
    let levels = path.iter().map(|step| step.level.number()).collect();
    if found.rights.writable() { Ok(()) } else { Err(Refused::ReadOnly(levels)) }
}

#[test]
fn any_format_is_judged_and_marked() {
    // Three tables of two entries, one behind the other; the page is at 0x2000.
    let mut memory = vec![0_u8; 0x60];
    let mut set = |at: usize, raw: u64| memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    for (at, raw) in [(0, 0x23), (0x20, 0x43), (0x40, 0x2003), (0x48, 0x3001)] {
        set(at, raw);
    }
    let (found, marking) = translate_marking(&Toy, &mut memory, 0, 0x123, true, judge).unwrap();
    assert_eq!((found.pa, found.raw, marking), (0x2123, 0x2003, Marking::Complete));
    let entries = [0, 0x20, 0x40].map(|at| u64::from_le_bytes(memory[at..at + 8].try_into().unwrap()));
    assert_eq!(entries, [0x23 | 1 << 62, 0x43 | 1 << 62, 0x2003 | 3 << 62]);

    // What is refused is not marked, and what is lost is said as `translate` says it.
    let before = memory.clone();
    let refused = translate_marking(&Toy, &mut memory, 0, 0x1123, true, judge);
    assert_eq!(refused, Err(Refused::ReadOnly(vec![3, 2, 1])));
    assert_eq!(translate_judged(&Toy, &memory, 0, 0x1123, judge), Err(Refused::ReadOnly(vec![3, 2, 1])));
    let lost = pt_core::translate(&Toy, &memory, 0, 0x2123).unwrap_err();
    assert_eq!(translate_marking(&Toy, &mut memory, 0, 0x2123, true, judge), Err(Refused::Lost(lost)));
    assert_eq!(translate_judged(&Toy, &memory, 0, 0x2123, judge), Err(Refused::Lost(lost)));
    assert!(memory == before);
}
