//! Functions that take values of others than memory: whatever the values, an answer. With overflow checks, where tests have them.

use proptest::collection::vec;
use proptest::prelude::*;
use pt_amd64::{Features, FiveLevel, FourLevel};
use pt_core::{
    Absent, Alias, Cause, Counter, Encode, Event, Fault, FrameIndex, Geometry, Leaf, Level, Link, Recording,
    Segment, Segments, Sharing, Table, TableId, Total, Unreadable,
};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_rebuild::{Arena, Dedup, Extent, FrameMap, Graph, Placement, Stretch};
use pt_testkit::toy::Toy;
use pt_vcpu::{Machine, Mode, Paging, Registers, Vcpu};
use pt_x86::{EntryFlags, Rights, Shape, Vendor};

/// Numbers near all borders.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0_u64..9,
        any::<u8>().prop_map(|bit| 1 << (bit & 63)),
        any::<u8>().prop_map(|by| u64::MAX - u64::from(by))
    ]
}

fn level() -> impl Strategy<Value = Level> {
    (1_u8..=5).prop_map(|number| Level::new(number).expect("a level"))
}

/// Events that no walk gives.
fn event() -> impl Strategy<Value = Event<Rights>> {
    let small = prop_oneof![0_u32..4, Just(u32::MAX), any::<u32>()];
    (0_u8..6, small.clone(), small.clone(), small, level(), number(), number(), number()).prop_map(
        |(kind, space, table, pages, level, va, pa, raw)| {
            let (rights, link) = (Rights::all(), Link { raw, entry: (raw & 8 == 0).then_some(pa) });
            match kind {
                0 => Event::Table(Table {
                    space,
                    id: TableId(table),
                    level,
                    address: pa,
                    va,
                    link,
                    rights,
                    first_met: None,
                }),
                1 => Event::Leaf(Leaf { space, level, va, pa, pages, raw, entry: pa, rights }),
                2 => {
                    let (owner, id) = (pages, TableId(table));
                    Event::Alias(Alias {
                        space,
                        owner,
                        table: id,
                        level,
                        address: pa,
                        our_va: va,
                        their_va: raw,
                        link,
                        rights,
                    })
                }
                3 => Event::Absent(Absent { space, level, va, raw, entry: pa }),
                4 => Event::Fault(Fault {
                    space,
                    va,
                    cause: Cause::Malformed { level, entry: pa, raw, reserved: raw },
                }),
                _ => {
                    let why = Unreadable::Outside;
                    Event::Fault(Fault {
                        space,
                        va,
                        cause: Cause::Unreadable { level, table: pa, link, why },
                    })
                }
            }
        },
    )
}

fn events_of<F: Encode<Rights = Rights>>(format: &F, events: &[Event<Rights>], frames: (u64, u64)) {
    let walk = || events.iter().copied().map(Ok);
    let recording = Recording::new(format.clone(), walk()).expect("no limit");
    for space in [0, 1, u32::MAX] {
        let _ = recording.expand(space).take(500).count();
        let _ = recording.space(space).len();
    }
    assert!(recording.spaces() <= events.len() && recording.tables() <= events.len());
    let index = FrameIndex::new::<F>(walk()).expect("no limit");
    let _ = index.find::<F>(frames.0..=frames.1).count();
    let sharing = Sharing::of_walk::<F>(walk()).expect("no limit");
    for event in events {
        if let Event::Table(table) = event {
            let _ = sharing.reaches::<F>(table.address);
        }
    }
    let mut counter = Counter::new();
    for event in events {
        counter.observe::<F>(event);
    }
    let spaces = counter.spaces();
    assert!(spaces.len() <= events.len());
    let _ = spaces.iter().map(|space| space.reached.bytes::<F>()).max();
    let _ = spaces.iter().chain(&spaces).collect::<Total>();
    let _ = Graph::record(format.clone(), walk());
}

fn laws<F: Encode>(format: &F, level: Level, raw: u64, other: u64) {
    let _ = (
        format.decode(level, raw),
        format.root(raw),
        format.mark(level, raw, other & 1 == 0),
        F::table_name(level),
    );
    let _ = format.restrict(format.unrestricted(), level, raw);
    let _ = (format.relocate(level, raw, other), format.link(level, raw), format.leaf(level, raw, other));
    let _ =
        (format.attributes(level, raw), format.widen(level, raw, other), format.passes(level, raw, other));
    let _ = (format.narrow(level, raw, format.unrestricted()), format.with_root(raw, other));
    assert!(format.contiguous(level, raw) > 0);
    let _ = format.highest_table_address(level);
    let _ = (F::entry_span(level), F::table_span_last(level), F::entries(level), F::table_bytes(level));
    assert!(F::index(level, raw) < F::entries(level));
    let _ = F::canonical(raw);
    if let Some((first, last)) = F::clip(&(raw..=other)) {
        assert!(first <= last && last <= F::VA_MASK && raw <= other);
    }
    assert!(
        level.depth::<F>() < usize::from(F::LEVELS)
            && Level::at_depth::<F>(raw as usize).is_none_or(|of| of <= F::ROOT)
    );
}

