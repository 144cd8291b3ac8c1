//! Ten thousand roots that are one, or nearly.

use pt_core::{Encode, Geometry, Leaves, Options, RepeatedRoots};

use crate::every_format;
use crate::heap::peak;
use crate::made::{Made, ROOT, bomb, link, links, page};
use crate::walks::counted;

const ROOTS: u64 = 10_000;

every_format! {
    ten_thousand_roots_that_are_one = equal;
    ten_thousand_roots_that_are_almost_one = almost_equal;
}

fn equal<F: Encode>(format: &F) {
    let (memory, levels) = (bomb(format, |_| 0), u64::from(F::LEVELS));
    let roots = vec![ROOT; ROOTS as usize];
    let options = Options { leaves: Leaves::Runs, ..Options::default() };
    let (counts, bytes) = peak(|| counted(format, &memory, &roots, &options));
    assert_eq!(counts[..2], [levels, links::<F>() - (levels - 1) + ROOTS - 1]);
    assert_eq!(memory.reads(), levels);
    assert!(bytes < 4096, "{bytes}");

    // Asked for, they are read again: each root, and nothing below it.
    let options = Options { repeated_roots: RepeatedRoots::Read, ..options };
    let counts = counted(format, &memory, &roots[..100], &options);
    assert_eq!((counts[0], memory.reads()), (100 + levels - 1, 100 + levels - 1));
}

/// Roots that differ in one entry each, and link one table with two others.
fn almost_equal<F: Encode>(format: &F) {
    let below = ROOTS + 1;
    let memory = Made::new(format, |table, index| {
        let lowest = below + u64::from(F::LEVELS) - 2;
        Some(match table {
            1..=ROOTS if index == table % F::entries(F::ROOT) as u64 => (0x100 * table) & !1,
            1..=ROOTS if index > 2 => 0,
            1..=ROOTS => link(format, F::ROOT, below),
            table if table < lowest => link(format, F::ROOT.below()?, table + 1),
            table if table == lowest => page(format, index),
            _ => return None,
        })
    });
    let roots: Vec<u64> = (1..=ROOTS).map(|table| table << 12).collect();
    let options = Options { leaves: Leaves::Runs, ..Options::default() };
    let (counts, bytes) = peak(|| counted(format, &memory, &roots, &options));
    assert_eq!(counts[0], ROOTS + u64::from(F::LEVELS) - 1);
    assert_eq!(memory.reads(), counts[0]);
    assert!(bytes <= 128 * counts[0], "{bytes}");
}
