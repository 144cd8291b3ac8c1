//! What `verify` knows about frames that were shared or expected somewhere, and where it says that something differs.

use pt_amd64::FourLevel;
use pt_core::{Limits, Mapped, Memory};
use pt_rebuild::{
    Arena, Extent, Faults, FrameMap, Graph, Mismatch, NewRoot, Place, Plan, Proof, RebuildOptions, Rebuilt,
    Stretch, VerifyError, verify,
};

const LINK: u64 = 7;
/// A page that can be read and nothing else.
const READ: u64 = 1 << 63 | 1;

fn memory(entries: &[(u64, u64)]) -> Vec<u8> {
    let mut memory = vec![0; 0x60_0000];
    for &(at, raw) in entries {
        memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    memory
}

fn rebuilt(old: &[u8], roots: &[u64], place: impl FnMut(&Extent) -> Place) -> Rebuilt {
    let graph = Graph::read(FourLevel::default(), old, roots, 0..=u64::MAX, Limits::NONE).expect("a graph");
    let plan = Plan::new(graph, RebuildOptions::default(), place).expect("a plan");
    plan.reserve(&mut Arena::new([0x1000_0000..=0x100f_ffff])).expect("room for tables")
}

/// Two pages side by side.
fn two_pages() -> Vec<u8> {
    let tables = [(0x1000, 0x2000 | LINK), (0x2000, 0x3000 | LINK), (0x3000, 0x4000 | LINK)];
    memory(&[tables[0], tables[1], tables[2], (0x4000, 0x8000 | READ), (0x4008, 0x9000 | READ)])
}

#[test]
fn frames_are_expected_stretch_by_stretch() {
    let old = two_pages();
    let rebuilt = rebuilt(&old, &[0x1000], |extent| Place::Move(extent.first + 0x20_0000));
    let half = |first: u64, to: u64, shared| Stretch { first, last: first + 0xfff, to: Some(to), shared };
    let verified = |second: Stretch| {
        let expected = FrameMap::of([half(0x8000, 0x20_8000, false), second]).expect("a map");
        let proof = Proof { frames: Some(&expected), ..Proof::default() };
        verify(&FourLevel::default(), &old, &rebuilt.view(&old), rebuilt.roots(), &proof)
    };
    // Two stretches that are not one, as only one of them is shared.
    assert_eq!(verified(half(0x9000, 0x20_9000, true)).map(|verified| verified.mapped.new), Ok(0x2000));
    let VerifyError::Mismatch { mismatch, space } = verified(half(0x9000, 0x20_a000, false)).unwrap_err()
    else {
        panic!("there is no limit")
    };
    let wrong = Mismatch::Frame { va: 0, old: 0x9000, new: 0x20_9000, known: Some(0x20_a000) };
    assert_eq!((mismatch, space), (wrong, None));
}

#[test]
fn a_large_page_can_hold_frames_that_others_share() {
    // One space has a page of 2 MiB, the other two pages of 4 KiB with the bytes of pieces of it, not the outer ones.
    let old = memory(&[
        (0x1000, 0x2000 | LINK),
        (0x2000, 0x3000 | LINK),
        (0x3000, 0x40_0080 | READ),
        (0x5000, 0x6000 | LINK),
        (0x6000, 0x7000 | LINK),
        (0x7000, 0x8000 | LINK),
        (0x8000, 0x9000 | READ),
        (0x8008, 0xb000 | READ),
    ]);
    let mut new = old.clone();
    new[0x8000..0x8008].copy_from_slice(&(0x40_5000 | READ).to_le_bytes());
    new[0x8008..0x8010].copy_from_slice(&(0x40_7000 | READ).to_le_bytes());
    let proof = Proof { merged: true, ..Proof::default() };
    let roots = [0x1000, 0x5000].map(|root| NewRoot { old: root, new: root });
    for roots in [[roots[0], roots[1]], [roots[1], roots[0]]] {
        let verified = verify(&FourLevel::default(), &old, &new, &roots, &proof);
        let mapped = verified.expect("the same spaces").mapped;
        assert_eq!((mapped.old, mapped.new), (0x20_2000, 0x20_0000));
        let apart = verify(&FourLevel::default(), &old, &new, &roots, &Proof::default());
        let taken = matches!(apart, Err(VerifyError::Mismatch { mismatch: Mismatch::Frame { .. }, .. }));
        assert!(taken, "{apart:?}");
    }
}

#[test]
fn a_difference_says_in_which_space_it_is() {
    let old = two_pages();
    let rebuilt = rebuilt(&old, &[0x1000], |_| Place::Keep);
    let mut changed = old.clone();
    changed[0x4008] |= 1 << 5;
    let proof = Proof::default();
    let differs = verify(&FourLevel::default(), &changed, &rebuilt.view(&old), rebuilt.roots(), &proof);
    let text = differs.unwrap_err().to_string();
    let new = rebuilt.roots()[0].new;
    assert!(text.starts_with(&format!("space 0x1000, now {new:#x}: 0x1000: ")), "{text}");
    // Where all spaces together are looked at, it is none of them.
    changed[0x4008] &= !(1 << 5);
    changed[0x8800] = 1;
    let differs = verify(&FourLevel::default(), &changed, &rebuilt.view(&old), rebuilt.roots(), &proof);
    let text = differs.unwrap_err().to_string();
    assert!(text.starts_with("bytes from 0x8"), "{text}");
    assert!(rebuilt.view(&old).read(0x8800, &mut [0; 8]).is_ok());
}

/// Entries that cannot be followed are cleared, each of them: that a pair like it was met before says nothing of the bits of
/// an entry that is absent.
#[test]
fn every_cleared_entry_is_zero() {
    let nowhere = 0x100_0000 | LINK;
    let old = memory(&[(0x1000, nowhere), (0x1008, nowhere)]);
    let roots = [NewRoot { old: 0x1000, new: 0x2000 }];
    let proof = Proof { faults: Faults::Clear, ..Proof::default() };
    let verified = |entry: u64| {
        let new = memory(&[(0x2008, entry)]);
        verify(&FourLevel::default(), &old, &new, &roots, &proof)
    };
    assert!(verified(0).is_ok());
    let Err(VerifyError::Mismatch { mismatch: Mismatch::Mapped { va, new, .. }, .. }) = verified(0x2_0000)
    else {
        panic!("{:?}", verified(0x2_0000))
    };
    assert_eq!((va, new), (1 << 39, Mapped::Absent { raw: 0x2_0000 }));
}

/// Nor of the bits of a link to what cannot be read.
#[test]
fn every_kept_link_is_as_it_was() {
    let nowhere = 0x100_0000 | LINK;
    let old = memory(&[(0x1000, nowhere), (0x1008, nowhere)]);
    let proof = Proof { faults: Faults::Keep, ..Proof::default() };
    let verified = |second: u64| {
        let new = memory(&[(0x2000, nowhere), (0x2008, second)]);
        verify(&FourLevel::default(), &old, &new, &[NewRoot { old: 0x1000, new: 0x2000 }], &proof)
    };
    assert!(verified(nowhere).is_ok());
    assert!(matches!(verified(nowhere | 1 << 9), Err(VerifyError::Mismatch { .. })));
}
