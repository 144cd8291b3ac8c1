//! What translating many addresses costs.

use std::cell::Cell;

use pt_amd64::FourLevel;
use pt_core::{Memory, NoBuffer, Translator, Unreadable};

/// A memory that counts what is read of it.
struct Counted(Vec<u8>, Cell<u32>);

impl Memory for Counted {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.1.update(|reads| reads + 1);
        self.0[..].read(address, into)
    }
}

/// In the upper half, and so with many bits that all of them have.
#[test]
fn an_address_costs_the_entries_that_the_one_before_it_has_not() {
    // The page directory at 0x3000 links two page tables.
    let mut memory = vec![0; 0x6000];
    let links = [(0x1f80, 0x2003), (0x2008, 0x3003), (0x3008, 0x4003), (0x3010, 0x5003)];
    let pages = [(0x4008, 0x7003), (0x4010, 0x8003), (0x5000, 0x9003), (0x5ff8, 0xa003)];
    for (at, raw) in links.into_iter().chain(pages) {
        memory[at..at + 8].copy_from_slice(&u64::to_le_bytes(raw));
    }
    let memory = Counted(memory, Cell::default());
    let mut space = Translator::new(FourLevel::default(), &memory, 0x1000);
    let addresses =
        [(0x20_1000, 0x7000, 4), (0x20_1fff, 0x7fff, 1), (0x20_2000, 0x8000, 1), (0x40_0000, 0x9000, 2)];
    let addresses = addresses.into_iter().chain([(0x5f_f123, 0xa123, 1), (0x20_2008, 0x8008, 2)]);
    for (offset, pa, reads) in addresses {
        let va = 0xffff_f800_4000_0000 | offset;
        assert_eq!(space.translate(va).map(|found| found.pa), Ok(pa), "{va:#x}");
        assert_eq!(memory.1.take(), reads, "{va:#x}");
    }
}
