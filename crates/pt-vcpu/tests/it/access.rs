//! Bytes and integers over pages, in every mode.

use std::cell::RefCell;

use pt_core::{Cause, NoBuffer};
use pt_vcpu::{AccessCause, AccessError, Memory, MemoryMut, Mode, TranslateError, Unreadable};

use crate::guest::{Guest, PAGED};

/// The page before the boundary, and the one after it, anywhere else in memory.
const BOUNDARY: u64 = 0x80_0000;
const FRAMES: (u64, u64) = (0x9_5000, 0x8_3000);

fn two_pages(mode: Mode) -> Guest {
    let mut guest = Guest::new(mode);
    guest.map(BOUNDARY - 0x1000, FRAMES.0);
    guest.map(BOUNDARY, FRAMES.1);
    for (index, byte) in guest.memory[0x8_0000..].iter_mut().enumerate() {
        *byte = (index % 251) as u8;
    }
    guest
}

/// The byte at an address of those two pages.
fn physical(va: u64) -> usize {
    let page = if va < BOUNDARY { FRAMES.0 } else { FRAMES.1 };
    (page + va % 0x1000) as usize
}

#[test]
fn every_crossing_of_a_page_boundary() {
    for mode in PAGED {
        let mut guest = two_pages(mode);
        for (before, len) in (0..=20).flat_map(|before| (0..=40).map(move |len| (before, len))) {
            let va = BOUNDARY - before;
            let mut bytes = [0; 40];
            guest.view().read(va, &mut bytes[..len]).unwrap();
            let expected: Vec<u8> =
                (0..len as u64).map(|offset| guest.memory[physical(va + offset)]).collect();
            assert_eq!(bytes[..len], expected, "{mode}");

            let mut model = guest.memory.clone();
            let written: Vec<u8> = expected.iter().map(|byte| byte.wrapping_add(len as u8)).collect();
            for (offset, byte) in written.iter().enumerate() {
                model[physical(va + offset as u64)] = *byte;
            }
            guest.view_mut().write(va, &written).unwrap();
            assert!(guest.memory == model, "{mode}: {len} bytes at {va:#x}");
        }
    }
}

/// Large pages next to small ones, at every size that the mode has.
#[test]
fn pages_of_every_size() {
    for (mode, sizes) in [
        (Mode::TwoLevel, vec![(1, 4 << 20)]),
        (Mode::Pae, vec![(2, 2 << 20)]),
        (Mode::FourLevel, vec![(2, 1 << 30), (3, 2 << 20)]),
        (Mode::FiveLevel, vec![(3, 1 << 30), (4, 2 << 20)]),
    ] {
        for (depth, size) in sizes {
            let mut guest = Guest::new(mode);
            guest.map(size - 0x1000, 0x8_0000);
            guest.map_at(size, 0, depth);
            guest.map(2 * size, 0x8_1000);
            guest.memory[0x8_0ffc..0x8_1004].copy_from_slice(b"low high");
            guest.memory[..4].copy_from_slice(b"zero");
            assert_eq!(guest.view().translate(size + 5).unwrap().page_size, size);
            let mut bytes = [0; 8];
            guest.view().read(size - 4, &mut bytes).unwrap();
            assert_eq!(&bytes, b"low zero");
            // The end of the large page is beyond the guest's memory.
            let lost = guest.view().read(2 * size - 2, &mut bytes).unwrap_err();
            let cause = AccessCause::Physical { pa: size - 2, why: Unreadable::Outside };
            assert_eq!(lost, AccessError { va: 2 * size - 2, done: 0, cause });
        }
    }
}

#[test]
fn holes_say_where_and_how_far() {
    for mode in PAGED {
        let mut guest = two_pages(mode);
        let end = BOUNDARY + 0x1000;
        for left in 0..8 {
            let mut bytes = [0; 8];
            let stopped = guest.view().read(end - left, &mut bytes).unwrap_err();
            assert_eq!((stopped.va, stopped.done), (end, left as usize));
            let absent = TranslateError::NotPresent { level: pt_core::Level::LEAF, entry: 0, raw: 0 };
            let AccessCause::Translate(TranslateError::NotPresent { level, raw, .. }) = stopped.cause else {
                panic!("{stopped}")
            };
            assert_eq!(TranslateError::NotPresent { level, entry: 0, raw }, absent);
            for offset in 0..left {
                assert_eq!(bytes[offset as usize], guest.memory[physical(end - left + offset)]);
            }

            let before = guest.memory.clone();
            assert_eq!(guest.view_mut().write(end - left, &[0xee; 8]), Err(stopped));
            let changed = guest.memory.iter().zip(&before).filter(|(now, before)| now != before).count();
            assert_eq!(changed, left as usize, "what comes before the hole was written, and nothing else");
            guest.memory = before;
        }
        assert_eq!(guest.view().read(end, &mut []), Ok(()), "nothing asked for, nothing translated");
        assert_eq!(guest.view_mut().write(end, &[]), Ok(()));
    }
}

