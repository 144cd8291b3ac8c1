//! Where memory and address spaces end, and where both begin.

use pt_amd64::FourLevel;
use pt_core::{
    Cause, Encode, Event, Extents, Geometry, Level, Limits, Memory, Options, Unreadable, Walk, translate,
};

use crate::every_format;
use crate::heap::peak;
use crate::made::{Made, ROOT, bomb, link};

every_format! {
    tables_at_the_end_of_memory = end_of_memory;
    physical_address_zero = zero;
    ranges_at_both_ends = ranges;
}

/// Memory that has all addresses, and every bit of it set.
struct Full;

impl Memory for Full {
    type Buffer = [u8; 4096];
    fn read(&self, _: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        into.fill(0xff);
        Ok(())
    }
}

/// A table in the last bytes that there are, and the same with one byte less.
fn end_of_memory<F: Encode>(format: &F) {
    let size = F::table_bytes(F::ROOT);
    let mut memory = vec![0; 0x1000 + size];
    let last = F::entries(F::ROOT) - 1;
    let raw = link(format, F::ROOT, 7).to_le_bytes();
    memory[0x1000 + last * F::ENTRY_BYTES..].copy_from_slice(&raw[..F::ENTRY_BYTES]);
    let events = |memory: &[u8]| -> Vec<_> {
        Walk::new(format.clone(), memory, &[0x1000], Options::default())
            .map(|event| event.expect("no limit"))
            .collect()
    };
    let [Event::Table(_), Event::Fault(fault)] = events(&memory)[..] else { panic!("{:?}", events(&memory)) };
    assert!(matches!(fault.cause, Cause::Unreadable { table: 0x7000, why: Unreadable::Outside, .. }));
    memory.pop();
    let [Event::Fault(fault)] = events(&memory)[..] else { panic!("{:?}", events(&memory)) };
    assert!(matches!(fault.cause, Cause::Unreadable { table: 0x1000, .. }));

    // The highest table that an entry can name, and what follows it in memory that has all addresses.
    let top = format.highest_table_address(F::ROOT) & !0xfff;
    for event in
        Walk::new(format.clone(), &Full, &[u64::MAX, top, top | 0xfe0], Options::default()).take(5000)
    {
        let _ = event.expect("no limit");
    }
    for va in [0, u64::MAX, 1 << 31, !(1 << 31)] {
        let _ = translate(format, &Full, u64::MAX, va);
    }
}

fn zero<F: Encode>(format: &F) {
    // The root at 0 links itself at every level.
    let memory = Made::new(format, |table, index| {
        (table == 0 && index == 0).then(|| link(format, F::ROOT, 0)).or(Some(0))
    });
    let events: Vec<_> = Walk::new(format.clone(), &memory, &[0], Options::default()).collect();
    assert_eq!(events.len(), usize::from(F::LEVELS) + 1);
    assert!(events.iter().all(Result::is_ok));
    let page = translate(format, &memory, 0, 0xabc).expect("it maps itself");
    assert_eq!((page.pa, page.level), (0xabc, Level::LEAF));
}

fn ranges<F: Encode>(format: &F) {
    let memory = bomb(format, |_| 0);
    let (lowest, highest) = (0_u64, F::canonical(F::VA_MASK));
    for va in [lowest, highest] {
        let pages = |range| -> Vec<u64> {
            let walk = Walk::new(format.clone(), &memory, &[ROOT], Options { range, ..Options::default() });
            walk.filter_map(|event| match event.expect("no limit") {
                Event::Leaf(leaf) => Some(leaf.va),
                _ => None,
            })
            .collect()
        };
        assert_eq!(pages(va..=va), [va & !0xfff]);
        assert_eq!(memory.reads(), u64::from(F::LEVELS));
        let extents: Vec<_> = Extents::new(format.clone(), &memory, ROOT, va..=va)
            .map(|extent| (extent.va, extent.len))
            .collect();
        assert_eq!(extents, [(va, 1)]);
        memory.reads();
    }
    let both = Walk::new(format.clone(), &memory, &[ROOT], Options::default());
    assert!(both.count() > 0);
    let reversed = core::ops::RangeInclusive::new(highest, lowest);
    let none = Options { range: reversed, ..Options::default() };
    memory.reads();
    assert_eq!(Walk::new(format.clone(), &memory, &[ROOT], none).count(), 0);
    assert_eq!(memory.reads(), 0);
}

/// Every entry of 2048 directories links another table that is not there; from two roots.
#[test]
fn a_million_tables_that_cannot_be_read() {
    const MILLION: u64 = 2048 * 512;
    let (format, level) = (FourLevel::default(), |number| Level::new(number).expect("a level"));
    let memory = Made::new(&format, |table, index| match table {
        1 | 2 => Some(if index < 4 { link(&format, level(4), 0x10 + index) } else { 0 }),
        0x10..0x14 => Some(link(&format, level(3), 0x1000 + (table - 0x10) * 512 + index)),
        0x1000..0x1800 => Some(link(&format, level(2), 0x10_0000 + (table - 0x1000) * 512 + index)),
        _ => None,
    });
    let faults = |roots: &[u64]| {
        let walk = Walk::new(format, &memory, roots, Options::default());
        walk.filter(|event| matches!(event, Ok(Event::Fault(_)))).count() as u64
    };
    let (found, bytes) = peak(|| faults(&[0x1000]));
    assert_eq!((found, memory.reads()), (MILLION, 1 + 4 + 2048 + MILLION));
    assert!(bytes <= 64 * MILLION, "{bytes}");
    // What shares them reads nothing again.
    assert_eq!((faults(&[0x1000, 0x2000]), memory.reads()), (MILLION, 2 + 4 + 2048 + MILLION));
    // Each is a read, and so they count as tables where those are limited.
    let limits = Limits { tables: 10_000, ..Limits::NONE };
    let options = Options { limits, ..Options::default() };
    let last = Walk::new(format, &memory, &[0x1000], options).last();
    assert!(matches!(last, Some(Err(reached)) if reached.limit == 10_000), "{last:?}");
    assert_eq!(memory.reads(), 10_000);
}
