//! Snapshots of Cloud Hypervisor: any text as `state.json`, and states that could be.

use std::fmt::Write as _;
use std::sync::OnceLock;

use pt_image::Image;

use crate::choices::Choices;
use crate::files::Nameless;
use crate::image::{check, options};

/// How long the memory's file is.
const LEN: u64 = 0x300;

/// The first byte says whether the rest is the text, or a state to make.
pub fn run(input: &[u8]) {
    static FILES: OnceLock<[Nameless; 2]> = OnceLock::new();
    let bytes: Vec<u8> = (0..LEN).map(|at| (at / 9) as u8).collect();
    let [memory, state] = FILES.get_or_init(|| [Nameless::new(&bytes), Nameless::new(&[])]);
    let mut choices = Choices::new(input);
    let raw = choices.byte() & 1 == 0;
    let (text, ranges) = if raw { (choices.rest().to_vec(), Vec::new()) } else { made(&mut choices) };
    state.write(&text);
    let options = options().map(text.len() % 16 == 0);
    check(Image::open_cloud_hypervisor(memory.path(), state.path(), &options), |image| {
        // What is said to exist, and is in no range, is known to the state alone.
        if raw || image.held_bytes() != image.memory_bytes() {
            return None;
        }
        let mut at = 0;
        let stretch = |&(start, len): &(u64, u64)| {
            at += len as usize;
            (start, len, &bytes[at - len as usize..at])
        };
        Some(ranges.iter().map(stretch).collect())
    });
}

/// A state, and the ranges in it.
fn made(choices: &mut Choices<'_>) -> (Vec<u8>, Vec<(u64, u64)>) {
    let kind = choices.byte();
    let mut ranges = Vec::new();
    let mut left = LEN;
    for _ in 0..choices.below(6) {
        let (start, len) = (choices.edge(), choices.number(2));
        let len = if choices.byte() & 3 == 0 { left } else { len };
        left = left.saturating_sub(len);
        ranges.push((start, len));
    }
    let list = |pairs: &[(u64, u64)], len: &str| {
        let pairs: Vec<_> =
            pairs.iter().map(|(gpa, of)| format!(r#"{{"gpa":{gpa},"{len}":{of}}}"#)).collect();
        format!("[{}]", pairs.join(","))
    };
    let mapped: Vec<_> = (0..choices.below(4)).map(|_| (choices.edge(), choices.edge())).collect();
    let data = format!(
        r#"{{"memory_ranges":{{"data":{}}},"guest_ram_mappings":{}}}"#,
        list(&ranges, "length"),
        list(&mapped, "size")
    );
    let section = |data: &str| format!(r#"{{"snapshot_data":{{"state":"{}"}}}}"#, data.replace('"', r#"\""#));
    let mut cpus = String::new();
    for number in 0..choices.below(3) {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(cpus, r#"{comma}"{}":{}"#, choices.byte(), section(&cpu(kind, choices)));
    }
    let text = format!(
        r#"{{"snapshots":{{"cpu-manager":{{"snapshots":{{{cpus}}}}},"memory-manager":{}}}}}"#,
        section(&data)
    );
    (text.into_bytes(), ranges)
}

/// A CPU as an object, or as the bytes of KVM's structures, of which some may be missing.
fn cpu(kind: u8, choices: &mut Choices<'_>) -> String {
    if kind & 1 == 0 {
        let [cr0, cr3, cr4, efer] = [(); 4].map(|()| choices.edge());
        let segment = r#"{"base":1,"limit":2,"selector":3,"type_":27,"dpl":7,"s":1,"present":1,"l":1}"#;
        return format!(
            r#"{{"Kvm":{{"regs":{{"rip":{cr3}}},"sregs":{{"cr0":{cr0},"cr3":{cr3},"cr4":{cr4},"efer":{efer},"cs":{segment}}}}}}}"#
        );
    }
    let len = 312 - usize::from(kind >> 1 & 3);
    let mut sregs = vec![0_u8; len];
    for at in [224, 240, 248, 264] {
        sregs[at..at + 8].copy_from_slice(&choices.edge().to_le_bytes());
    }
    let regs = vec![7_u8; 144 - usize::from(kind >> 3 & 1)];
    format!(r#"{{"Kvm":{{"regs":{regs:?},"sregs":{sregs:?}}}}}"#)
}
