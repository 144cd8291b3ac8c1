//! Every difference that `verify` finds, by the numbers that it names; and what is none.

use pt_amd64::FourLevel;
use pt_core::Level;
use pt_rebuild::{FrameMap, Mismatch, NewRoot, Proof, Stretch, VerifyError, verify};
use pt_x86::Rights;

const LINK: u64 = 7;
/// A page that can be read and nothing else.
const READ: u64 = 1 << 63 | 1;
const WRITE: u64 = READ | 2;
const USER: u64 = READ | 4;
const EXECUTE: u64 = 1;
const LARGE: u64 = 1 << 7;

/// A space with the root at 0x1000, the PD at 0x3000, and these entries.
fn space(entries: impl IntoIterator<Item = (u64, u64)>) -> Vec<u8> {
    let mut memory = vec![0; 0x40_0000];
    for (at, raw) in [(0x1000, 0x2000 | LINK), (0x2000, 0x3000 | LINK)].into_iter().chain(entries) {
        memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    memory
}

fn compare(old: &[u8], new: &[u8], proof: &Proof<'_>) -> Result<(), Mismatch<Rights>> {
    let root = NewRoot { old: 0x1000, new: 0x1000 };
    match verify(&FourLevel::default(), old, new, &[root], proof) {
        Ok(_) => Ok(()),
        Err(VerifyError::Mismatch { mismatch, .. }) => Err(mismatch),
        Err(other) => panic!("{other}"),
    }
}

/// Compares spaces of one page table, at 0x4000, with these entries.
fn pages(old: &[u64], new: &[u64], proof: &Proof<'_>) -> Result<(), Mismatch<Rights>> {
    let side = |pages: &[u64]| {
        let entries = pages.iter().enumerate().map(|(index, &raw)| (0x4000 + index as u64 * 8, raw));
        space(entries.chain([(0x3000, 0x4000 | LINK)]))
    };
    compare(&side(old), &side(new), proof)
}

/// The table at 0x5000 that the second entry of the PD links: a large page at 2 MiB in pieces of these attributes.
fn in_pieces(attributes: impl Fn(u64) -> u64) -> impl Iterator<Item = (u64, u64)> {
    let pieces =
        (0..512).map(move |piece| (0x5000 + piece * 8, (0x20_0000 + piece * 0x1000) | attributes(piece)));
    pieces.chain([(0x3008, 0x5000 | LINK)])
}

const fn large(attributes: u64) -> (u64, u64) {
    (0x3008, 0x20_0000 | LARGE | attributes)
}

/// The first and the last address of what is mapped in another way.
fn mapped(compared: Result<(), Mismatch<Rights>>) -> (u64, u64) {
    match compared {
        Err(Mismatch::Mapped { va, last, .. }) => (va, last),
        other => panic!("{other:x?}"),
    }
}

#[test]
fn a_table_that_became_two_or_was_two() {
    let one = space([(0x3000, 0x4000 | LINK), (0x3008, 0x4000 | LINK)]);
    let two = space([(0x3000, 0x4000 | LINK), (0x3008, 0x5000 | LINK)]);
    let (va, level) = (0x20_0000, Level::LEAF);
    let became_two = Mismatch::Sharing { va, level, old: 0x4000, new: 0x5000, known: 0x4000 };
    assert_eq!(compare(&one, &two, &Proof::default()), Err(became_two));
    let were_two = Mismatch::Sharing { va, level, old: 0x5000, new: 0x4000, known: 0x4000 };
    assert_eq!(compare(&two, &one, &Proof::default()), Err(were_two));
}

#[test]
fn a_frame_that_became_two_or_was_two() {
    let (one, two) = ([0x9000 | READ, 0x9000 | READ], [0x9000 | READ, 0xa000 | READ]);
    let became_two = Mismatch::Frame { va: 0x1000, old: 0x9000, new: 0xa000, known: Some(0x9000) };
    assert_eq!(pages(&one, &two, &Proof::default()), Err(became_two));
    let were_two = Mismatch::Frame { va: 0x1000, old: 0xa000, new: 0x9000, known: Some(0x9000) };
    assert_eq!(pages(&two, &one, &Proof::default()), Err(were_two));

    // In the middle of a large page, where a small one was met before.
    let with = |frame: u64| space([(0x3000, 0x4000 | LINK), (0x4000, frame | READ), large(READ)]);
    let (inside, apart) = (with(0x20_3000), with(0x9000));
    let va = 0x20_0000;
    let became_two = Mismatch::Frame { va, old: 0x20_3000, new: 0x20_3000, known: Some(0x9000) };
    assert_eq!(compare(&inside, &apart, &Proof::default()), Err(became_two));
    let were_two = Mismatch::Frame { va, old: 0x20_3000, new: 0x20_3000, known: Some(0x9000) };
    assert_eq!(compare(&apart, &inside, &Proof::default()), Err(were_two));
}

#[test]
fn tables_come_and_go_only_where_a_page_stands_for_them() {
    let table = |old: Option<u64>, new| Err(Mismatch::Table { va: 0x20_0000, level: Level::LEAF, old, new });
    let (gone, made) = (table(Some(0x5000), None), table(None, Some(0x5000)));
    let sizes = Proof { sizes: true, ..Proof::default() };
    let (whole, pieces) = (space([large(READ)]), space(in_pieces(|_| READ)));
    assert_eq!([compare(&pieces, &whole, &sizes), compare(&whole, &pieces, &sizes)], [Ok(()); 2]);
    assert_eq!(compare(&pieces, &whole, &Proof::default()), gone);
    assert_eq!(compare(&whole, &pieces, &Proof::default()), made);
    // An empty one is more than nothing.
    let (empty, nothing) = (space([(0x3008, 0x5000 | LINK)]), space([]));
    for proof in [sizes, Proof::default()] {
        assert_eq!(compare(&empty, &nothing, &proof), gone);
        assert_eq!(compare(&nothing, &empty, &proof), made);
    }
}

#[test]
fn pieces_have_the_rights_of_their_page() {
    for merged in [false, true] {
        let proof = Proof { sizes: true, merged, ..Proof::default() };
        for (page, piece) in [(READ, USER), (USER, READ), (READ, EXECUTE), (EXECUTE, READ), (READ, WRITE)] {
            let last = space(in_pieces(|number| if number == 511 { piece } else { page }));
            let compared = compare(&space([large(page)]), &last, &proof);
            assert_eq!(mapped(compared), (0x3f_f000, 0x3f_ffff), "{page:#x}, {piece:#x}");
        }
    }
}

#[test]
fn pages_lose_the_right_to_write_where_frames_were_merged_and_nowhere_else() {
    let merged = Proof { merged: true, ..Proof::default() };
    let old = [0x9000 | WRITE, 0xa000 | WRITE, 0xb000 | READ];
    let compared = |first, second, third| pages(&old, &[first, second, third], &merged);
    let third = 0xb000 | READ;
    assert_eq!(compared(old[0], old[1], third), Ok(()));
    assert_eq!(compared(0x9000 | READ, 0x9000 | READ, third), Ok(()));
    assert_eq!(compared(0x9000 | READ, old[1], 0x9000 | READ), Ok(()));
    for (first, second) in [(WRITE, READ), (READ, WRITE)] {
        let writable = Err(Mismatch::Writable { new: 0x9000 });
        assert_eq!(compared(0x9000 | first, 0x9000 | second, third), writable);
    }
    let alone = |new| Err(Mismatch::NotWritable { new });
    assert_eq!(compared(0x9000 | READ, old[1], third), alone(0x9000));
    assert_eq!(compared(0x9000 | READ, 0xa000 | READ, 0x9000 | READ), alone(0xa000));
    // Not at all where none may be merged.
    assert_eq!(mapped(pages(&old[..1], &[0x9000 | READ], &Proof::default())), (0, 0xfff));
}

#[test]
fn pages_are_absent_where_their_frames_were_dropped() {
    let compared = |stretches: &[(u64, u64, Option<u64>)]| {
        let stretches = stretches.iter().map(|&(first, last, to)| Stretch { first, last, to, shared: false });
        let frames = FrameMap::of(stretches).expect("a map");
        pages(&[0, 0x9000 | READ], &[0, 0], &Proof { frames: Some(&frames), ..Proof::default() })
    };
    assert_eq!(compared(&[(0x9000, 0x9fff, None)]), Ok(()));
    assert_eq!(compared(&[(0x8000, 0xafff, None)]), Ok(()));
    let kept = [
        &[(0x9000, 0x9fff, Some(0x9000))][..],
        &[(0x9000, 0x9ffe, None)],
        &[(0x9001, 0x9fff, None)],
        &[(0x8000, 0x8fff, None), (0xa000, 0xafff, None)],
    ];
    for stretches in kept {
        assert_eq!(mapped(compared(stretches)), (0x1000, 0x1fff), "{stretches:x?}");
    }
    assert_eq!(mapped(pages(&[0, 0x9000 | READ], &[0, 0], &Proof::default())), (0x1000, 0x1fff));
}

#[test]
fn a_page_may_be_beside_a_new_table_and_not_show_it() {
    let sizes = Proof { sizes: true, ..Proof::default() };
    let compared = |frame: u64| {
        let page = [(0x3000, 0x4000 | LINK), (0x4000, frame | READ)];
        let new = space(page.into_iter().chain(in_pieces(|_| READ)));
        compare(&space(page.into_iter().chain([large(READ)])), &new, &sizes)
    };
    assert_eq!(compared(0x6000), Ok(()));
    assert_eq!(compared(0x5000), Err(Mismatch::Shown { table: 0x5000, frame: 0x5000 }));
    // Nor that of a table that was there before.
    assert_eq!(compared(0x4000), Err(Mismatch::Shown { table: 0x4000, frame: 0x4000 }));
}
