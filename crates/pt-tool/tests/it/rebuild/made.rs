//! A guest of 4 MiB that was made by hand: small, with its frames.
//!
//! ```text
//! A 0x11000 ─rw─┐                                   0x20000 alpha, twice    0x23000, 0x24000 zeros
//!               ├▶ PDPT 0x13000 ▶ PD 0x14000 ▶ PT 0x15000 ▶ 0x21000, 0x22000 beta  0xfee00000 a device
//! B 0x12000 ─r──┘                   └▶ 2 MiB at 0x200000, alpha in the middle    the PT itself
//! ```

use std::fs;
use std::path::PathBuf;

use pt_image::{CoreWriter, MemoryRange, Staged};

use super::Job;

pub(super) const A: u64 = 0x11000;
pub(super) const B: u64 = 0x12000;
pub(super) const PDPT: u64 = 0x13000;
pub(super) const PD: u64 = 0x14000;
pub(super) const PT: u64 = 0x15000;
pub(super) const DEVICE: u64 = 0xfee0_0000;
/// Where the large page is, in virtual and in physical memory.
pub(super) const LARGE: u64 = 0x20_0000;
/// A page of the large one that holds the bytes of alpha.
pub(super) const LIKE_ALPHA: u64 = LARGE + 0x8_0000;
const MEMORY: u64 = 0x40_0000;

/// The pages of the PT: virtual address and entry.
pub(super) const PAGES: [(u64, u64); 8] = [
    (0x0000, 0x2_0007),
    (0x1000, 0x2_1005),
    (0x2000, 0x2_2007),
    (0x3000, 0x2_3007),
    (0x4000, 0x2_4007),
    (0x5000, PT | 7),
    (0x6000, DEVICE | 7),
    (0x7000, 0x2_0007),
];

/// How many frames of 4 KiB the image holds that pages map, the PT's own included.
pub(super) const HELD_FRAMES: u64 = 6 + 512;
/// Of these: how many hold bytes of their own.
pub(super) const DISTINCT_FRAMES: u64 = 4 + 511;

/// A CPU: CR0, CR3 and CR4, and whether its code is 64-bit.
#[derive(Clone, Copy)]
pub(super) struct Cpu(pub(super) u64, pub(super) u64, pub(super) u64, pub(super) bool);

/// A CPU with 4-level paging.
pub(super) fn long(cr3: u64) -> Cpu {
    Cpu(0x8000_0011, cr3, 0x20, true)
}

/// The memory.
pub(super) fn memory() -> Vec<u8> {
    let mut memory = vec![0; MEMORY as usize];
    let mut put =
        |at: u64, raw: u64| memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    put(A, PDPT | 7);
    put(B, PDPT | 5);
    put(PDPT, PD | 7);
    put(PD, PT | 7);
    put(PD + 8, LARGE | 0x87);
    for (va, raw) in PAGES {
        put(PT + va / 0x1000 * 8, raw);
    }
    for page in (LARGE..LARGE + 0x20_0000).step_by(0x1000) {
        put(page, page);
    }
    let mut fill = |at: u64, byte| memory[at as usize..at as usize + 0x1000].fill(byte);
    fill(0x2_0000, 0xaa);
    fill(0x2_1000, 0xbb);
    fill(0x2_2000, 0xbb);
    fill(LIKE_ALPHA, 0xaa);
    memory
}

/// A core of that memory with these CPUs, and with both spaces if it has none.
pub(super) fn job(cpus: &[Cpu]) -> Job {
    of_memory(&memory(), cpus)
}

/// The same of other memory.
pub(super) fn of_memory(memory: &[u8], cpus: &[Cpu]) -> Job {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("guest.elf");
    let range = MemoryRange::held(0, memory.len() as u64);
    let mut writer = CoreWriter::new().range(range).note(b"VMCOREINFO", 0, b"PAGESIZE=4096\n");
    for &Cpu(cr0, cr3, cr4, is_long) in cpus {
        let mut note = vec![0; 440];
        let mut put = |at: usize, value: u64| note[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put(0, 1 | 440 << 32);
        // The L bit in the flags of CS.
        put(160, u64::from(is_long) << 21);
        put(392, cr0);
        put(416, cr3);
        put(424, cr4);
        writer = writer.note(b"QEMU", 0, &note);
    }
    writer.write(&image, memory).and_then(Staged::commit).expect("written");
    // What is written goes elsewhere, so that its folder has nothing else.
    let mut job = Job::of(&image);
    job.also = Some(folder);
    job
}

/// What is in the folder of the new image, by name, with its bytes.
pub(super) fn left(job: &Job) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = job.folder.path().read_dir().expect("a folder");
    let mut files: Vec<_> = folder
        .map(|entry| entry.expect("a file").path())
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}
