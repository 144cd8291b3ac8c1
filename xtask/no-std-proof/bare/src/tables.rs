//! Physical memory that starts at address 0 and holds nothing but tables.
//!
//! ```text
//!  FIRST  [0]  rw ──▶ PDPT [0] ──▶ PD [0] ──▶ PT [1] ──▶ page 0x9000, no execution
//!  SECOND [0]  ro ──▶ (the same)      [1] ──▶ 2 MiB page      [2] ──▶ page 0xa000
//!
//!  NARROW [0]     ──▶ its PT [3] ──▶ page 0xb000                  (4-byte entries)
//!         [1]     ──▶ 4 MiB page
//! ```

/// A 4-level root, whose link to the rest can be written through.
pub const FIRST: u64 = 0x0000;
/// A 4-level root with a link to the same PDPT that cannot.
pub const SECOND: u64 = 0x1000;
/// A 2-level root.
pub const NARROW: u64 = 0x5000;

/// The memory, of which the compiler is not to know what it holds.
#[must_use]
pub fn memory() -> &'static [u8] {
    core::hint::black_box(&MEMORY)
}

static MEMORY: [u8; 0x7000] = {
    const RIGHTS: u64 = 0b111;
    const READ_ONLY: u64 = 0b101;
    const LARGE: u64 = 1 << 7;
    const NO_EXECUTE: u64 = 1 << 63;

    let mut memory = [0; 0x7000];
    write(&mut memory, FIRST, 8, 0x2000 | RIGHTS);
    write(&mut memory, SECOND, 8, 0x2000 | READ_ONLY);
    write(&mut memory, 0x2000, 8, 0x3000 | RIGHTS);
    write(&mut memory, 0x3000, 8, 0x4000 | RIGHTS);
    write(&mut memory, 0x3008, 8, 0x20_0000 | LARGE | RIGHTS);
    write(&mut memory, 0x4008, 8, 0x9000 | NO_EXECUTE | RIGHTS);
    write(&mut memory, 0x4010, 8, 0xa000 | RIGHTS);
    write(&mut memory, NARROW, 4, 0x6000 | RIGHTS);
    write(&mut memory, NARROW + 4, 4, 0x40_0000 | LARGE | RIGHTS);
    write(&mut memory, 0x600c, 4, 0xb000 | RIGHTS);
    memory
};

/// Writes an entry of `width` bytes at `address`.
const fn write(memory: &mut [u8; 0x7000], address: u64, width: usize, raw: u64) {
    let mut at = 0;
    while at < width {
        memory[address as usize + at] = raw.to_le_bytes()[at];
        at += 1;
    }
}