/// Memory that ends anywhere inside a page: the first byte that is missing is found exactly.
#[test]
fn memory_that_ends_inside_a_page() {
    for mode in [Mode::Unpaged, Mode::TwoLevel, Mode::FourLevel] {
        let mut guest = Guest::new(mode);
        let frame = 0x9_0000;
        if mode != Mode::Unpaged {
            guest.map(frame, frame);
        }
        guest.memory[frame as usize..].fill(7);
        for held in [0, 1, 2, 3, 100, 255, 256, 257, 4094, 4095] {
            guest.memory.truncate(frame as usize + 4096);
            guest.memory.truncate(frame as usize + held);
            let mut bytes = [0; 4096];
            let stopped = guest.view().read(frame, &mut bytes).unwrap_err();
            let pa = frame + held as u64;
            let cause = AccessCause::Physical { pa, why: Unreadable::Outside };
            assert_eq!(stopped, AccessError { va: pa, done: held, cause });
            assert_eq!(bytes[..held], vec![7; held]);
            assert_eq!(guest.view_mut().write(frame, &[9; 4096]), Err(stopped));
            assert!(guest.memory[frame as usize..].iter().all(|&byte| byte == 9));
            guest.memory.resize(0x10_0000, 7);
            guest.memory[frame as usize..].fill(7);
        }
    }
}

#[test]
fn what_a_table_says_is_passed_on() {
    let mut guest = two_pages(Mode::FourLevel);
    // A reserved bit in the page after the boundary, then a table outside the memory.
    let leaf = guest.view().translate(BOUNDARY).unwrap().leaf.unwrap();
    guest.memory[leaf.entry as usize + 7] = 0x80;
    let stopped = guest.view().read(BOUNDARY - 3, &mut [0; 8]).unwrap_err();
    assert_eq!((stopped.va, stopped.done), (BOUNDARY, 3));
    let reserved = 1 << 63;
    assert!(
        matches!(stopped.cause, AccessCause::Translate(TranslateError::Fault(Cause::Malformed { reserved: bits, .. })) if bits == reserved)
    );
    assert!(stopped.to_string().starts_with("stopped at 0x800000 after 3 byte(s): "), "{stopped}");
    guest.vcpu = guest.vcpu.with_cr3(0x7000_0000);
    let stopped = guest.view().read(BOUNDARY, &mut [0; 8]).unwrap_err();
    assert!(matches!(
        stopped.cause,
        AccessCause::Translate(TranslateError::Fault(Cause::Unreadable { why: Unreadable::Outside, .. }))
    ));
}

#[test]
fn integers_of_every_width() {
    for mode in PAGED {
        let mut guest = two_pages(mode);
        let mut view = guest.view_mut();
        for before in 0..=16 {
            let va = BOUNDARY - before;
            macro_rules! round_trip {
                ($($value:expr),*) => {$(
                    view.write_integer(va, $value).unwrap();
                    assert_eq!(view.read_integer(va), Ok($value));
                )*};
            }
            round_trip!(0xf1_u8, -2_i8, 0xf1f2_u16, -3_i16, 0xf1f2_f3f4_u32, -4_i32, i64::MIN, i128::MIN + 1);
            round_trip!(0xf1f2_f3f4_f5f6_f7f8_u64, 0xf1f2_f3f4_f5f6_f7f8_f9fa_fbfc_fdfe_ff00_u128);
            assert_eq!(view.read_integer::<u8>(va), Ok(0), "little-endian");
            assert_eq!(view.read_integer::<u8>(va.wrapping_add(15)), Ok(0xf1));
        }
    }
}

