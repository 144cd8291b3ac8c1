//! New memory with one bit changed: `verify` refuses it exactly where the oracle does.

use std::hash::Hash;

use pt_core::{Encode, Memory};
use pt_rebuild::{NewRoot, Rebuilt};

use super::known::Known;
use super::memory::Flipped;
use super::{Judge, Way, went};
use crate::battery::compare::segments;
use crate::generate::Case;
use crate::naive::Frames;

/// A bit of what is new, by its number modulo that of all such bits.
#[derive(Clone, Copy, Debug)]
pub enum Flip {
    /// Of the tables.
    Table(u64),
    /// Of the root registers.
    Root(u64),
    /// Of what the frames have become that the old memory holds.
    Frame(u64),
}

/// How many bits the new tables have.
pub fn table_bits(rebuilt: &Rebuilt) -> u64 {
    rebuilt.tables().iter().map(|table| table.bytes.len() as u64 * 8).sum()
}

/// Flips a bit. Returns whether that changed nothing that matters.
pub fn flip<F: Encode<Rights: Hash>>(
    case: &Case,
    format: &F,
    way: &Way,
    rebuilt: &Rebuilt,
    flip: Flip,
) -> bool {
    let memory = segments(&case.memory);
    let (view, old, went) = (rebuilt.view(&memory), Known::new(case), went(rebuilt));
    let judge = Judge { case, format, way, old: &old, went: &went, rebuilt };
    let changed = |at: u64, bit: u64| {
        let flipped = Flipped { memory: &view, at: at + bit / 8, bits: 1 << (bit % 8) };
        agree(&judge, &flipped, rebuilt.roots(), flip)
    };
    match flip {
        Flip::Table(_) if rebuilt.tables().is_empty() => true,
        Flip::Table(bit) => {
            let mut bit = bit % table_bits(rebuilt);
            for table in rebuilt.tables() {
                let bits = table.bytes.len() as u64 * 8;
                if bit < bits {
                    return changed(table.address, bit);
                }
                bit -= bits;
            }
            unreachable!("the number is below that of all bits")
        }
        Flip::Root(_) if rebuilt.roots().is_empty() => true,
        Flip::Root(bit) => {
            let mut roots = rebuilt.roots().to_vec();
            let which = (bit / 64) as usize % roots.len();
            roots[which].new ^= 1 << (bit % 64);
            agree(&judge, &view, &roots, flip)
        }
        Flip::Frame(_) if old.held.is_empty() => true,
        Flip::Frame(bit) => {
            let (bits, frames) = (Frames::SIZE * 8, old.held.len() as u64);
            let frame = old.held[(bit / bits % frames) as usize].0;
            // What no page maps is not in the new memory.
            rebuilt.frames().get(frame).is_none_or(|at| changed(at, bit % bits))
        }
    }
}

/// Whether both say that the spaces are the same, once knowing where frames were to go, and once not; what they say then
/// is returned.
fn agree<F: Encode<Rights: Hash>>(
    judge: &Judge<'_, F>,
    new: &impl Memory,
    roots: &[NewRoot],
    flip: Flip,
) -> bool {
    let [_, open] = [true, false].map(|placed| {
        let (oracle, proof) = (judge.oracle(new, roots, placed), judge.proof(new, roots, placed));
        assert_eq!(proof.is_ok(), oracle.is_ok(), "{judge}\n  {flip:?}: {proof:x?}, but {oracle:?}");
        oracle.is_ok()
    });
    open
}
