//! Random tables in every mode: accesses of a few bytes against the oracle's translation of each byte.

use proptest::prelude::*;
use pt_testkit::generate::{Case, Kind, cases};
use pt_testkit::naive::{self, Lost, Physical};
use pt_vcpu::{AccessCause, AccessError, TranslateError, Vcpu};

use crate::oracle::{Sparse, vcpu};

/// Where each byte of an access is, up to the first that is nowhere.
fn bytes(case: &Case, cr3: u64, va: u64, len: usize) -> (Vec<u64>, Option<Lost>) {
    let mask = if case.mode.has_hole() { u64::MAX } else { u64::from(u32::MAX) };
    let mut found = Vec::new();
    for offset in 0..len as u64 {
        match naive::translate(&case.mode, &case.memory, cr3, va.wrapping_add(offset) & mask) {
            Ok(byte) if case.memory.bytes(byte.pa, 1).is_ok() => found.push(byte.pa),
            Ok(_) => return (found, None),
            Err(lost) => return (found, Some(lost)),
        }
    }
    (found, None)
}

/// Whether an error says what the oracle says.
fn agrees(error: &AccessError, lost: Option<&Lost>) -> bool {
    match (error.cause, lost) {
        (AccessCause::Physical { .. }, None) => true,
        (AccessCause::Translate(error), Some(lost)) => matches!(
            (error, lost),
            (TranslateError::NonCanonical { .. }, Lost::NoSuchAddress)
                | (TranslateError::NotPresent { .. }, Lost::Absent { .. })
                | (TranslateError::Fault(_), Lost::Fault(_))
        ),
        _ => false,
    }
}

/// The start or the end of a page whose frame the guest has; of the range, where there is none.
fn near_a_page(case: &Case, vcpu: &Vcpu, choice: u64) -> u64 {
    let memory = Sparse(case.memory.clone());
    let in_memory = |pa| case.memory.bytes(pa, 1).is_ok();
    let pages: Vec<_> = vcpu
        .extents(&memory, 0..=u64::MAX)
        .take(4000)
        .filter(|extent| {
            extent.to.is_ok_and(|found| in_memory(found.pa) || in_memory(found.pa + extent.len - 1))
        })
        .take(32)
        .collect();
    let Some(page) = pages.get(choice as usize / 2 % pages.len().max(1)) else { return case.range.0 };
    if choice.is_multiple_of(2) { page.va } else { page.va.wrapping_add(page.len) }
}

fn check(case: &Case, page: u64, before: u64, len: usize) -> Result<(), TestCaseError> {
    for &cr3 in &case.roots {
        let vcpu = vcpu(case.mode, cr3);
        prop_assert_eq!(vcpu.root(), Some(case.mode.root(cr3)));
        let va = near_a_page(case, &vcpu, page).wrapping_sub(before);
        let (places, lost) = bytes(case, cr3, va, len);
        let mut memory = Sparse(case.memory.clone());

        let mut into = vec![0; len];
        let read = vcpu.view(&memory).read(va, &mut into);
        let done = read.map_or_else(|error| error.done, |()| len);
        prop_assert_eq!(done, places.len());
        if let Err(error) = read {
            prop_assert_eq!(error.va, vcpu.paging().linear(va.wrapping_add(done as u64)));
            prop_assert!(agrees(&error, lost.as_ref()), "{error:?} {lost:?}");
        }
        for (byte, &pa) in into.iter().zip(&places) {
            prop_assert_eq!(*byte, case.memory.bytes(pa, 1).unwrap()[0]);
        }

        // A string is the same bytes up to the first zero.
        let zero = into[..done].iter().position(|&byte| byte == 0);
        let mut string = vec![0xff; len];
        match vcpu.view(&memory).read_c_string(va, &mut string) {
            Ok(string) => prop_assert_eq!(Some(string.count_bytes()), zero),
            Err(error) => {
                prop_assert_eq!((zero, error.done), (None, done));
                prop_assert!(error.cause == AccessCause::Unterminated && read.is_ok() || read == Err(error));
            }
        }

        // What is written is where the oracle says, unless the write changes the tables on its way.
        let mut entries = Vec::new();
        for offset in [0, len as u64] {
            let _ = vcpu.trace(&memory, va.wrapping_add(offset), |step| entries.push(step.entry));
        }
        if places.iter().any(|pa| entries.iter().any(|entry| pa & !7 == entry & !7)) {
            continue;
        }
        let text: Vec<u8> = (0..len).map(|index| index as u8 ^ 0x5a).collect();
        let written = vcpu.view(&mut memory).write(va, &text);
        prop_assert_eq!(written, read);
        let mut model = case.memory.clone();
        for (&pa, &byte) in places.iter().zip(&text) {
            assert!(model.write(pa, 1, u64::from(byte)));
        }
        prop_assert!(memory.0 == model);
    }
    Ok(())
}

/// The batteries of a mode.
macro_rules! modes {
    ($($name:ident: $kind:expr,)*) => {$(
        proptest! {
            #[test]
            fn $name(
                case in cases($kind),
                page in 0..64_u64,
                before in 0..40_u64,
                len in 0..80_usize,
            ) {
                check(&case, page, before, len)?;
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
