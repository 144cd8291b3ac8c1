//! Guests: one of 256 MiB with 32 processes, made up, and the whole images that `PT_BENCH_IMAGES` names.

use std::path::Path;

use pt_core::Memory;
use pt_image::{Image, OpenOptions};
use pt_vcpu::{Machine, Paging, Registers, RootsLimits, find_roots, with_format};
use pt_x86::{ControlRegisters, Cr4, Efer, MAX_PHYS_BITS, Mode};

/// How much memory it has, in bytes.
const MEMORY: u64 = 256 << 20;
const PROCESSES: u64 = 32;
/// Page tables of each process, a quarter of whose entries are present.
const TABLES: u64 = 4;
const PAGE: u64 = 4096;

/// Present, writable, user, accessed.
const LINK: u64 = 0x27;
/// Present, writable, user, accessed, dirty, no execute.
const DATA: u64 = 1 << 63 | 0x67;
/// Present, writable, accessed, dirty, global, large, no execute.
const DIRECT: u64 = 1 << 63 | 0x1e3;

pub(super) struct Guest {
    pub(super) name: String,
    pub(super) paging: Paging,
    /// From physical address 0 on.
    pub(super) memory: Vec<u8>,
    pub(super) roots: Vec<u64>,
}

impl Guest {
    pub(super) fn all() -> Vec<Self> {
        let images = std::env::var_os("PT_BENCH_IMAGES").unwrap_or_default();
        let images = std::env::split_paths(&images).filter(|path| !path.as_os_str().is_empty());
        std::iter::once(Self::synthetic()).chain(images.map(|image| Self::of_image(&image))).collect()
    }

    /// The memory of an image, and all spaces that have the kernel part of a CPU's.
    fn of_image(path: &Path) -> Self {
        let image = Image::open(path, &OpenOptions::new()).expect("an image");
        let cpu = image.cpus().first().expect("the state of a CPU");
        let mut control = cpu.control_registers();
        control.efer.set(Efer::NO_EXECUTE_ENABLE, true);
        let machine = Machine { phys_bits: MAX_PHYS_BITS, strict_pdpte: false, ..Machine::default() };
        let paging = Paging::of_mode(cpu.mode(), &Registers::from(control), &machine);
        let ranges = image.content_ranges();
        let found = with_format!(
            paging,
            |format| find_roots(&format, &image, ranges.iter().cloned(), &[cpu.cr3], &RootsLimits::default()),
            unpaged => panic!("paging is off"),
        );
        // Memory proper: what devices have above it is not rebuilt.
        let first = ranges.iter().take_while(|range| *range.start() < 1 << 31).last().expect("memory");
        let mut memory = vec![0; *first.end() as usize + 1];
        for range in ranges.iter().filter(|range| range.end() <= first.end()) {
            let (from, to) = (*range.start(), *range.end() as usize);
            image.read(from, &mut memory[from as usize..=to]).expect("what the image says that it has");
        }
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        Self {
            name: name.split('.').next().unwrap_or(name).to_owned(),
            paging,
            memory,
            roots: found.expect("few roots").iter().map(|root| root.root).collect(),
        }
    }

    fn synthetic() -> Self {
        let mut control = ControlRegisters::default();
        control.cr4.insert(Cr4::PAGE_SIZE_EXTENSIONS);
        control.efer.insert(Efer::NO_EXECUTE_ENABLE);
        let mut guest = Self {
            name: "synthetic".to_owned(),
            paging: Paging::of_mode(Mode::FourLevel, &Registers::from(control), &Machine::default()),
            memory: vec![0; MEMORY as usize],
            roots: Vec::new(),
        };
        // No page is like another.
        for (number, page) in guest.memory.chunks_exact_mut(PAGE as usize).enumerate() {
            page[..8].copy_from_slice(&(number as u64).to_le_bytes());
            page[2048..2056].copy_from_slice(&(!number as u64).to_le_bytes());
        }
        // Tables are spread over memory, as a kernel's are, and data pages too.
        let mut next = 0;
        let mut frame = || {
            next += 1;
            scattered(next)
        };
        let mut table = |guest: &mut Self| {
            let table = frame();
            guest.memory[table as usize..][..PAGE as usize].fill(0);
            table
        };
        let (kernel, directory) = (table(&mut guest), table(&mut guest));
        guest.store(kernel, 0, directory | LINK);
        for page in 0..MEMORY >> 21 {
            guest.store(directory, page, page << 21 | DIRECT);
        }
        for process in 0..PROCESSES {
            let [root, pdpt, pd] = [table(&mut guest), table(&mut guest), table(&mut guest)];
            guest.store(root, 0, pdpt | LINK);
            guest.store(root, 256, kernel | LINK);
            guest.store(pdpt, process, pd | LINK);
            for slot in 0..TABLES {
                let leaves = table(&mut guest);
                guest.store(pd, slot, leaves | LINK);
                for page in (0..512).step_by(4) {
                    let number = (process * TABLES + slot) * 128 + page / 4;
                    guest.store(leaves, page, scattered(0x8000 + number) | DATA);
                }
            }
            guest.roots.push(root);
        }
        guest
    }

    fn store(&mut self, table: u64, index: u64, raw: u64) {
        let at = (table + index * 8) as usize;
        self.memory[at..at + 8].copy_from_slice(&raw.to_le_bytes());
    }
}

/// The address of a frame by number: different for each, and no two in a row neighbours.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b1) % (MEMORY / PAGE) * PAGE
}
