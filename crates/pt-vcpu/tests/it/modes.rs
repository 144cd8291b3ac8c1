//! What registers and machine select.

use pt_amd64::{Features, FiveLevel, FourLevel};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_vcpu::{Machine, Mode, Paging, Registers, Rights, Vcpu, Vendor, with_format};
use pt_x86::{ControlRegisters, CpuState, Privilege};

use crate::guest::{Guest, PAGED, registers};

const NXE: u64 = 1 << 11;

#[test]
fn features_come_from_registers_and_machine() {
    let machine = Machine {
        phys_bits: 39,
        gib_pages: false,
        pse36: false,
        strict_pdpte: false,
        ignored: 1 << 38,
        vendor: Vendor::Amd,
    };
    let Machine { phys_bits, ignored, .. } = machine;
    for nx in [false, true] {
        let with_nxe = |mode| {
            let registers = registers(mode);
            Registers { efer: registers.efer | if nx { NXE } else { 0 }, ..registers }
        };
        let long = Features { phys_bits, nx, gib_pages: false, ignored, vendor: Vendor::Amd };
        let paging = |mode| Paging::new(&with_nxe(mode), &machine);
        assert_eq!(paging(Mode::FourLevel), Paging::FourLevel(FourLevel::new(long)));
        assert_eq!(paging(Mode::FiveLevel), Paging::FiveLevel(FiveLevel::new(long)));
        let pae = PaeFeatures { phys_bits, nx, strict_pdpte: false, ignored };
        assert_eq!(paging(Mode::Pae), Paging::Pae(Pae::new(pae)));
        assert_eq!(paging(Mode::Unpaged), Paging::Unpaged);
    }
    for pse in [false, true] {
        let registers = Registers { cr4: if pse { 0x10 } else { 0 }, ..registers(Mode::TwoLevel) };
        let features = TwoLevelFeatures { phys_bits, pse, pse36: false, ignored };
        assert_eq!(Paging::new(&registers, &machine), Paging::TwoLevel(TwoLevel::new(features)));
    }
}

/// The default machine is as wide as the formats' defaults, where registers allow it.
#[test]
fn defaults_are_the_widest_machine() {
    let paging = |mode| {
        let registers = registers(mode);
        Paging::new(&Registers { efer: registers.efer | NXE, ..registers }, &Machine::default())
    };
    assert_eq!(paging(Mode::FourLevel), Paging::FourLevel(FourLevel::default()));
    assert_eq!(paging(Mode::FiveLevel), Paging::FiveLevel(FiveLevel::default()));
    assert_eq!(paging(Mode::Pae), Paging::Pae(Pae::default()));
}

#[test]
fn the_state_is_that_of_the_registers() {
    for mode in PAGED {
        let registers = Registers { cr3: 0x2b_5fff, ..registers(mode) };
        let vcpu = |registers| Vcpu::new(registers, &Machine::default());
        assert_eq!(vcpu(registers).state(), CpuState::from(registers.control()));
        for cpl in 0..4 {
            let privilege = if cpl == 3 { Privilege::User } else { Privilege::Supervisor };
            assert_eq!(vcpu(Registers { cpl, ..registers }).privilege(), privilege, "level {cpl}");
        }
    }
}

#[test]
fn modes_and_roots() {
    for mode in PAGED {
        let registers = Registers { cr3: 0x2b_5fff, ..registers(mode) };
        let vcpu = Vcpu::new(registers, &Machine::default());
        assert_eq!((vcpu.mode(), registers.mode()), (mode, mode));
        let root = if mode == Mode::Pae { 0x2b_5fe0 } else { 0x2b_5000 };
        assert_eq!(vcpu.root(), Some(root));
        assert_eq!(vcpu.with_cr3(0x7018).root(), Some(0x7000));
        assert_eq!(vcpu.with_cr3(0x7018).registers().cr3, 0x7018);
        assert!(with_format!(vcpu.paging(), |_format| true, unpaged => false));
        // Another mode, asked for: only CR4.PSE and EFER.NXE of the registers count.
        let asked =
            Paging::of_mode(mode, &Registers { cr4: 0x10, ..Registers::default() }, &Machine::default());
        assert_eq!(asked, *vcpu.paging());
        assert_eq!(Vcpu::with_paging(registers, asked), vcpu);
    }
    let unpaged = Vcpu::new(Registers { cr3: 0x1000, ..Registers::default() }, &Machine::default());
    assert_eq!((unpaged.mode(), unpaged.root()), (Mode::Unpaged, None));
    assert!(with_format!(unpaged.paging(), |_format| false, unpaged => true));
}

#[test]
fn control_registers_with_named_bits() {
    let registers = Registers { efer: 0xd01, ..registers(Mode::FourLevel) };
    let control: ControlRegisters = registers.control();
    assert_eq!(Registers::from(control), registers);
    assert_eq!(Vcpu::new(control, &Machine::default()), Vcpu::new(registers, &Machine::default()));
}

#[test]
fn an_unpaged_vcpu_translates_to_itself() {
    let guest = Guest::new(Mode::Unpaged);
    let found = guest.view().translate(0xdead_beef_1234_5678).unwrap();
    assert_eq!((found.va, found.pa, found.page_size), (0x1234_5678, 0x1234_5678, 1 << 32));
    assert_eq!((found.rights, found.leaf), (Rights::all(), None));
    assert_eq!(found.left_in_page(), (1 << 32) - 0x1234_5678);
    guest.view().trace(0, |step| panic!("{step:?}")).unwrap();
    let extents: Vec<_> = guest.view().extents(0x1000..=u64::MAX).collect();
    assert_eq!((extents.len(), extents[0].va, extents[0].len), (1, 0x1000, (1 << 32) - 0x1000));
    assert_eq!(extents[0].to, guest.view().translate(0x1000));
    assert_eq!(guest.view().extents(5..=5).map(|extent| extent.len).sum::<u64>(), 1);
    assert_eq!(guest.view().extents(1 << 32..=u64::MAX).count(), 0);
}

/// A trace has an entry per level, and the translation names the last of them.
#[test]
fn traces() {
    for (mode, levels) in PAGED.into_iter().zip([2, 3, 4, 5]) {
        let mut guest = Guest::new(mode);
        guest.map(0x40_3000, 0x8_0000);
        let mut steps = Vec::new();
        let found = guest.view().trace(0x40_3123, |step| steps.push(step)).unwrap();
        assert_eq!((found.va, found.pa, found.page_size), (0x40_3123, 0x8_0123, 4096));
        assert_eq!(found.left_in_page(), 4096 - 0x123);
        assert_eq!((steps.len(), steps.last().copied()), (levels, found.leaf));
        assert_eq!(guest.view().translate(0x40_3123), Ok(found));
        let extents: Vec<_> = guest.view().extents(0x40_3100..=0x40_31ff).collect();
        assert_eq!((extents.len(), extents[0].va, extents[0].len), (1, 0x40_3100, 0x100));
        assert_eq!(extents[0].to.unwrap().leaf, found.leaf);
    }
}
