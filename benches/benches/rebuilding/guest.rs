//! A guest of 256 MiB with 32 processes.

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
    pub(super) memory: Vec<u8>,
    pub(super) roots: Vec<u64>,
}

impl Guest {
    pub(super) fn new() -> Self {
        let mut guest = Self { memory: vec![0; MEMORY as usize], roots: Vec::new() };
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
