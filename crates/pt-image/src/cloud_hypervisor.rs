//! Cloud Hypervisor's snapshots: a folder with the guest's memory, `memory-ranges`, and the state of the rest, `state.json`.
//!
//! ```text
//! state.json       {"snapshots": {"memory-manager": {"snapshot_data": DATA, ..},
//!                                 "cpu-manager": {"snapshots": {"0": {"snapshot_data": DATA, ..}, ..}, ..}, ..}, ..}
//! DATA             {"state": "..."}: the section's own JSON, as a string
//! memory manager   {"memory_ranges": {"data": [{"gpa": n, "length": n}, ..]}, "guest_ram_mappings": [..], ..}
//! a CPU            {"Kvm": {"regs": REGS, "sregs": SREGS, ..}}, each an array of the structure's bytes, or an object
//! ```
//!
//! `memory-ranges` has the bytes of `memory_ranges`, in that order. Memory that is shared with a file of its own is not
//! among them (`guest_ram_mappings` tells that it exists), and holes of the file are zeros.
//!
//! Checked against the sources of versions 39 to 53, and what their serialisation of KVM's structures gives, but not
//! against a snapshot that they took. Versions before 39 encode the memory manager's section in binary, and are refused.

use crate::cpu::{GeneralRegisters, SegmentRegister, SegmentRegisters};
use crate::error::{Checked, Defect};
use crate::headerless::{self, Stretch};
use crate::image::{Contents, MemoryRange};
use crate::source::Source;
use crate::{Cpu, kvm};
use serde_json::Value;

pub(crate) const MEMORY: &str = "memory-ranges";
pub(crate) const STATE: &str = "state.json";

/// The bytes of `state.json` that are accepted. A CPU has some 100 KB.
pub(crate) const STATE_LIMIT: u64 = 256 << 20;

/// What `state.json` says.
#[derive(Debug)]
pub(crate) struct State {
    ranges: Vec<(u64, u64)>,
    mapped: Vec<(u64, u64)>,
    cpus: Vec<Cpu>,
}

impl State {
    /// Reads `state.json`. An error is a reason.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let root: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        let manager = section(&root, "memory-manager").ok_or("it has no section \"memory-manager\"")?;
        let manager = data(manager)
            .ok_or("its section \"memory-manager\" is not JSON (before version 39, it is not)")?;
        let ranges = manager.get("memory_ranges").ok_or("its memory manager has no \"memory_ranges\"")?;
        let ranges = pairs(ranges.get("data").unwrap_or(ranges), "length");
        let ranges = ranges.ok_or("its \"memory_ranges\" are not a list of {gpa, length}")?;
        let plugged = |mapping: &&Value| mapping.get("virtio_mem").and_then(Value::as_bool) != Some(true);
        let mapped = manager.get("guest_ram_mappings").and_then(Value::as_array);
        let mapped = mapped.into_iter().flatten().filter(plugged).filter_map(|mapping| pair(mapping, "size"));
        let mapped = mapped.collect();
        Ok(Self { ranges, mapped, cpus: cpus(&root).unwrap_or_default() })
    }

    /// The image of which this is the state.
    pub(crate) fn contents(self, sources: &[Source]) -> Checked<Contents> {
        let total = self.ranges.iter().fold(0_u64, |sum, &(_, len)| sum.saturating_add(len));
        let file = sources.first().map_or(0, Source::len);
        if total != file {
            return Err((0, Defect::LayoutLength { layout: total, file }));
        }
        let mut stretches = headerless::in_order(self.ranges.iter().copied());
        let described_at = file;
        let elsewhere = unheld(&self.mapped, &self.ranges);
        stretches.retain(|stretch| stretch.len > 0);
        let missing = elsewhere.iter().map(|range| Stretch {
            start: range.start,
            len: range.len,
            file: usize::MAX,
            offset: 0,
            described_at,
        });
        stretches.extend(missing);
        Ok(Contents { cpus: self.cpus, ..headerless::parse(&stretches, sources)? })
    }
}

/// What `mapped` has that `ranges` lacks.
fn unheld(mapped: &[(u64, u64)], ranges: &[(u64, u64)]) -> Vec<MemoryRange> {
    let sorted = |ranges: &[(u64, u64)]| {
        let mut ranges = ranges.to_vec();
        ranges.sort_unstable();
        ranges
    };
    let (mut missing, ranges) = (Vec::new(), sorted(ranges));
    let mut covered = 0;
    for (start, len) in sorted(mapped) {
        let (mut at, end) = (start.max(covered), start.saturating_add(len));
        let first = ranges.partition_point(|&(start, len)| start.saturating_add(len) <= at);
        for &(start, len) in ranges[first..].iter().take_while(|&&(start, _)| start < end) {
            if at < start {
                missing.push(MemoryRange::partly_held(at, start - at, 0));
            }
            at = at.max(start.saturating_add(len));
        }
        if at < end {
            missing.push(MemoryRange::partly_held(at, end - at, 0));
        }
        covered = covered.max(end);
    }
    missing
}

