//! A snapshotter: the physical memory that the address spaces of all vCPUs need, tables and pages, each once.
//!
//! All spaces of one format are walked together, so that a table which many of them share is read once.
//!
//! Run it with `cargo run -p pt-vcpu --example snapshotter`.

#![forbid(unsafe_code)]

use std::ops::Range;

use pt_core::{Event, Format, Geometry, Leaves, LimitReached, Options, Walk};
use pt_vcpu::{Machine, Registers, Vcpu, with_format};

/// The extents to save, ascending, neighbours joined.
fn to_save(vcpus: &[Vcpu], memory: &[u8]) -> Result<Vec<Range<u64>>, LimitReached> {
    let mut extents = Vec::new();
    for (index, vcpu) in vcpus.iter().enumerate() {
        let alike = |other: &&Vcpu| other.paging() == vcpu.paging();
        if vcpus[..index].iter().any(|earlier| alike(&earlier)) {
            continue;
        }
        let roots: Vec<_> = vcpus.iter().filter(alike).map(|vcpu| vcpu.registers().cr3).collect();
        with_format!(
            *vcpu.paging(),
            |format| reach(format, memory, &roots, &mut extents)?,
            // A CPU that was not started yet has no space of its own.
            unpaged => {}
        );
    }
    Ok(joined(extents, memory.len() as u64))
}

/// Adds what the spaces under these roots consist of.
fn reach<F: Format>(
    format: F,
    memory: &[u8],
    roots: &[u64],
    extents: &mut Vec<Range<u64>>,
) -> Result<(), LimitReached> {
    let options = Options { leaves: Leaves::Runs, ..Options::default() };
    for event in Walk::new(format, memory, roots, options) {
        match event? {
            Event::Table(table) => {
                extents.push(table.address..table.address + F::table_bytes(table.level) as u64);
            }
            Event::Leaf(run) => {
                extents.push(run.pa..run.pa + u64::from(run.pages) * F::entry_span(run.level));
            }
            // Met before: nothing new lies below.
            _ => {}
        }
    }
    Ok(())
}

/// Extents inside the guest's memory (devices are mapped too), sorted and joined.
fn joined(mut extents: Vec<Range<u64>>, end: u64) -> Vec<Range<u64>> {
    extents.sort_by_key(|extent| extent.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for extent in extents {
        let extent = extent.start..extent.end.min(end);
        match joined.last_mut() {
            Some(last) if extent.start <= last.end => last.end = last.end.max(extent.end),
            _ if extent.is_empty() => {}
            _ => joined.push(extent),
        }
    }
    joined
}

/// Three vCPUs: two in processes of their own that share the kernel's half, one not started.
fn guest() -> (Vec<Vcpu>, Vec<u8>) {
    let mut memory = vec![0; 0x40_0000];
    let mut store = |at: usize, entry: u64| memory[at..at + 8].copy_from_slice(&entry.to_le_bytes());
    // The kernel: 2 MiB at 2 MiB, and a device far above memory.
    store(0x1800, 0x3003);
    store(0x2800, 0x3003);
    store(0x3000, 0x4003);
    store(0x4000, 0x20_0083);
    store(0x4008, 0xfee0_0083);
    // A page for each process, by tables of its own.
    for (root, below, page) in [(0x1000, 0x5000, 0x9000), (0x2000, 0xa000, 0xf000)] {
        store(root, below as u64 + 7);
        store(below, below as u64 + 0x1007);
        store(below + 0x1000, below as u64 + 0x2007);
        store(below + 0x2000, page + 7);
    }
    let started = |cr3| Registers { cr0: 0x8001_0011, cr3, cr4: 0x20, efer: 0x500, ..Registers::default() };
    let registers = [started(0x1000), started(0x2000), Registers::default()];
    (registers.map(|registers| Vcpu::new(registers, &Machine::default())).to_vec(), memory)
}

fn main() -> Result<(), LimitReached> {
    let (vcpus, memory) = guest();
    for extent in to_save(&vcpus, &memory)? {
        println!("{:#x}..{:#x}", extent.start, extent.end);
    }
    Ok(())
}

#[test]
fn extents() {
    let (vcpus, memory) = guest();
    let both = to_save(&vcpus, &memory).unwrap();
    assert_eq!(both, [0x1000..0x8000, 0x9000..0xd000, 0xf000..0x1_0000, 0x20_0000..0x40_0000]);
    let second = to_save(&vcpus[1..], &memory).unwrap();
    assert_eq!(second, [0x2000..0x5000, 0xa000..0xd000, 0xf000..0x1_0000, 0x20_0000..0x40_0000]);
    assert!(to_save(&vcpus[2..], &memory).unwrap().is_empty());
    main().unwrap();
}
