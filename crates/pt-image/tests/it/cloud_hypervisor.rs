//! Snapshots of Cloud Hypervisor, as its sources serialise them.

use crate::hostile::exercise;
use proptest::prelude::*;
use pt_core::{Memory, Unreadable};
use pt_image::{CoreWriter, Defect, Error, Format, Image, MemoryRange, OpenOptions};
use pt_x86::{Efer, Mode};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const MEMORY: usize = 0x3000;

/// The bytes of `struct kvm_sregs`: a 64-bit code segment, and the given control registers.
fn sregs(cr3: u64, efer: u64) -> Vec<u8> {
    let mut bytes = vec![0; 312];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    // CS: limit, selector, type, present, dpl, db, s, l, g.
    put(8, &[0xff, 0xff, 0xff, 0xff, 0x33, 0, 11, 1, 3, 0, 1, 1, 1]);
    put(96, &0xffff_8880_0000_0000_u64.to_le_bytes());
    put(144, &0x7000_u64.to_le_bytes());
    put(192, &0xffff_fe00_0000_1000_u64.to_le_bytes());
    put(200, &[0x7f, 0]);
    for (at, value) in [(224, 0x8005_0033), (232, 0xdead), (240, cr3), (248, 0x20), (264, efer)] {
        put(at, &value.to_le_bytes());
    }
    bytes
}

/// The bytes of `struct kvm_regs`: each register its own number, from 1 on.
fn regs() -> Vec<u8> {
    (1..=18_u64).flat_map(u64::to_le_bytes).collect()
}

fn section(data: &Value) -> Value {
    json!({"snapshots": {}, "snapshot_data": {"state": data.to_string()}})
}

/// Three ranges in an order of their own, a fourth that is in a file of its own, and two CPUs.
fn state() -> Value {
    let manager = json!({
        "memory_ranges": {"data": [
            {"gpa": 0x1_0000_0000_u64, "length": 0x1000},
            {"gpa": 0, "length": 0x1000},
            {"gpa": 0x1000, "length": 0x1000},
        ]},
        "guest_ram_mappings": [
            {"slot": 0, "gpa": 0, "size": 0x4000, "zone_id": "mem0", "virtio_mem": false, "file_offset": 0},
            {"slot": 1, "gpa": 0x1_0000_0000_u64, "size": 0x1000, "zone_id": "mem0", "virtio_mem": false, "file_offset": 0},
            {"slot": 2, "gpa": 0x2_0000_0000_u64, "size": 0x1000, "zone_id": "mem0", "virtio_mem": true, "file_offset": 0},
        ],
        "boot_ram": 0x5000,
    });
    let cpu = |cr3: u64| section(&json!({"Kvm": {"cpuid": [], "regs": regs(), "sregs": sregs(cr3, 0xd01)}}));
    // By number, 10 comes after 2.
    json!({"snapshots": {
        "cpu-manager": {"snapshots": {"10": cpu(0xa000), "2": cpu(0x2000)}, "snapshot_data": null},
        "device-manager": {"snapshots": {}, "snapshot_data": {"state": "{}"}},
        "memory-manager": section(&manager),
    }, "snapshot_data": null})
}

fn memory() -> Vec<u8> {
    (0..MEMORY).map(|at| (at >> 12) as u8 + 1).collect()
}

fn snapshot(state: &[u8], memory: &[u8]) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("state.json"), state).unwrap();
    fs::write(dir.path().join("memory-ranges"), memory).unwrap();
    dir
}

fn open(path: &Path) -> Result<Image, Error> {
    Image::open(path, &OpenOptions::new())
}

fn ranges(image: &Image) -> Vec<(u64, u64, u64)> {
    image.ranges().map(|MemoryRange { start, len, held, .. }| (start, len, held)).collect()
}