/// The section of that name among `snapshots`, or among theirs.
fn section<'a>(node: &'a Value, id: &str) -> Option<&'a Value> {
    let snapshots = node.get("snapshots")?.as_object()?;
    snapshots.get(id).or_else(|| snapshots.values().find_map(|child| section(child, id)))
}

/// The data of a section, decoded.
fn data(node: &Value) -> Option<Value> {
    let data = node.get("snapshot_data")?;
    match data.get("state").unwrap_or(data) {
        Value::String(text) => serde_json::from_str(text).ok(),
        state @ Value::Object(_) => Some(state.clone()),
        _ => None,
    }
}

fn byte_array(value: &Value) -> Option<Vec<u8>> {
    value.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
}

fn pair(value: &Value, len: &str) -> Option<(u64, u64)> {
    Some((value.get("gpa")?.as_u64()?, value.get(len)?.as_u64()?))
}

fn pairs(list: &Value, len: &str) -> Option<Vec<(u64, u64)>> {
    list.as_array()?.iter().map(|value| pair(value, len)).collect()
}

/// All CPUs, or none if one of them is in an unknown form: a list with gaps would misnumber them.
fn cpus(root: &Value) -> Option<Vec<Cpu>> {
    let snapshots = section(root, "cpu-manager")?.get("snapshots")?.as_object()?;
    let number = |(id, node): (&String, _)| Some((id.parse().ok()?, node));
    let mut numbered: Vec<(u32, &Value)> = snapshots.iter().map(number).collect::<Option<_>>()?;
    numbered.sort_unstable_by_key(|&(id, _)| id);
    numbered.into_iter().map(|(_, node)| cpu(&data(node)?)).collect()
}

fn cpu(state: &Value) -> Option<Cpu> {
    let state = state.get("Kvm").or_else(|| state.get("Mshv")).unwrap_or(state);
    let sregs = state.get("sregs")?;
    let cpu = match byte_array(sregs) {
        Some(bytes) => kvm::sregs(&bytes)?,
        None => sregs_object(sregs)?,
    };
    // Without them, all is known that matters here.
    let regs = state.get("regs");
    let (general, rip, rflags) = match regs.and_then(byte_array) {
        Some(bytes) => kvm::regs(&bytes)?,
        None => regs.map(regs_object).unwrap_or_default(),
    };
    Some(Cpu { general, rip, rflags, ..cpu })
}

fn field(object: &Value, name: &str) -> u64 {
    object.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn sregs_object(sregs: &Value) -> Option<Cpu> {
    let control = |name: &str| sregs.get(name)?.as_u64();
    let segment = |name: &str| {
        let Some(segment) = sregs.get(name) else { return SegmentRegister::default() };
        let bit = |name, at: u32| (field(segment, name) as u32 & 1) << at;
        SegmentRegister {
            selector: field(segment, "selector") as u32,
            limit: field(segment, "limit") as u32,
            flags: (field(segment, "type_") as u32 & 0xf) << 8
                | (field(segment, "dpl") as u32 & 3) << 13
                | bit("s", 12)
                | bit("present", 15)
                | bit("avl", 20)
                | bit("l", 21)
                | bit("db", 22)
                | bit("g", 23),
            base: field(segment, "base"),
        }
    };
    let segments = SegmentRegisters {
        cs: segment("cs"),
        ds: segment("ds"),
        es: segment("es"),
        fs: segment("fs"),
        gs: segment("gs"),
        ss: segment("ss"),
        ldt: segment("ldt"),
        tr: segment("tr"),
        gdt: segment("gdt"),
        idt: segment("idt"),
    };
    let controls = [control("cr0")?, field(sregs, "cr2"), control("cr3")?, control("cr4")?, control("efer")?];
    Some(kvm::cpu(segments, controls))
}

fn regs_object(regs: &Value) -> (GeneralRegisters, u64, u64) {
    const NAMES: [&str; 18] = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15", "rip", "rflags",
    ];
    kvm::general(NAMES.map(|name| field(regs, name)))
}
