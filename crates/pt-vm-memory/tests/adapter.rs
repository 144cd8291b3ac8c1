//! `VmMemory` against a model, byte by byte, and what it asks of the regions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::*;
use pt_amd64::FourLevel;
use pt_core::{
    Event, Marking, Memory, MemoryExchange, MemoryMut, Options, Segment, Segments, Unreadable, Walk,
};
use pt_testkit::generate::{Case, Kind, cases};
use pt_vcpu::{Fault, Machine, Privilege, Registers, Vcpu};
use pt_vm_memory::VmMemory;
use vm_memory::bitmap::{AtomicBitmap, BS, Bitmap};
use vm_memory::volatile_memory::VolatileSlice;
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryError, GuestMemoryMmap, GuestMemoryRegion,
    GuestMemoryRegionBytes, GuestMemoryResult, GuestRegionCollection, GuestRegionMmap, GuestUsize,
    MemoryRegionAddress,
};

type Ram = GuestMemoryMmap<()>;

fn ram(ranges: &[(u64, usize)]) -> Ram {
    let ranges: Vec<_> = ranges.iter().map(|&(start, len)| (GuestAddress(start), len)).collect();
    Ram::from_ranges(&ranges).unwrap()
}

#[test]
fn holes_and_ends() {
    let ram = ram(&[(0x1000, 0x1000), (0x2000, 0x800), (0x1_0000_0000, 0x1000)]);
    let memory = VmMemory::new(&ram);
    assert_eq!(
        memory.ranges().collect::<Vec<_>>(),
        [0x1000..=0x1fff, 0x2000..=0x27ff, 0x1_0000_0000..=0x1_0000_0fff]
    );
    let mut bytes = [0; 16];
    for (address, readable) in [
        (0, false),
        (0xfff, false),
        (0x1000, true),
        (0x1ff8, true),
        (0x27f0, true),
        (0x27f1, false),
        (0x2800, false),
        (0xffff_ffff, false),
        (0x1_0000_0000, true),
        (0x1_0000_0ff1, false),
        (0x1_0000_1000, false),
        (u64::MAX - 3, false),
    ] {
        let expected = if readable { Ok(()) } else { Err(Unreadable::Outside) };
        assert_eq!(memory.read(address, &mut bytes), expected, "{address:#x}");
        assert_eq!((&memory).write(address, &bytes), expected, "{address:#x}");
        assert_eq!(memory.read(address, &mut []), Ok(()));
    }
    for (address, next) in [
        (0, Some(0x1000)),
        (0x1fff, Some(0x1fff)),
        (0x2800, Some(0x1_0000_0000)),
        (0x1_0000_0fff, Some(0x1_0000_0fff)),
        (0x1_0000_1000, None),
    ] {
        assert_eq!(memory.next_readable(address), next, "{address:#x}");
    }
    assert_eq!(memory.read_entry(0x27fc, 4), Ok(0));
    assert_eq!(memory.read_entry(0x27fc, 8), Err(Unreadable::Outside));
    assert_eq!((&memory).write(0x27fc, &[1; 8]), Err(Unreadable::Outside));
    assert_eq!(
        format!("{memory:?}").lines().next(),
        Some("VmMemory[0x1000..=0x1fff, 0x2000..=0x27ff, 0x100000000..=0x100000fff]")
    );
}

/// A region that ends with the last physical address there is.
#[test]
fn the_last_address() {
    let regions = vec![Flat {
        first: u64::MAX - 0xfff,
        slices: true,
        asked: AtomicUsize::new(0),
        bytes: mapped(0x1000),
    }];
    let ram = GuestRegionCollection::from_regions(regions).unwrap();
    let mut memory = VmMemory::new(&ram);
    assert_eq!(memory.ranges().collect::<Vec<_>>(), [u64::MAX - 0xfff..=u64::MAX]);
    assert_eq!(memory.write(u64::MAX - 7, &[1, 2, 3, 4, 5, 6, 7, 8]), Ok(()));
    assert_eq!(memory.read_entry(u64::MAX - 3, 4), Ok(0x0807_0605));
    let mut bytes = [0; 3];
    assert_eq!(memory.read(u64::MAX - 2, &mut bytes), Ok(()));
    assert_eq!(bytes, [6, 7, 8]);
    assert_eq!(memory.read(u64::MAX - 2, &mut [0; 4]), Err(Unreadable::Outside));
    assert_eq!(memory.read(0, &mut bytes), Err(Unreadable::Outside));
}