#[test]
fn a_snapshot_by_its_folder_its_memory_or_both_files() {
    let dir = snapshot(state().to_string().as_bytes(), &memory());
    let [memory, state] = ["memory-ranges", "state.json"].map(|name| dir.path().join(name));
    let by_both = Image::open_cloud_hypervisor(&memory, &state, &OpenOptions::new()).unwrap();
    for image in [open(dir.path()).unwrap(), open(&memory).unwrap(), by_both] {
        assert_eq!((image.format(), image.path()), (Format::CloudHypervisor, &*memory));
        assert_eq!(ranges(&image), [(0, 0x4000, 0x2000), (1 << 32, 0x1000, 0x1000)]);
        assert_eq!(image.lend(0, 0x2000), Some(&[[2; 0x1000], [3; 0x1000]].concat()[..]));
        assert_eq!(image.read_entry(1 << 32, 4), Ok(0x0101_0101));
        assert_eq!(image.read_entry(0x2000, 4), Err(Unreadable::NotHeld));
        assert_eq!(image.read_entry(0x2_0000_0000, 4), Err(Unreadable::Outside));
        exercise(&image);
    }
    // Memory is memory, if that is what is asked for.
    assert_eq!(Image::open(&memory, &OpenOptions::new().format(Format::Raw)).unwrap().format(), Format::Raw);
    let alone = Image::open(&memory, &OpenOptions::new().format(Format::CloudHypervisor)).unwrap_err();
    assert!(matches!(alone, Error::Unsupported { .. }), "{alone}");
    fs::remove_file(state).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Directory { .. })));
    assert_eq!(open(&memory).unwrap().format(), Format::Raw);
}

#[test]
fn cpus_with_all_that_kvm_tells() {
    let dir = snapshot(state().to_string().as_bytes(), &memory());
    let image = open(dir.path()).unwrap();
    let [first, second] = image.cpus() else { panic!("{:?}", image.cpus()) };
    assert_eq!(
        (first.cr3, second.cr3, first.cr0, first.cr2, first.cr4),
        (0x2000, 0xa000, 0x8005_0033, 0xdead, 0x20)
    );
    assert_eq!((first.efer, first.long_mode), (Some(Efer::from_bits_retain(0xd01)), true));
    assert_eq!((first.mode(), first.note), (Mode::FourLevel, None));
    assert_eq!(
        (first.general.rax, first.general.rbp, first.general.r15, first.rip, first.rflags),
        (1, 8, 16, 17, 18)
    );
    let segments = &first.segments;
    assert_eq!((segments.cs.selector, segments.cs.limit, segments.cs.flags), (0x33, u32::MAX, 0x00a0_fb00));
    assert!(segments.cs.is_long());
    assert_eq!((segments.gs.base, segments.tr.base, segments.ldt.base), (0xffff_8880_0000_0000, 0x7000, 0));
    assert_eq!((segments.gdt.base, segments.gdt.limit), (0xffff_fe00_0000_1000, 0x7f));
}

#[test]
fn a_core_of_it_has_qemus_notes() {
    let dir = snapshot(state().to_string().as_bytes(), &memory());
    let image = open(dir.path()).unwrap();
    let path = dir.path().join("core");
    let mut writer = CoreWriter::like(&image).ranges(image.ranges());
    writer.set_cr3(0, 0x5000).unwrap();
    writer.write(&path, &image).unwrap().commit().unwrap();
    let core = open(&path).unwrap();
    assert_eq!((core.machine(), core.prstatus_count(), core.notes().len()), (Some(62), 2, 4));
    assert!(core.notes().take(2).all(|note| note.is_prstatus() && note.bytes.len() == 336));
    assert_eq!(ranges(&core), [(0, 0x4000, 0x2000), (1 << 32, 0x1000, 0x1000)]);
    for (index, (written, cpu)) in core.cpus().iter().zip(image.cpus()).enumerate() {
        let mut expected = cpu.clone();
        (expected.efer, expected.note) = (None, Some(2 + index));
        expected.cr3 = [0x5000, 0xa000][index];
        assert_eq!(*written, expected);
    }
}