/// Arrays go through a buffer of 256 bytes; here its ends fall on both sides of a page's.
#[test]
fn arrays() {
    let mut guest = two_pages(Mode::Pae);
    let values: Vec<u32> = (0..300_u32).map(|value| value.wrapping_mul(0x0101_0101)).collect();
    let va = BOUNDARY - 602;
    guest.view_mut().write_integers(va, &values).unwrap();
    let mut read = vec![0; 300];
    guest.view().read_integers(va, &mut read).unwrap();
    assert_eq!(read, values);
    assert_eq!(guest.view().read_integer::<u32>(va + 4 * 299), Ok(values[299]));

    // The array ends 602 bytes behind the end of what is mapped.
    let va = BOUNDARY + 0x1000 - 598;
    let stopped = guest.view_mut().write_integers(va, &values).unwrap_err();
    assert_eq!((stopped.va, stopped.done), (BOUNDARY + 0x1000, 598));
    read.fill(0xdead);
    assert_eq!(guest.view().read_integers(va, &mut read), Err(stopped));
    assert_eq!(read[..149], values[..149]);
    assert_eq!(read[149..], vec![0xdead; 151], "the integer that was cut is not made up");
    assert_eq!(guest.view().read_integers::<u128>(0, &mut []), Ok(()));
}

/// Memory that records what is read of it.
struct Recorded<'a>(&'a [u8], RefCell<Vec<(u64, usize)>>);

impl Memory for Recorded<'_> {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.1.borrow_mut().push((address, into.len()));
        self.0.read(address, into)
    }
}

impl MemoryMut for Recorded<'_> {
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.1.borrow_mut().push((address, bytes.len()));
        let end = address + bytes.len() as u64;
        if end <= self.0.len() as u64 { Ok(()) } else { Err(Unreadable::Outside) }
    }
}

/// A debugger's read costs one entry per level and one read, and touches nothing else.
#[test]
fn what_is_read() {
    for (mode, levels) in PAGED.into_iter().zip([2, 3, 4, 5]) {
        let guest = two_pages(mode);
        let memory = Recorded(&guest.memory, RefCell::default());
        let view = guest.vcpu.view(&memory);
        view.read_integer::<u64>(BOUNDARY - 8).unwrap();
        let reads = memory.1.take();
        assert_eq!((reads.len(), reads[levels]), (levels + 1, (FRAMES.0 + 0xff8, 8)));
        view.read_integer::<u64>(BOUNDARY - 4).unwrap();
        assert_eq!(memory.1.take().len(), 2 * (levels + 1));
        // A string of three bytes at the end of its page: the next page is not looked at.
        let last = guest.memory[physical(BOUNDARY - 1)];
        assert_ne!(last, 0);
        view.read_c_string(BOUNDARY - 300, &mut [0; 300]).unwrap();
        let reads = memory.1.take();
        assert_eq!((reads.len(), reads[levels]), (levels + 1, (FRAMES.0 + 0x1000 - 300, 300)));
    }
}

/// Without paging all is one page; strings are read by the smallest one nevertheless.
#[test]
fn a_string_in_a_large_page_is_not_read_far_beyond_its_end() {
    let mut guest = Guest::new(Mode::Unpaged);
    guest.memory[0x123..0x2345].fill(b'x');
    let memory = Recorded(&guest.memory, RefCell::default());
    let read = |len: usize| {
        let _ = guest.vcpu.view(&memory).read_c_string(0x123, &mut vec![0; len]);
        memory.1.take()
    };
    assert_eq!(read(0x8000), [(0x123, 0xedd), (0x1000, 0x1000), (0x2000, 0x1000)]);
    assert_eq!(read(0xede), [(0x123, 0xedd), (0x1000, 1)]);
    assert_eq!(read(0xedc), [(0x123, 0xedc)]);
}

/// The whole, and then one try for each halving of 4096 bytes.
#[test]
fn the_first_byte_that_is_missing_is_found_by_halving() {
    let guest = Guest::new(Mode::Unpaged);
    for held in [0, 1, 0x7ff, 0x800, 0xffe, 0xfff] {
        let memory = Recorded(&guest.memory[..0x5000 + held], RefCell::default());
        let mut view = guest.vcpu.view(memory);
        let cause = AccessCause::Physical { pa: 0x5000 + held as u64, why: Unreadable::Outside };
        let lost = Err(AccessError { va: 0x5000 + held as u64, done: held, cause });
        assert_eq!(view.read(0x5000, &mut [0; 4096]), lost);
        assert_eq!(view.memory().1.take().len(), 13);
        assert_eq!(view.write(0x5000, &[0; 4096]), lost);
        assert_eq!(view.memory().1.take().len(), 13);
    }
}
