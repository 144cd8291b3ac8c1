//! Random graphs in every mode, rebuilt in random ways.

use std::collections::BTreeSet;
use std::hash::Hash;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use pt_core::Encode;
use pt_rebuild::Rebuilt;

use super::memory::Grown;
use super::{Flip, Placing, Way, check_commit, check_failures, check_way, flip};
use crate::battery::check_with;
use crate::battery::compare::segments;
use crate::generate::{Case, Kind};
use crate::naive::{Event, Faulty, Mode, flat};

/// How many frames get bytes of their own.
const DATA: usize = 12;

/// Random graphs rebuilt: refused or faithful as the oracle says; written as it is viewed; rebuilt again it is the same;
/// with one bit changed it is not; and no allocation that fails leaves anything behind.
pub fn rebuilding<F: Encode<Rights: Hash>>(kind: Kind, format: impl Fn(&Mode) -> F) {
    let ways = Way::plain(&[Placing::Keep, Placing::Move, Placing::Compact]);
    let chosen = (select(ways), any::<[Index; 4]>());
    check_with(kind, 64, chosen, |case, (way, bits)| {
        let (case, format) = (with_data(case), format(&case.mode));
        let Some(rebuilt) = check_way(&case, &format, &way) else { return };
        check_commit(&case, &format, &way, &rebuilt);
        for (index, bit) in bits.into_iter().enumerate() {
            let bit = bit.index(usize::MAX) as u64;
            let bits = [Flip::Table(bit), Flip::Root(bit), Flip::Frame(bit), Flip::Table(bit)];
            flip(&case, &format, &way, &rebuilt, bits[index]);
        }
        if way.placing == Placing::Keep && way.faults != Faulty::Cleared {
            check_again(&case, &format, &way, &rebuilt);
        }
        if rebuilt.tables().len() < 6 {
            check_failures(&case, &format, &way);
        }
    });
}

/// The case with bytes in some of the frames that its small pages map. They are present in no entry, and some of them are
/// alike.
fn with_data(case: &Case) -> Case {
    let mut case = case.clone();
    let events = case.roots.iter().flat_map(|&root| flat(&case.mode, &case.memory, root, case.range));
    let frames: BTreeSet<u64> = events
        .filter_map(|event| match event {
            Event::Leaf { level: 1, pa, .. } => Some(pa),
            _ => None,
        })
        .collect();
    let known: BTreeSet<u64> = case.memory.iter().map(|(address, _)| address).collect();
    for (number, &frame) in frames.difference(&known).take(DATA).enumerate() {
        let kind = number as u64 % 5;
        case.memory.add(frame);
        case.memory.write(frame + kind * 0x20, 4, kind << 1);
        case.memory.write(frame + 0xffc, 4, kind << 8);
    }
    case
}

/// What has been written.
pub(super) fn written(case: &Case, rebuilt: &Rebuilt) -> Case {
    let mut new = Grown::default();
    rebuilt.commit(&segments(&case.memory), &mut new).expect("all is written");
    let roots = rebuilt.roots().iter().map(|root| root.new).collect();
    Case { memory: new.frames, roots, ..case.clone() }
}

/// A rebuild rebuilt, with the same memory free for tables: the same tables at the same addresses.
fn check_again<F: Encode<Rights: Hash>>(case: &Case, format: &F, way: &Way, rebuilt: &Rebuilt) {
    let second = written(case, rebuilt);
    let again = check_way(&second, format, way).expect("what was rebuilt can be rebuilt");
    let tables = |rebuilt: &Rebuilt| -> Vec<_> {
        rebuilt.tables().iter().map(|table| (table.address, table.bytes.clone())).collect()
    };
    let registers = |rebuilt: &Rebuilt| rebuilt.roots().iter().map(|root| root.new).collect::<Vec<_>>();
    assert_eq!(registers(&again), registers(rebuilt), "{way:?}");
    assert!(tables(&again) == tables(rebuilt), "{way:?}: {rebuilt:x?} became {again:x?}");
}