proptest! {
    #[test]
    fn events_that_no_walk_gives(events in vec(event(), 0..40), frames in (number(), number())) {
        events_of(&FourLevel::default(), &events, frames);
        events_of(&TwoLevel::default(), &events, frames);
        events_of(&FiveLevel::default(), &events, frames);
    }

    #[test]
    fn any_machine_any_level_any_entry(
        level in level(), raw in number(), other in number(), ignored in number(), phys_bits: u8, flags: [bool; 4],
    ) {
        let [nx, large, strict, amd] = flags;
        let vendor = if amd { Vendor::Amd } else { Vendor::Intel };
        let features = Features { phys_bits, nx, gib_pages: large, ignored, vendor };
        laws(&FourLevel::new(features), level, raw, other);
        laws(&FiveLevel::new(features), level, raw, other);
        laws(&Pae::new(PaeFeatures { phys_bits, nx, strict_pdpte: strict, ignored }), level, raw, other);
        laws(&TwoLevel::new(TwoLevelFeatures { phys_bits, pse: large, pse36: strict, ignored }), level, raw, other);
        laws(&Toy, level, raw, other);
        let shape = Shape::new(raw, other);
        let _ = (shape.decode(ignored, nx), shape.relocate(ignored, raw), shape.page(raw, ignored, large), shape.attributes(ignored, large));
        for size in [0, 1, raw, other] {
            prop_assert!(shape.contiguous(ignored, size) > 0);
        }
        let _ = shape.passes(raw, ignored, EntryFlags::LARGE.bits());
        let _ = (pt_x86::memory_type_index(level, raw), pt_x86::protection_key(raw), pt_x86::table_name(level));
    }

    #[test]
    fn any_registers(values: [u64; 6], keys: [u32; 2], cpl: u8, phys_bits: u8, flags: [bool; 4], va in number(), len in 0_usize..5000) {
        let [cr0, cr3, cr4, efer, rflags, ignored] = values;
        let [gib_pages, pse36, strict_pdpte, amd] = flags;
        let registers = Registers { cr0, cr3, cr4, efer, rflags, cpl, pkru: keys[0], pkrs: keys[1] };
        let vendor = if amd { Vendor::Amd } else { Vendor::Intel };
        let machine = Machine { phys_bits, gib_pages, pse36, strict_pdpte, ignored, vendor };
        // A table that links itself, at 0 and all over.
        let mut memory: Vec<u8> = (0..0x400).flat_map(|index: u64| ((index % 2) << 12 | 0x67).to_le_bytes()).collect();
        for mode in [Mode::Unpaged, Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel] {
            let in_mode = Vcpu::with_paging(registers, Paging::of_mode(mode, &registers, &machine));
            for vcpu in [Vcpu::new(registers, &machine), in_mode, in_mode.with_cr3(cr3 & 0xfff)] {
                let _ = (vcpu.mode(), vcpu.root(), vcpu.state(), vcpu.translate(&memory, va));
                for privilege in [pt_vcpu::Privilege::User, pt_vcpu::Privilege::Implicit, vcpu.privilege()] {
                    for access in [privilege.reads(), privilege.writes(), privilege.fetches()] {
                        let _ = vcpu.translate_access(&memory, va, access);
                        let _ = vcpu.translate_marking(&mut memory, va, access);
                    }
                }
                let _ = vcpu.extents(&memory, va..=u64::MAX).take(20).count();
                let mut view = vcpu.view(&mut memory);
                let mut bytes = vec![0; len];
                let _ = view.read(va, &mut bytes);
                let _ = view.write(va, &bytes);
                let _ = view.read_c_string(va, &mut bytes).map(|text| text.to_bytes().len());
                let _ = (view.read_integer::<u64>(va), view.write_integer(va, 7_u16));
            }
        }
    }

    #[test]
    fn stretches_arenas_and_placements(values in vec((number(), number(), number()), 0..8), piece in number()) {
        let stretches = values.iter().map(|&(first, last, to)| Stretch { first, last, to: Some(to), shared: to & 1 == 0 });
        for stretch in stretches.clone() {
            prop_assert!(stretch.bytes() > 0 && stretch.to_last() >= stretch.to);
        }
        if let Ok(map) = FrameMap::of(stretches) {
            for &(first, last, _) in &values {
                let _ = (map.get(first), map.get(last), map.drops(last));
            }
        }
        let mut arena = Arena::new(values.iter().map(|&(first, last, _)| first..=last));
        for &(bytes, alignment, highest) in &values {
            if let Some(at) = arena.take(bytes, alignment, highest) {
                prop_assert!(at.checked_add(bytes - 1).is_some_and(|last| last <= highest));
                arena.release(&(at..=at + (bytes - 1)));
            }
            arena.reserve(&(bytes..=highest));
        }
        let memory = vec![0; 0x3000];
        let extents: Vec<Extent> = values.iter().map(|&(first, last, grain)| Extent {
            first: first & 0x1fff,
            last: (first & 0x1fff).saturating_add(last & 0xfff),
            grain: 1 << (grain & 15),
            page: 1 << (grain & 15),
            highest: grain,
            tables: grain & 64 == 0,
        }).collect();
        let mut places = 0_u64;
        let _ = Dedup::new(&mut arena, [0..=0x2fff], &memory, piece).place(&extents, &mut |_, _| places += 1);
        let segments = values.iter().map(|&(start, len, _)| Segment { start, len, bytes: &memory[..(len & 0xfff) as usize] });
        let _ = Segments::new(segments.collect::<Vec<_>>());
    }
}
