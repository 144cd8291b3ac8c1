//! The oracle's types as the engine's, and back.

use pt_core::NoBuffer;
use pt_testkit::naive::{self, Frames, Long, Missing, Physical};
use pt_vcpu::{Machine, Memory, MemoryExchange, MemoryMut, Registers, Unreadable, Vcpu, Vendor};

/// The oracle's memory, as the engine reads and writes it.
pub(crate) struct Sparse(pub(crate) Frames);

impl Memory for Sparse {
    type Buffer = NoBuffer;

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let bytes = self.0.bytes(address, into.len() as u64).map_err(|missing| match missing {
            Missing::Outside => Unreadable::Outside,
            Missing::NotHeld => Unreadable::NotHeld,
        })?;
        into.copy_from_slice(&bytes);
        Ok(())
    }
}

impl MemoryMut for Sparse {
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.read(address, &mut vec![0; bytes.len()])?;
        for (at, &byte) in (address..).zip(bytes) {
            assert!(self.0.write(at, 1, u64::from(byte)));
        }
        Ok(())
    }
}

impl MemoryExchange for Sparse {
    fn compare_exchange(
        &mut self,
        address: u64,
        width: usize,
        current: u64,
        new: u64,
    ) -> Result<bool, Unreadable> {
        let unchanged = self.read_entry(address, width)? == current;
        if unchanged {
            assert!(self.0.write(address, width as u64, new), "it was read");
        }
        Ok(unchanged)
    }
}

/// The oracle's mode, as registers and a machine.
pub(crate) fn vcpu(mode: naive::Mode, cr3: u64) -> Vcpu {
    let (registers, machine) = registers_and_machine(mode, cr3);
    Vcpu::new(registers, &machine)
}

fn registers_and_machine(mode: naive::Mode, cr3: u64) -> (Registers, Machine) {
    let paging = Registers { cr0: 0x8000_0001, cr3, ..Registers::default() };
    let with_nxe = |efer, nx| if nx { efer | 0x800 } else { efer };
    let long = |cr4, long: Long| {
        let Long { phys_bits, nx, gib_pages, amd, ignored } = long;
        let vendor = if amd { Vendor::Amd } else { Vendor::Intel };
        let machine =
            Machine { phys_bits: phys_bits as u8, gib_pages, ignored, vendor, ..Machine::default() };
        (Registers { cr4, efer: with_nxe(0x500, nx), ..paging }, machine)
    };
    match mode {
        naive::Mode::TwoLevel { phys_bits, pse, pse36, ignored } => {
            let machine = Machine { phys_bits: phys_bits as u8, pse36, ignored, ..Machine::default() };
            (Registers { cr4: if pse { 0x10 } else { 0 }, ..paging }, machine)
        }
        naive::Mode::Pae { phys_bits, nx, strict_pdpte, ignored } => {
            let machine = Machine { phys_bits: phys_bits as u8, strict_pdpte, ignored, ..Machine::default() };
            (Registers { cr4: 0x20, efer: with_nxe(0, nx), ..paging }, machine)
        }
        naive::Mode::FourLevel(features) => long(0x20, features),
        naive::Mode::FiveLevel(features) => long(0x1020, features),
        naive::Mode::Toy => unreachable!("not a CPU's"),
    }
}

/// The same in a state of the oracle's.
pub(crate) fn vcpu_in(mode: naive::Mode, cr3: u64, cpu: &naive::Cpu) -> Vcpu {
    let (registers, machine) = registers_and_machine(mode, cr3);
    let bits = |bits: &[(bool, u32)]| bits.iter().map(|&(set, bit)| u64::from(set) << bit).sum::<u64>();
    let registers = Registers {
        cr0: registers.cr0 | bits(&[(cpu.wp, 16)]),
        cr4: registers.cr4 | bits(&[(cpu.smep, 20), (cpu.smap, 21), (cpu.pke, 22), (cpu.pks, 24)]),
        rflags: bits(&[(cpu.ac, 18)]),
        pkru: cpu.pkru,
        pkrs: cpu.pkrs,
        ..registers
    };
    let vendor = if cpu.amd { Vendor::Amd } else { machine.vendor };
    Vcpu::new(registers, &Machine { vendor, ..machine })
}
