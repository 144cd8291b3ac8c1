//! Guests that are mapped page by page, in every mode.

use pt_core::{Memory, MemoryMut, NoBuffer, Unreadable};
use pt_vcpu::{Machine, Mode, Registers, Vcpu, View};

/// The modes that have tables.
pub(crate) const PAGED: [Mode; 4] = [Mode::TwoLevel, Mode::Pae, Mode::FourLevel, Mode::FiveLevel];

/// Registers that select a mode, with the root at 0x1000 (in PAE at 0x1020).
pub(crate) fn registers(mode: Mode) -> Registers {
    let paging = Registers { cr0: 0x8001_0011, cr3: 0x1000, ..Registers::default() };
    match mode {
        Mode::Unpaged => Registers { cr0: 0x11, ..paging },
        Mode::TwoLevel => Registers { cr4: 0x10, ..paging },
        Mode::Pae => Registers { cr3: 0x1020, cr4: 0x20, ..paging },
        Mode::FourLevel => Registers { cr4: 0x20, efer: 0x500, ..paging },
        Mode::FiveLevel => Registers { cr4: 0x1020, efer: 0x500, ..paging },
    }
}

/// A guest with 1 MiB of memory, whose tables are made as pages are mapped.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) vcpu: Vcpu,
    pub(crate) memory: Vec<u8>,
    /// The index bits of each level, the root's first, and the width of an entry.
    levels: &'static [u32],
    width: usize,
    next_table: u64,
}

impl Guest {
    pub(crate) fn new(mode: Mode) -> Self {
        let levels: &[u32] = match mode {
            Mode::Unpaged => &[],
            Mode::TwoLevel => &[10, 10],
            Mode::Pae => &[2, 9, 9],
            Mode::FourLevel => &[9; 4],
            Mode::FiveLevel => &[9; 5],
        };
        let vcpu = Vcpu::new(registers(mode), &Machine::default());
        let width = if mode == Mode::TwoLevel { 4 } else { 8 };
        Self { vcpu, memory: vec![0; 0x10_0000], levels, width, next_table: 0x2000 }
    }

    /// Maps the 4 KiB page at `va` to `pa`.
    pub(crate) fn map(&mut self, va: u64, pa: u64) {
        self.map_at(va, pa, self.levels.len());
    }

    /// Maps a page by an entry of the `depth`-th table, counted from 1.
    pub(crate) fn map_at(&mut self, va: u64, pa: u64, depth: usize) {
        let mut table = self.vcpu.registers().cr3;
        let mut shift = 12 + self.levels.iter().sum::<u32>();
        for (index, bits) in self.levels[..depth].iter().enumerate() {
            shift -= bits;
            let entry = table + ((va >> shift) & ((1 << bits) - 1)) * self.width as u64;
            if index + 1 == depth {
                let large = if depth < self.levels.len() { 0x80 } else { 0 };
                self.store(entry, pa | large | 3);
                return;
            }
            if self.load(entry) == 0 {
                // PDPTEs of PAE have no rights.
                let rights = if self.vcpu.mode() == Mode::Pae && index == 0 { 1 } else { 3 };
                self.store(entry, self.next_table | rights);
                self.next_table += 0x1000;
            }
            table = self.load(entry) & !0xfff;
        }
    }

    fn load(&self, at: u64) -> u64 {
        self.memory.read_entry(at, self.width).unwrap()
    }

    fn store(&mut self, at: u64, raw: u64) {
        self.memory.write(at, &raw.to_le_bytes()[..self.width]).unwrap();
    }

    pub(crate) fn view(&self) -> View<&Vec<u8>> {
        self.vcpu.view(&self.memory)
    }

    pub(crate) fn view_mut(&mut self) -> View<&mut Vec<u8>> {
        self.vcpu.view(&mut self.memory)
    }
}

/// A page at the end of the physical addresses below 4 GiB and one at their start, and nothing else.
pub(crate) struct Ends(pub(crate) [u8; 4096], pub(crate) [u8; 4096]);

impl Ends {
    const LAST_PAGE: u64 = 0xffff_f000;

    fn place(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        let (page, at) = match address {
            0..0x1000 => (&mut self.1, address),
            Self::LAST_PAGE..=0xffff_ffff => (&mut self.0, address - Self::LAST_PAGE),
            _ => return None,
        };
        page.get_mut(at as usize..at as usize + len)
    }
}

impl Memory for Ends {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut copy = Self(self.0, self.1);
        into.copy_from_slice(copy.place(address, into.len()).ok_or(Unreadable::Outside)?);
        Ok(())
    }
}

impl MemoryMut for Ends {
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.place(address, bytes.len()).ok_or(Unreadable::Outside)?.copy_from_slice(bytes);
        Ok(())
    }
}