/// Regions of any number and size, some of them touching, in the model as bytes.
fn regions() -> impl Strategy<Value = Vec<(u64, usize)>> {
    let gap = prop_oneof![2 => Just(0), 2 => 1..9_u64, 1 => 0..0x4000_u64, 1 => Just(1 << 33)];
    prop::collection::vec((gap, prop_oneof![1..40_usize, 4090..4100_usize]), 1..20).prop_map(|gaps| {
        let mut next = 0;
        let place = |(gap, len)| {
            let start = next + gap;
            next = start + len as u64;
            (start, len)
        };
        gaps.into_iter().map(place).collect()
    })
}

proptest! {
    #[test]
    fn as_a_map_of_bytes(
        ranges in regions(),
        accesses in prop::collection::vec(
            (any::<prop::sample::Index>(), -20..20_i64, prop_oneof![Just(4_usize), Just(8), 0..100_usize, Just(5000)], any::<bool>()),
            1..40,
        ),
    ) {
        let ram = ram(&ranges);
        let memory = VmMemory::new(&ram);
        let mut model: BTreeMap<u64, u8> =
            ranges.iter().flat_map(|&(start, len)| (start..start + len as u64).map(|at| (at, 0))).collect();
        for (turn, (region, offset, len, write)) in (1_u8..).zip(accesses) {
            let (start, region_len) = *region.get(&ranges);
            let edge = if turn % 2 == 0 { start } else { start + region_len as u64 };
            let address = edge.saturating_add_signed(offset);
            let span = address..address + len as u64;
            let all = span.clone().all(|at| model.contains_key(&at));
            let expected = if all { Ok(()) } else { Err(Unreadable::Outside) };
            if write && all {
                let bytes: Vec<u8> = (0..len).map(|index| turn ^ index as u8).collect();
                prop_assert_eq!((&memory).write(address, &bytes), expected);
                model.extend(span.zip(bytes));
                continue;
            }
            let mut bytes = vec![0; len];
            prop_assert_eq!(memory.read(address, &mut bytes), expected);
            if all {
                prop_assert!(span.zip(&bytes).all(|(at, byte)| model[&at] == *byte));
            }
            if len == 4 || len == 8 {
                let mut wide = [0; 8];
                wide[..len].copy_from_slice(&bytes);
                prop_assert_eq!(memory.read_entry(address, len), expected.map(|()| u64::from_le_bytes(wide)));
            }
        }
    }

    /// The events of a walk are those of the same bytes as slices.
    #[test]
    fn walks(case in cases(Kind::FourLevel)) {
        let Case { memory: frames, roots, .. } = &case;
        let held: Vec<_> = frames.iter().filter_map(|(at, bytes)| Some((at, bytes?))).collect();
        prop_assume!(!held.is_empty());
        let ram = ram(&held.iter().map(|&(at, bytes)| (at, bytes.len())).collect::<Vec<_>>());
        for &(at, bytes) in &held {
            ram.write_slice(bytes, GuestAddress(at)).unwrap();
        }
        let segments: Vec<_> = held.iter().map(|&(at, bytes)| Segment::new(at, bytes)).collect();
        let segments = Segments::new(segments).unwrap();
        let memory = VmMemory::new(&ram);
        let walk = |options| Walk::new(FourLevel::default(), &memory, roots, options);
        let expected = Walk::new(FourLevel::default(), &segments, roots, Options::default());
        for (event, expected) in walk(Options::default()).zip(expected).take(2000) {
            prop_assert_eq!(event, expected);
        }
    }
}

/// A region of its own make, which counts what it is asked for, and has slices or not.
struct Flat {
    first: u64,
    slices: bool,
    asked: AtomicUsize,
    bytes: GuestRegionMmap<()>,
}

fn mapped(len: usize) -> GuestRegionMmap<()> {
    GuestRegionMmap::from_range(GuestAddress(0), len, None).unwrap()
}

impl GuestMemoryRegion for Flat {
    type B = ();

