//! What is read, what is written and where, in memory that lends and in memory that does not.

use std::cell::RefCell;

use pt_core::{MapOptions, Memory, MemoryMut, Protection, StaleRange, Unreadable};

use crate::{
    HERE, MIB, NEW, P, PAGE, PD, PDPT, PT, ROOT, W, done, edit, pages, pde, pte, range, space, stale, used,
};

/// Memory that lends as it is told to, and knows what else was read and written: addresses and lengths.
struct Watched {
    bytes: Vec<u8>,
    lends: bool,
    lends_to_change: bool,
    read: RefCell<Vec<(u64, usize)>>,
    written: Vec<(u64, usize)>,
}

impl Watched {
    fn new(bytes: Vec<u8>, lends: bool, lends_to_change: bool) -> Self {
        Self { bytes, lends, lends_to_change, read: RefCell::default(), written: Vec::new() }
    }

    /// What was read and written since it was last asked.
    fn seen(&mut self) -> [Vec<(u64, usize)>; 2] {
        [self.read.take(), std::mem::take(&mut self.written)]
    }
}

impl Memory for Watched {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.read.borrow_mut().push((address, into.len()));
        self.bytes.read(address, into)
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.bytes.lend(address, len).filter(|_| self.lends)
    }
}

impl MemoryMut for Watched {
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.written.push((address, bytes.len()));
        self.bytes.write(address, bytes)
    }

    fn lend_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        self.bytes.lend_mut(address, len).filter(|_| self.lends_to_change)
    }
}

const READ_ONLY: Protection = Protection { clear: W, set: 0, widen: false, skip_holes: false };

#[test]
fn an_edit_of_one_page_reads_each_entry_of_its_way_once() {
    let mut memory = Watched::new(space(&[]), false, false);
    let way = [(ROOT + 8, 8), (PDPT + 2 * 8, 8), (pde(3), 8), (pte(5), 8)];
    let mapped = edit(&mut memory, |mut editor| editor.map(range(5, 6), 0x9000, W, MapOptions::default()));
    assert_eq!(stale(&mapped.expect("maps")), []);
    assert_eq!(memory.seen(), [way.to_vec(), vec![(pte(5), 8)]]);
    assert_eq!(used(&memory.bytes, PT), [(5, 0x9000 | W | P)]);

    let page = StaleRange { root: ROOT, first: HERE + 5 * PAGE, last: HERE + 6 * PAGE - 1 };
    let protected = edit(&mut memory, |mut editor| editor.protect(range(5, 6), READ_ONLY));
    assert_eq!(stale(&protected.expect("protects")), [page]);
    assert_eq!(memory.seen(), [way.to_vec(), vec![(pte(5), 8)]]);
    // There is nothing left to change.
    let again = edit(&mut memory, |mut editor| editor.protect(range(5, 6), READ_ONLY));
    assert_eq!(stale(&again.expect("is so already")), []);
    assert_eq!(memory.seen(), [way.to_vec(), vec![]]);
    assert_eq!(used(&memory.bytes, PT), [(5, 0x9000 | P)]);

    let unmapped = edit(&mut memory, |mut editor| editor.unmap(range(5, 6)));
    assert_eq!(stale(&unmapped.expect("unmaps")), [page]);
    assert_eq!(memory.seen(), [way.to_vec(), vec![(pte(5), 8)]]);
    assert_eq!(used(&memory.bytes, PT), []);
}

#[test]
fn entries_in_range_are_read_and_those_that_change_are_written() {
    const NEXT: u64 = 0x5000;
    let mut entries = pages(507, 512);
    entries[2].1 &= !W;
    entries.extend([(pde(4), NEXT | P | W), (NEXT, 0xa000 | P | W), (NEXT + 8, 0xb000 | P | W)]);
    let mut memory = Watched::new(space(&entries), false, false);
    done(&mut memory, |mut editor| editor.protect(range(508, 514), READ_ONLY));
    let way = [(ROOT + 8, 8), (PDPT + 2 * 8, 8), (pde(3), 8)];
    let tables = [(pde(3), 16), (pte(508), 32), (NEXT, 16)];
    assert_eq!(
        memory.seen(),
        [
            // To see what is to be done, and to do it.
            [&way[..], &tables, &tables].concat(),
            vec![(pte(508), 8), (pte(510), 16), (NEXT, 16)],
        ]
    );
    entries.retain(|(at, _)| *at != pde(4));
    for (index, (at, raw)) in entries.into_iter().enumerate() {
        let left = if index == 0 { raw } else { raw & !W };
        assert_eq!(memory.bytes.read_entry(at, 8), Ok(left), "{at:#x}");
    }
}

#[test]
fn entries_that_are_lent_are_changed_where_they_are() {
    let mut bytes = space(&pages(510, 512));
    // No more is lent than is asked for.
    bytes.truncate(PT as usize + 4096);
    for lends_to_change in [true, false] {
        let mut memory = Watched::new(bytes.clone(), true, lends_to_change);
        done(&mut memory, |mut editor| editor.protect(range(510, 512), READ_ONLY));
        let written = if lends_to_change { vec![] } else { vec![(pte(510), 16)] };
        assert_eq!(memory.seen(), [vec![], written]);
        assert_eq!(used(&memory.bytes, PT), [(510, 0x5f_e000 | P), (511, 0x5f_f000 | P)]);
    }
}

#[test]
fn what_a_new_table_stood_on_is_gone() {
    for lends in [true, false] {
        for (from, to) in [(0, 1), (1, 2), (2, 5), (9, 512), (511, 512), (0, 512)] {
            let mut memory = Watched::new(space(&[]), lends, lends);
            let there = HERE + 2 * MIB + from * PAGE..=HERE + 2 * MIB + to * PAGE - 1;
            done(&mut memory, |mut editor| {
                editor.map(there, 0x10_1000 + from * PAGE, W, MapOptions::default())
            });
            let pages: Vec<_> = (from..to).map(|page| (page, (0x10_1000 + page * PAGE) | W | P)).collect();
            assert_eq!(used(&memory.bytes, NEW), pages);
            assert_eq!(used(&memory.bytes, PD).last().map(|(index, _)| *index), Some(4));
            assert!(memory.bytes[NEW as usize + 4096..].iter().all(|&byte| byte == 0xff));
        }
    }
}
