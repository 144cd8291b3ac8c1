//! A gdb stub's memory packets: `m` reads, `M` writes, both through the address space of one vCPU.
//!
//! Run it with `cargo run -p pt-vcpu --example gdb_stub`.

#![forbid(unsafe_code)]

use std::fmt::Write;

use pt_vcpu::{Machine, MemoryMut, Registers, Vcpu, View};

/// EFAULT, as gdb expects it.
const FAULT: &str = "E14";
const MALFORMED: &str = "E16";
/// What one packet can carry.
const LONGEST: usize = 2048;

/// The reply to a packet: none of it is for this part of a stub if it is neither `m` nor `M`.
fn reply<M: MemoryMut>(view: &mut View<M>, packet: &str) -> Option<String> {
    if let Some(arguments) = packet.strip_prefix('m') {
        return Some(read(view, arguments).unwrap_or_else(|| MALFORMED.to_owned()));
    }
    let arguments = packet.strip_prefix('M')?;
    Some(write(view, arguments).unwrap_or(MALFORMED).to_owned())
}

/// `m ADDRESS,LENGTH`: as many bytes as there are. Gdb takes fewer than it asked for, but not none.
fn read<M: MemoryMut>(view: &View<M>, arguments: &str) -> Option<String> {
    let (va, len) = place(arguments)?;
    let mut bytes = vec![0; len];
    let done = match view.read(va, &mut bytes) {
        Ok(()) => len,
        Err(stopped) if stopped.done > 0 => stopped.done,
        Err(_) => return Some(FAULT.to_owned()),
    };
    Some(bytes[..done].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// `M ADDRESS,LENGTH:BYTES`: all or an error; gdb has no word for a part.
fn write<M: MemoryMut>(view: &mut View<M>, arguments: &str) -> Option<&'static str> {
    let (place_, hex) = arguments.split_once(':')?;
    let (va, len) = place(place_)?;
    let digits = hex.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect::<Option<Vec<_>>>()?;
    let bytes: Vec<_> = digits.chunks_exact(2).map(|digits| digits[0] << 4 | digits[1]).collect();
    if digits.len() != 2 * len {
        return None;
    }
    Some(if view.write(va, &bytes).is_ok() { "OK" } else { FAULT })
}

fn place(text: &str) -> Option<(u64, usize)> {
    let (va, len) = text.split_once(',')?;
    Some((u64::from_str_radix(va, 16).ok()?, usize::from_str_radix(len, 16).ok()?.min(LONGEST)))
}

/// A guest in 4-level paging: the page at `0xffff_8000_0000_0000` is frame 0x5000, the next one is not present.
fn guest() -> (Vcpu, Vec<u8>) {
    let mut memory = vec![0; 0x6000];
    for (at, entry) in [(0x1800, 0x2003_u64), (0x2000, 0x3003), (0x3000, 0x4003), (0x4000, 0x5003)] {
        memory[at..at + 8].copy_from_slice(&entry.to_le_bytes());
    }
    memory[0x5ffc..0x6000].copy_from_slice(&[0x55, 0x48, 0x89, 0xe5]);
    let registers =
        Registers { cr0: 0x8001_0011, cr3: 0x1000, cr4: 0x20, efer: 0x500, ..Registers::default() };
    (Vcpu::new(registers, &Machine::default()), memory)
}

fn main() {
    let (vcpu, mut memory) = guest();
    let mut view = vcpu.view(&mut memory);
    for packet in
        ["mffff800000000ffc,4", "Mffff800000000000,1:cc", "mffff800000000000,1", "mffff800000001000,4"]
    {
        println!("-> {packet}\n<- {}", reply(&mut view, packet).unwrap_or_default());
    }
}

#[test]
fn packets() {
    let (vcpu, mut memory) = guest();
    let mut view = vcpu.view(&mut memory);
    let mut reply = |packet: &str| reply(&mut view, packet).unwrap_or_default();
    assert_eq!(reply("mffff800000000ffc,4"), "554889e5");
    // Two of eight bytes are there; then none; then an address that is not canonical.
    assert_eq!(reply("mffff800000000ffe,8"), "89e5");
    assert_eq!(reply("mffff800000001000,8"), "E14");
    assert_eq!(reply("m800000000000,8"), "E14");
    // A breakpoint in the last byte of the page, and one that does not fit.
    assert_eq!(reply("Mffff800000000fff,1:cc"), "OK");
    assert_eq!(reply("mffff800000000ffc,4"), "554889cc");
    assert_eq!(reply("Mffff800000000fff,2:ccCC"), "E14");
    assert_eq!(reply("Mffff800000000fff,2:cc"), "E16");
    assert_eq!(reply("m,"), "E16");
    assert_eq!(reply("g"), "");
    main();
}