#[test]
fn registers_by_name_and_cpus_in_unknown_forms() {
    let named = json!({"Mshv": {
        "regs": {"rax": 1, "rip": 17, "rflags": 18},
        "sregs": {"cs": {"base": 0, "limit": 0xffff_ffff_u32, "selector": 0x33, "type_": 11, "present": 1, "dpl": 3, "db": 0,
            "s": 1, "l": 1, "g": 1, "avl": 0}, "cr0": 0x8005_0033_u32, "cr2": 0, "cr3": 0x2000, "cr4": 0x20, "efer": 0xd01},
    }});
    let with_cpu = |cpu: &Value| {
        let mut state = state();
        state["snapshots"]["cpu-manager"]["snapshots"]["2"] = section(cpu);
        let dir = snapshot(state.to_string().as_bytes(), &memory());
        open(dir.path()).unwrap()
    };
    let image = with_cpu(&named);
    let cpu = &image.cpus()[0];
    assert_eq!((cpu.cr3, cpu.general.rax, cpu.rip, cpu.segments.cs.flags), (0x2000, 1, 17, 0x00a0_fb00));
    assert_eq!(cpu.mode(), Mode::FourLevel);
    // One that cannot be read leaves the others without their numbers.
    for unknown in [
        json!({}),
        json!([]),
        json!({"Kvm": {"sregs": [1, 2]}}),
        json!({"Kvm": {"sregs": [256]}}),
        json!({"Kvm": {"sregs": {"cr0": 1}}}),
    ] {
        assert!(with_cpu(&unknown).cpus().is_empty(), "{unknown}");
    }
}

#[test]
fn states_that_do_not_tell() {
    let reason = |state: &str| {
        let dir = snapshot(state.as_bytes(), &memory());
        let error = open(dir.path()).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        match error {
            Error::State { reason, path } if path.ends_with("state.json") => reason,
            other => panic!("{other}"),
        }
    };
    assert!(reason("{").contains("not JSON"));
    assert!(reason(&"[".repeat(100_000)).contains("not JSON"));
    assert!(reason("{}").contains("memory-manager"));
    let manager = |data: Value| json!({"snapshots": {"memory-manager": {"snapshot_data": data}}}).to_string();
    assert!(reason(&manager(json!([0, 1, 2]))).contains("39"));
    assert!(reason(&manager(json!({"state": "binary"}))).contains("39"));
    assert!(reason(&manager(json!({"state": "{}"}))).contains("memory_ranges"));
    for ranges in
        [json!({"data": 1}), json!([{"gpa": -1, "length": 1}]), json!([{"gpa": 1}]), json!([[1, 2]])]
    {
        let data = json!({"state": json!({"memory_ranges": ranges}).to_string()});
        assert!(reason(&manager(data)).contains("gpa"));
    }
    // A list without its wrapping, and data that is no string, say the same.
    let plain = manager(json!({"memory_ranges": [{"gpa": 0, "length": MEMORY}]}));
    assert_eq!(ranges(&open(snapshot(plain.as_bytes(), &memory()).path()).unwrap()), [(0, 0x3000, 0x3000)]);
}

#[test]
fn a_state_truncated_at_every_byte() {
    let mut state = state();
    state["snapshots"]["cpu-manager"] = json!({"snapshots": {"0": section(&json!({"Kvm": {"sregs": [1]}}))}});
    let state = state.to_string();
    let dir = snapshot(&[], &memory());
    let file = dir.path().join("state.json");
    for len in 1..state.len() {
        fs::write(&file, &state[..len]).unwrap();
        assert!(matches!(open(dir.path()), Err(Error::State { .. })), "{len}");
    }
}

#[test]
fn memory_that_is_not_what_the_state_says() {
    for memory in [&memory()[1..], &[memory(), vec![0]].concat()] {
        let dir = snapshot(state().to_string().as_bytes(), memory);
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Malformed { defect: Defect::LayoutLength { .. }, .. }), "{error}");
    }
    let dir = snapshot(state().to_string().as_bytes(), &[]);
    assert!(matches!(open(dir.path()), Err(Error::Empty { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn mutated_states(
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[0-9{}\\[\\]\",:a-z\\\\]"), 0..4),
        numbers in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut text = state().to_string();
        // Numbers of ranges, in the string that is the section's data.
        for (at, number) in numbers {
            let places: Vec<_> = text.match_indices("\\\":").map(|(place, _)| place + 3).collect();
            let start = places[at.index(places.len())];
            let len = text[start..].find(|digit: char| !digit.is_ascii_digit()).unwrap_or(0);
            text.replace_range(start..start + len, &number.to_string());
        }
        for (at, with) in edits {
            let at = at.index(text.len());
            text.replace_range(at..=at, &with);
        }
        if let Some(cut) = cut {
            text.truncate(cut.index(text.len()));
        }
        let dir = snapshot(text.as_bytes(), &memory());
        match open(dir.path()) {
            Ok(image) => exercise(&image),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }
}
