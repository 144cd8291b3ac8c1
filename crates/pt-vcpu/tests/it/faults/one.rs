//! One page and the path to it, every entry of which a test can change.

use pt_core::{Memory, MemoryMut};
use pt_vcpu::{Access, Fault, Machine, Mode, Registers, Translation, Vcpu};

use crate::guest::registers;

pub(super) const WP: u64 = 1 << 16;
pub(super) const SMEP: u64 = 1 << 20;
pub(super) const SMAP: u64 = 1 << 21;
pub(super) const PKE: u64 = 1 << 22;
pub(super) const PKS: u64 = 1 << 24;
pub(super) const NXE: u64 = 1 << 11;
pub(super) const AC: u64 = 1 << 18;
pub(super) const XD: u64 = 1 << 63;

/// Index 3 at every level that has one; in PAE's PDPT too.
pub(super) fn address(mode: Mode) -> u64 {
    match mode {
        Mode::TwoLevel => 3 << 22 | 3 << 12 | 0x123,
        Mode::Pae => 3 << 30 | 3 << 21 | 3 << 12 | 0x123,
        Mode::FourLevel => 3 << 39 | 3 << 30 | 3 << 21 | 3 << 12 | 0x123,
        Mode::FiveLevel => 3 << 48 | 3 << 39 | 3 << 30 | 3 << 21 | 3 << 12 | 0x123,
        Mode::Unpaged => 0x123,
    }
}

/// The page at [`address`]. Its path permits everything; its registers are those of a bare kernel with NXE and WP.
#[derive(Clone)]
pub(super) struct One {
    pub(super) registers: Registers,
    pub(super) machine: Machine,
    pub(super) memory: Vec<u8>,
    pub(super) va: u64,
    pub(super) width: usize,
}

impl One {
    /// 4 KiB at 0x8000. The table at level `n` is at `n << 12`, PAE's root 0x20 further.
    pub(super) fn new(mode: Mode) -> Self {
        let bare = registers(mode);
        let width = if mode == Mode::TwoLevel { 4 } else { 8 };
        let mut one = Self {
            registers: Registers { cr0: bare.cr0 | WP, efer: bare.efer | NXE, ..bare },
            machine: Machine::default(),
            memory: vec![0; 0x9000],
            va: address(mode),
            width,
        };
        one.registers.cr3 = u64::from(one.levels()) << 12 | if mode == Mode::Pae { 0x20 } else { 0 };
        for level in 2..=one.levels() {
            // A PDPTE of PAE has no rights.
            let rights = if mode == Mode::Pae && level == 3 { 1 } else { 7 };
            one.set(level, u64::from(level - 1) << 12 | rights);
        }
        one.set(1, 0x8007);
        one
    }

    /// A large page at 0, mapped at that level.
    pub(super) fn large(mode: Mode, level: u8) -> Self {
        let mut one = Self::new(mode);
        one.set(level, 0x87);
        one
    }

    pub(super) fn mode(&self) -> Mode {
        self.registers.mode()
    }

    pub(super) fn levels(&self) -> u8 {
        match self.registers.mode() {
            Mode::Unpaged => 0,
            Mode::TwoLevel => 2,
            Mode::Pae => 3,
            Mode::FourLevel => 4,
            Mode::FiveLevel => 5,
        }
    }

    /// Where the path's entry of that level is.
    pub(super) fn entry(&self, level: u8) -> u64 {
        let root = if self.mode() == Mode::Pae && level == 3 { 0x20 } else { 0 };
        (u64::from(level) << 12 | root) + 3 * self.width as u64
    }

    pub(super) fn get(&self, level: u8) -> u64 {
        self.memory.read_entry(self.entry(level), self.width).unwrap()
    }

    pub(super) fn set(&mut self, level: u8, raw: u64) {
        let entry = self.entry(level);
        self.memory.write(entry, &raw.to_le_bytes()[..self.width]).unwrap();
    }

    /// With bits of an entry set.
    pub(super) fn with(mut self, level: u8, bits: u64) -> Self {
        self.set(level, self.get(level) | bits);
        self
    }

    /// With bits of an entry cleared.
    pub(super) fn without(mut self, level: u8, bits: u64) -> Self {
        self.set(level, self.get(level) & !bits);
        self
    }

    /// With other registers.
    pub(super) fn in_state(mut self, change: impl FnOnce(&mut Registers)) -> Self {
        change(&mut self.registers);
        self
    }

    /// On another machine.
    pub(super) fn on(mut self, change: impl FnOnce(&mut Machine)) -> Self {
        change(&mut self.machine);
        self
    }

    pub(super) fn vcpu(&self) -> Vcpu {
        Vcpu::new(self.registers, &self.machine)
    }

    pub(super) fn access(&self, access: Access) -> Result<Translation, Fault> {
        self.vcpu().translate_access(&self.memory, self.va, access)
    }

    /// The fault as it is printed; `ok` if there is none.
    pub(super) fn says(&self, access: Access) -> String {
        self.access(access).map_or_else(|fault| fault.to_string(), |_| "ok".to_owned())
    }

    /// The error code of the page fault and the level that it is about.
    pub(super) fn code(&self, access: Access) -> Option<(u32, u8)> {
        match self.access(access) {
            Ok(_) => None,
            Err(Fault::Page(fault)) => Some((fault.code.bits(), fault.level.number())),
            Err(other) => panic!("{other}"),
        }
    }
}
