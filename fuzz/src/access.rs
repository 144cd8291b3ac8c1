//! Accesses in any state of a CPU: judged as the oracle judges them, and accessed and dirty bits set as it sets them.

use pt_core::{Encode, Format, Level};
use pt_testkit::naive::{self, By, Cpu, Does, Frames, Long, Mode, Outcome};
use pt_vcpu::{Access, AccessKind, Fault, Machine, Marking, Privilege, Registers, Rights, Vcpu, Vendor};

use crate::choices::Choices;
use crate::scene::{PAGES, Question, Scene, ask};

/// The input is a scene, and what is left of it a state, accesses and addresses.
pub fn run(input: &[u8]) {
    ask(input, &Accesses);
}

struct Accesses;

impl Question for Accesses {
    fn ask<F: Format<Rights = Rights> + Encode>(&self, _: &F, mode: &Mode, scene: &Scene<'_>) {
        let mut choices = Choices::new(scene.rest);
        let bits = choices.byte();
        let flag = |bit: u8| bits >> bit & 1 != 0;
        let amd = match *mode {
            Mode::FourLevel(long) | Mode::FiveLevel(long) => long.amd,
            _ => flag(6),
        };
        let cpu = Cpu {
            wp: flag(0),
            smep: flag(1),
            smap: flag(2),
            pke: flag(3),
            pks: flag(4),
            ac: flag(5),
            pkru: choices.number(4) as u32,
            pkrs: choices.number(4) as u32,
            amd,
        };
        let mut marked = scene.memory.clone();
        let mut model = Frames::new();
        (0..PAGES as u64).for_each(|page| model.add(page << 12));
        model.store(0, &scene.memory);
        for _ in 0..3 {
            let vcpu = vcpu(mode, scene.roots[choices.below(3)], &cpu);
            let va = choices.edge().wrapping_mul(0x1000 << (choices.byte() % 48));
            let (kind, does) = choices.one_of(&[
                (AccessKind::Read, Does::Read),
                (AccessKind::Write, Does::Write),
                (AccessKind::Fetch, Does::Fetch),
            ]);
            let (privilege, by) = choices.one_of(&[
                (Privilege::User, By::User),
                (Privilege::Supervisor, By::Supervisor),
                (Privilege::Implicit, By::ImplicitSupervisor),
            ]);
            let access = Access { kind, privilege };
            let (cr3, linear) = (vcpu.registers().cr3, vcpu.paging().linear(va));
            let judged = vcpu.translate_access(&scene.memory, va, access);
            same(&judged, naive::access(mode, &cpu, &scene.physical(), cr3, linear, does, by));
            if let Ok(found) = vcpu.translate(&scene.memory, va) {
                let permitted = vcpu.state().permits(found.rights, found.protection_key(), access);
                assert_eq!(permitted, judged.is_ok());
            }
            let done = vcpu.translate_marking(&mut marked, va, access).map(|(found, marking)| {
                assert_eq!(marking, Marking::Complete);
                found
            });
            same(&done, naive::access_and_mark(mode, &cpu, &mut model, cr3, linear, does, by));
            if done.is_ok() {
                assert!(model.iter().zip(marked.chunks(4096)).all(|((_, known), page)| known == Some(page)));
            }
        }
    }
}

/// Registers and machine that select this mode and this state.
fn vcpu(mode: &Mode, cr3: u64, cpu: &Cpu) -> Vcpu {
    let wide = Machine { vendor: if cpu.amd { Vendor::Amd } else { Vendor::Intel }, ..Machine::default() };
    let of_long = |long: Long| {
        let Long { phys_bits, nx, gib_pages, ignored, .. } = long;
        (Machine { phys_bits: phys_bits as u8, gib_pages, ignored, ..wide }, nx)
    };
    let (cr4, long_mode, (machine, nx)) = match *mode {
        Mode::TwoLevel { phys_bits, pse, pse36, ignored } => {
            let machine = Machine { phys_bits: phys_bits as u8, pse36, ignored, ..wide };
            (if pse { 1 << 4 } else { 0 }, false, (machine, false))
        }
        Mode::Pae { phys_bits, nx, strict_pdpte, ignored } => {
            (1 << 5, false, (Machine { phys_bits: phys_bits as u8, strict_pdpte, ignored, ..wide }, nx))
        }
        Mode::FourLevel(long) => (1 << 5, true, of_long(long)),
        Mode::FiveLevel(long) => (1 << 5 | 1 << 12, true, of_long(long)),
        Mode::Toy => unreachable!("scenes are of x86"),
    };
    let bit = |set: bool, position: u32| if set { 1_u64 << position } else { 0 };
    let registers = Registers {
        cr0: 1 << 31 | 1 | bit(cpu.wp, 16),
        cr3,
        cr4: cr4 | bit(cpu.smep, 20) | bit(cpu.smap, 21) | bit(cpu.pke, 22) | bit(cpu.pks, 24),
        efer: bit(long_mode, 8) | bit(long_mode, 10) | bit(nx, 11),
        rflags: bit(cpu.ac, 18),
        cpl: 0,
        pkru: cpu.pkru,
        pkrs: cpu.pkrs,
    };
    Vcpu::new(registers, &machine)
}

fn same(engine: &Result<pt_vcpu::Translation, Fault>, oracle: Outcome) {
    let used = |level: Level, entry, raw| naive::Used { level: level.number(), entry, raw };
    let engine = match *engine {
        Ok(found) => {
            let leaf = found.leaf.expect("paging is on");
            Outcome::Page {
                pa: found.pa,
                leaf: used(leaf.level, leaf.entry, leaf.raw),
                rights: naive::Rights {
                    write: found.rights.contains(Rights::WRITE),
                    user: found.rights.contains(Rights::USER),
                    execute: found.rights.contains(Rights::EXECUTE),
                },
                memory_type: found.memory_type_index(),
                key: found.protection_key(),
            }
        }
        Err(Fault::Page(fault)) => {
            Outcome::PageFault { code: fault.code.bits(), by: used(fault.level, fault.entry, fault.raw) }
        }
        Err(Fault::NonCanonical { .. }) => Outcome::NonCanonical,
        Err(Fault::Pdpte { entry, raw, reserved }) => {
            Outcome::Pdpte { by: naive::Used { level: 3, entry, raw }, reserved }
        }
        Err(Fault::Unreadable { level, table, link, .. }) => Outcome::NoTable {
            level: level.number(),
            table,
            link: naive::Link { raw: link.raw, entry: link.entry },
            why: naive::Missing::Outside,
        },
        Err(other) => panic!("nobody writes meanwhile: {other}"),
    };
    assert_eq!(engine, oracle);
}