    fn len(&self) -> GuestUsize {
        self.bytes.len()
    }

    fn start_addr(&self) -> GuestAddress {
        GuestAddress(self.first)
    }

    fn bitmap(&self) -> BS<'_, ()> {}

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> GuestMemoryResult<VolatileSlice<'_, BS<'_, ()>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.slices {
            return Err(GuestMemoryError::HostAddressNotAvailable);
        }
        self.bytes.get_slice(offset, count)
    }
}

impl GuestMemoryRegionBytes for Flat {}

#[test]
fn a_table_is_one_slice() {
    let regions = [0, 0x1000, 0x4000].map(|first| Flat {
        first,
        slices: true,
        asked: AtomicUsize::new(0),
        bytes: mapped(0x1000),
    });
    let ram = GuestRegionCollection::from_regions(Vec::from(regions)).unwrap();
    let memory = VmMemory::new(&ram);
    let asked = || ram.iter().map(|region| region.asked.swap(0, Ordering::Relaxed)).collect::<Vec<_>>();
    memory.read(0x1000, &mut [0; 4096]).unwrap();
    assert_eq!(asked(), [0, 1, 0]);
    memory.read(0x800, &mut [0; 4096]).unwrap();
    assert_eq!(asked(), [1, 1, 0]);
    memory.read_entry(0x4ff8, 8).unwrap();
    assert_eq!(asked(), [0, 0, 1]);
    // A walk: the root links itself in one slot, so that it is an alias; nothing is read twice.
    ram.write_obj(0x1003_u64, GuestAddress(0x1008)).unwrap();
    asked();
    let events: Vec<_> = Walk::new(FourLevel::default(), &memory, &[0x1000], Options::default()).collect();
    assert!(matches!(events[0], Ok(Event::Table(_))));
    assert_eq!(asked(), [0, 4, 0], "once per depth at which it is met");
}

#[test]
fn a_region_that_gives_nothing() {
    let region = Flat { first: 0x1000, slices: false, asked: AtomicUsize::new(0), bytes: mapped(0x1000) };
    let ram = GuestRegionCollection::from_regions(vec![region]).unwrap();
    let memory = VmMemory::new(&ram);
    assert_eq!(memory.read(0x1000, &mut [0; 4096]), Err(Unreadable::Failed));
    assert_eq!(memory.read_entry(0x1000, 8), Err(Unreadable::Failed));
    assert_eq!((&memory).write(0x1000, &[0; 8]), Err(Unreadable::Failed));
    assert_eq!((&memory).compare_exchange(0x1000, 8, 0, 1), Err(Unreadable::Failed));
    assert_eq!((&memory).compare_exchange(0x2000, 8, 0, 1), Err(Unreadable::Outside));
    assert_eq!(memory.read_entry(0x2000, 8), Err(Unreadable::Outside));
}

#[test]
fn no_regions() {
    let ram = GuestRegionCollection::<GuestRegionMmap<()>>::new();
    let memory = VmMemory::new(&ram);
    assert_eq!(memory.read(0, &mut [0; 8]), Err(Unreadable::Outside));
    assert_eq!(memory.read_entry(u64::MAX, 8), Err(Unreadable::Outside));
}

#[test]
fn writes_mark_pages_dirty() {
    let dirty = |access: &dyn Fn(&VmMemory<'_, GuestRegionMmap<AtomicBitmap>>)| {
        let ram = GuestMemoryMmap::<AtomicBitmap>::from_ranges(&[(GuestAddress(0), 0x4000)]).unwrap();
        access(&VmMemory::new(&ram));
        let region = ram.find_region(GuestAddress(0)).unwrap();
        [0, 0x1000, 0x2000, 0x3000].map(|page| region.bitmap().dirty_at(page))
    };
    assert_eq!(dirty(&|memory| memory.read(0, &mut [0; 0x4000]).unwrap()), [false; 4]);
    let exchanged = |current| {
        dirty(&|mut memory| assert_eq!(memory.compare_exchange(0x1ff8, 8, current, 7), Ok(current == 0)))
    };
    assert_eq!(exchanged(0), [false, true, false, false]);
    assert_eq!(exchanged(1), [false; 4], "nothing was stored");
    let entry = dirty(&|mut memory| memory.write(0x1ff8, &[1; 8]).unwrap());
    assert_eq!(entry, [false, true, false, false]);
    let over_two_pages = dirty(&|mut memory| memory.write(0x2ffc, &[1; 8]).unwrap());
    assert_eq!(over_two_pages, [false, false, true, true]);
}

