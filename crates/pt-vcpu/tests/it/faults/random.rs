//! Random tables in every mode, in random states: every access by everybody, and what is left of the tables, against the
//! oracle.

use proptest::prelude::*;
use pt_testkit::generate::{Case, Kind, cases};
use pt_testkit::naive::{self, By, Cpu, Does, Link, Missing, Mode, Outcome, Rights, Used, flat};
use pt_vcpu::{Access, AccessKind, Fault, Marking, Privilege, Translation, Unreadable};
use pt_x86::{ErrorCode, PageFault, Reason};

use crate::oracle::{Sparse, vcpu_in};

const ACCESSES: [(AccessKind, Does); 3] =
    [(AccessKind::Read, Does::Read), (AccessKind::Write, Does::Write), (AccessKind::Fetch, Does::Fetch)];
const PRIVILEGES: [(Privilege, By); 3] = [
    (Privilege::User, By::User),
    (Privilege::Supervisor, By::Supervisor),
    (Privilege::Implicit, By::ImplicitSupervisor),
];

/// States; keys are closed often enough that they matter and seldom enough that other things do.
fn states() -> impl Strategy<Value = Cpu> {
    let flags = any::<[bool; 7]>();
    let register = prop_oneof![Just(0), any::<(u32, u32)>().prop_map(|(one, two)| one & two), Just(!0)];
    (flags, register.clone(), register).prop_map(|([wp, smep, smap, pke, pks, ac, amd], pkru, pkrs)| Cpu {
        wp,
        smep,
        smap,
        pke,
        pks,
        ac,
        pkru,
        pkrs,
        amd,
    })
}

fn outcome(engine: Result<Translation, Fault>) -> Outcome {
    match engine {
        Ok(found) => {
            let leaf = found.leaf.expect("paging is on");
            Outcome::Page {
                pa: found.pa,
                leaf: Used { level: leaf.level.number(), entry: leaf.entry, raw: leaf.raw },
                rights: Rights {
                    write: found.rights.contains(pt_x86::Rights::WRITE),
                    user: found.rights.contains(pt_x86::Rights::USER),
                    execute: found.rights.contains(pt_x86::Rights::EXECUTE),
                },
                memory_type: found.memory_type_index(),
                key: found.protection_key(),
            }
        }
        Err(Fault::Page(PageFault { code, level, entry, raw, .. })) => {
            Outcome::PageFault { code: code.bits(), by: Used { level: level.number(), entry, raw } }
        }
        Err(Fault::NonCanonical { .. }) => Outcome::NonCanonical,
        Err(Fault::Pdpte { entry, raw, reserved }) => {
            Outcome::Pdpte { by: Used { level: 3, entry, raw }, reserved }
        }
        Err(Fault::Unreadable { level, table, link, why }) => {
            let why = match why {
                Unreadable::Outside => Missing::Outside,
                Unreadable::NotHeld => Missing::NotHeld,
                other => panic!("nothing here fails like {other:?}"),
            };
            let link = Link { raw: link.raw, entry: link.entry };
            Outcome::NoTable { level: level.number(), table, link, why }
        }
        Err(other) => panic!("nobody writes meanwhile: {other}"),
    }
}

/// What a fault says of itself goes together: the reason with the code, with the entry and with the access.
fn is_sound(fault: &PageFault, access: Access, linear: u64) {
    let PageFault { va, code, raw, reason, .. } = *fault;
    assert_eq!((va, fault.access), (linear, access));
    assert_eq!(raw & 1 != 0, code.contains(ErrorCode::PRESENT));
    let key = code.contains(ErrorCode::PROTECTION_KEY);
    let sound = match reason {
        Reason::NotPresent => code.bits() & !0x16 == 0,
        Reason::Reserved(bits) => bits != 0 && bits & !raw == 0 && code.contains(ErrorCode::RESERVED) && !key,
        Reason::Supervisor => raw & 4 == 0 && access.is_user(),
        Reason::ReadOnly => raw & 2 == 0 && access.is_write(),
        Reason::NoExecute => raw >> 63 == 1 && access.is_fetch(),
        Reason::Smep => raw & 4 != 0 && access.is_fetch() && !access.is_user(),
        Reason::Smap => raw & 4 != 0 && !access.is_fetch() && !access.is_user(),
        Reason::ProtectionKey { key: of, .. } => key && raw >> 59 & 15 == u64::from(of),
        other => panic!("{other:?} is not known here"),
    };
    assert!(sound, "{fault:?}");
    assert!(key || !matches!(reason, Reason::ProtectionKey { .. }), "{fault:?}");
    assert_eq!(code.contains(ErrorCode::RESERVED), matches!(reason, Reason::Reserved(_)), "{fault:?}");
}

/// Where the root's tables have something, and an address of no meaning.
fn addresses(case: &Case, cr3: u64, anywhere: u64) -> Vec<u64> {
    let events = flat(&case.mode, &case.memory, cr3, (0, u64::MAX));
    let step = events.len() / 10 + 1;
    let met = events.iter().filter(|event| !event.is_table()).step_by(step);
    met.map(|event| event.va().wrapping_add(anywhere % 4096)).chain([anywhere]).collect()
}

fn check(case: &Case, cpu: &Cpu, anywhere: u64) {
    // One vendor for the format and for the state.
    let amd = match case.mode {
        Mode::FourLevel(long) | Mode::FiveLevel(long) => long.amd,
        _ => cpu.amd,
    };
    let cpu = &Cpu { amd, ..*cpu };
    for &cr3 in &case.roots {
        let vcpu = vcpu_in(case.mode, cr3, cpu);
        let sparse = Sparse(case.memory.clone());
        for va in addresses(case, cr3, anywhere) {
            let linear = vcpu.paging().linear(va);
            for (kind, does) in ACCESSES {
                for (privilege, by) in PRIVILEGES {
                    let access = Access { kind, privilege };
                    let what = || format!("{access} at {va:#x} of {cr3:#x}, {cpu:x?}");
                    let engine = vcpu.translate_access(&sparse, va, access);
                    let oracle = naive::access(&case.mode, cpu, &case.memory, cr3, linear, does, by);
                    if let Err(Fault::Page(fault)) = &engine {
                        is_sound(fault, access, linear);
                    }
                    assert_eq!(outcome(engine), oracle, "{}", what());
                    if let Ok(found) = vcpu.translate(&sparse, va) {
                        let permitted = vcpu.state().permits(found.rights, found.protection_key(), access);
                        assert_eq!(permitted, engine.is_ok(), "{}", what());
                    }

                    let mut memory = Sparse(case.memory.clone());
                    let marked = vcpu.translate_marking(&mut memory, va, access).map(|(found, marking)| {
                        assert_eq!(marking, Marking::Complete);
                        found
                    });
                    let mut model = case.memory.clone();
                    let oracle = naive::access_and_mark(&case.mode, cpu, &mut model, cr3, linear, does, by);
                    assert_eq!(outcome(marked), oracle, "{}, marked", what());
                    assert_eq!(memory.0, model, "{}, marked", what());
                }
            }
        }
    }
}

/// The batteries of a mode.
macro_rules! modes {
    ($($name:ident: $kind:expr,)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
            #[test]
            fn $name(case in cases($kind), cpu in states(), anywhere: u64) {
                check(&case, &cpu, anywhere);
            }
        }
    )*};
}

modes! {
    two_level: Kind::TwoLevel,
    pae: Kind::Pae,
    four_level: Kind::FourLevel,
    five_level: Kind::FiveLevel,
}
