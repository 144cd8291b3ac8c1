//! New memory with one bit changed: `verify` refuses it exactly where the oracle does.

use std::hash::Hash;

use pt_core::{Encode, Memory};
use pt_rebuild::{NewRoot, Rebuilt};

use super::known::Known;
use super::memory::Flipped;
use super::{Judge, Way, went};
use crate::battery::compare::segments;
use crate::generate::Case;

/// How many bits a root register has.
const REGISTER: u64 = 64;

/// Flips those bits of the new tables and of the new root registers, one at a time, whose numbers `choose` gives for as
/// many as there are. Returns how many of them changed nothing that matters.
pub fn flips<F: Encode<Rights: Hash>>(
    case: &Case,
    format: &F,
    way: &Way,
    rebuilt: &Rebuilt,
    bits: impl IntoIterator<Item = u64>,
) -> u64 {
    let memory = segments(&case.memory);
    let (view, old, went) = (rebuilt.view(&memory), Known::new(case), went(rebuilt));
    let judge = Judge { case, format, way, old: &old, went: &went, rebuilt };
    let mut harmless = 0;
    for bit in bits {
        let mut left = bit % count_bits(rebuilt);
        let table = rebuilt.tables().iter().find(|table| {
            let bits = table.bytes.len() as u64 * 8;
            let here = left < bits;
            left -= if here { 0 } else { bits };
            here
        });
        let same = if let Some(table) = table {
            let flipped = Flipped { memory: &view, at: table.address + left / 8, bits: 1 << (left % 8) };
            agree(&judge, &flipped, rebuilt.roots())
        } else {
            let mut roots = rebuilt.roots().to_vec();
            let root = &mut roots[(left / REGISTER) as usize];
            *root = NewRoot { new: root.new ^ 1 << (left % REGISTER), ..*root };
            agree(&judge, &view, &roots)
        };
        harmless += u64::from(same);
    }
    harmless
}

/// How many bits there are to flip.
pub fn count_bits(rebuilt: &Rebuilt) -> u64 {
    let tables: u64 = rebuilt.tables().iter().map(|table| table.bytes.len() as u64 * 8).sum();
    tables + rebuilt.roots().len() as u64 * REGISTER
}

/// Whether both say that the spaces are the same, once knowing where frames were to go, and once not; what they say then
/// is returned.
fn agree<F: Encode<Rights: Hash>>(judge: &Judge<'_, F>, new: &impl Memory, roots: &[NewRoot]) -> bool {
    let [_, open] = [true, false].map(|placed| {
        let (oracle, proof) = (judge.oracle(new, roots, placed), judge.proof(new, roots, placed));
        assert_eq!(
            proof.is_ok(),
            oracle.is_ok(),
            "{judge}\n  roots now {roots:x?}: {proof:x?}, but {oracle:?}"
        );
        oracle.is_ok()
    });
    open
}