/// Entries that are written meanwhile are read as they were or as they are.
#[test]
fn entries_are_never_torn() {
    let ram = ram(&[(0, 0x1000)]);
    let (memory, done) = (VmMemory::new(&ram), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut memory = &memory;
            for _ in 0..50_000 {
                memory.write(8, &[0x55; 8]).unwrap();
                memory.write(8, &[0; 8]).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let raw = memory.read_entry(8, 8).unwrap();
            assert!(raw == 0 || raw == 0x5555_5555_5555_5555, "{raw:#x}");
        }
    });
}

#[test]
fn entries_are_exchanged() {
    let ram = ram(&[(0, 0x1000), (0x1000, 0x1000)]);
    ram.write_obj(0x1122_3344_5566_7788_u64, GuestAddress(0x1000)).unwrap();
    let mut memory = VmMemory::new(&ram);
    let now = || ram.read_obj::<u64>(GuestAddress(0x1000)).unwrap();
    assert_eq!(memory.compare_exchange(0x1000, 8, 0x1122_3344_5566_7789, 1), Ok(false));
    assert_eq!(now(), 0x1122_3344_5566_7788);
    assert_eq!(memory.compare_exchange(0x1000, 8, 0x1122_3344_5566_7788, 0xa1a2_a3a4_a5a6_a7a8), Ok(true));
    assert_eq!((&memory).compare_exchange(0x1000, 4, 0xffff_ffff_a5a6_a7a8, 0xffff_ffff_b5b6_b7b8), Ok(true));
    assert_eq!(now(), 0xa1a2_a3a4_b5b6_b7b8);
    for (address, width, why) in [
        (0x1004, 8, Unreadable::Failed),
        (0xffe, 4, Unreadable::Failed),
        (0x1000, 2, Unreadable::Failed),
        (0x2000, 8, Unreadable::Outside),
    ] {
        assert_eq!(memory.compare_exchange(address, width, 0, 1), Err(why), "{width} bytes at {address:#x}");
    }
}

/// A guest that counts in the software bits of an entry, while accesses to its page are marked: no count is lost, and the
/// bits are set.
#[test]
fn marking_beside_a_guest_that_writes() {
    const COUNTS: u64 = 200_000;
    const ONE: u64 = 1 << 52;
    const ACCESSED: u64 = 1 << 5;
    let ram = ram(&[(0, 0x4000)]);
    ram.write_obj(0x2007_u64, GuestAddress(0x1000)).unwrap();
    ram.write_obj(0x87_u64, GuestAddress(0x2000)).unwrap();
    let (memory, done) = (VmMemory::new(&ram), AtomicBool::new(false));
    let registers =
        Registers { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x20, efer: 0xd00, ..Registers::default() };
    let vcpu = Vcpu::new(registers, &Machine::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut memory = &memory;
            let mut counted = 0;
            while counted < COUNTS {
                let raw = memory.read_entry(0x2000, 8).unwrap();
                // Seven bits of counter, and the accessed bit taken away: an A-bit scan.
                let next = (raw & !ACCESSED & !(0x7f << 52)) | (raw + ONE) & 0x7f << 52;
                counted += u64::from(memory.compare_exchange(0x2000, 8, raw, next).unwrap());
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            match vcpu.translate_marking(&mut &memory, 0x1234, Privilege::User.reads()) {
                Ok((found, marking)) => assert_eq!((found.pa, marking), (0x1234, Marking::Complete)),
                Err(fault) => assert_eq!(fault, Fault::Contended { va: 0x1234 }),
            }
        }
    });
    let (found, _) = vcpu.translate_marking(&mut &memory, 0x1234, Privilege::User.writes()).unwrap();
    assert_eq!(found.leaf.unwrap().raw >> 52 & 0x7f, COUNTS & 0x7f);
    assert_eq!(ram.read_obj::<u64>(GuestAddress(0x2000)).unwrap() & 0xfff, 0xe7);
}
