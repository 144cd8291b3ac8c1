//! What others get wrong when they rebuild spaces, one test per defect. The numbers are those of the list in
//! `docs/upstream.md`.

use pt_amd64::FourLevel;
use pt_core::{Limits, translate};
use pt_rebuild::{
    Arena, Compact, Graph, Plan, PlanError, Proof, RebuildOptions, Rebuilt, TableFrames, verify,
};
use pt_x86::Rights;

const MEMORY: u64 = 0x4_0000;
const LINK: u64 = 7;

fn memory(entries: &[(u64, u64)]) -> Vec<u8> {
    let mut memory = vec![0; MEMORY as usize];
    for &(at, raw) in entries {
        memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    }
    memory
}

/// Everything compacted, behind what is left free at the start.
fn rebuild(old: &[u8], roots: &[u64], table_frames: TableFrames) -> Result<(Rebuilt, Vec<u8>), PlanError> {
    let format = FourLevel::default();
    let graph = Graph::read(format, old, roots, 0..=u64::MAX, Limits::NONE).expect("a graph");
    let mut arena = Arena::new([0x10_0000..=0x1f_ffff]);
    let options = RebuildOptions { table_frames, ..RebuildOptions::default() };
    let compact = Compact::new(&mut arena, [0..=MEMORY - 1]);
    let rebuilt = Plan::new(graph, options, compact)?.reserve(&mut arena)?;
    let mut new = vec![0; 0x20_0000];
    rebuilt.commit(old, &mut new).expect("memory");
    let proof = Proof { table_frames, frames: Some(rebuilt.frames()), ..Proof::default() };
    verify(&format, old, &new, rebuilt.roots(), &proof).expect("the same spaces");
    Ok((rebuilt, new))
}

/// Two roots link one PDPT, the second one read-only and for the supervisor alone.
#[test]
fn defect_04_a_link_keeps_its_own_rights() {
    let old = memory(&[
        (0x1000, 0x3000 | LINK),
        (0x2000, 0x3001),
        (0x3000, 0x4000 | LINK),
        (0x4000, 0x5000 | LINK),
        (0x5000, 0x9000 | LINK),
    ]);
    for roots in [[0x1000, 0x2000], [0x2000, 0x1000]] {
        let (rebuilt, new) = rebuild(&old, &roots, TableFrames::Data).expect("a rebuild");
        assert_eq!(rebuilt.tables().len(), 5, "the PDPT is shared");
        let rights = |old_root| {
            let root = rebuilt.roots().iter().find(|root| root.old == old_root).expect("a root");
            translate(&FourLevel::default(), &new, root.new, 0).expect("a page").rights
        };
        assert_eq!(rights(0x1000), Rights::all());
        assert_eq!(rights(0x2000), Rights::EXECUTE);
    }
}

/// One frame at two writable addresses of one space, and at a third of another.
#[test]
fn defect_07_a_frame_that_is_mapped_twice_stays_one() {
    let mut old = memory(&[
        (0x1000, 0x3000 | LINK),
        (0x3000, 0x4000 | LINK),
        (0x4000, 0x5000 | LINK),
        (0x5008, 0x9000 | LINK),
        (0x5010, 0xa000 | LINK),
        (0x5018, 0x9000 | LINK),
        (0x2000, 0x6000 | LINK),
        (0x6000, 0x7000 | LINK),
        (0x7000, 0x8000 | LINK),
        (0x8000, 0x9000 | LINK),
    ]);
    old[0x9000] = 1;
    let (rebuilt, mut new) = rebuild(&old, &[0x1000, 0x2000], TableFrames::Data).expect("a rebuild");
    let [one, other] = *rebuilt.roots() else { panic!("two roots") };
    let at = |new: &[u8], root, va| translate(&FourLevel::default(), new, root, va).expect("a page").pa;
    let frame = at(&new, one.new, 0x1000);
    assert_eq!([at(&new, one.new, 0x3000), at(&new, other.new, 0)], [frame; 2]);
    assert_ne!(at(&new, one.new, 0x2000), frame);
    // A write through one address is seen through the others.
    new[frame as usize] = 2;
    assert_eq!(new[at(&new, other.new, 0) as usize], 2);
    let copied: u64 = rebuilt.copies().iter().map(pt_rebuild::Stretch::bytes).sum();
    assert_eq!(copied, 0x2000, "two frames, each copied once");
}

/// A root that links itself shows all tables as pages.
#[test]
fn defect_08_a_self_map_shows_the_new_tables_and_is_not_copied_as_data() {
    const SELF: u64 = 510;
    let old = memory(&[
        (0x1000, 0x3000 | LINK),
        (0x1000 + SELF * 8, 0x1000 | 3),
        (0x3000, 0x4000 | LINK),
        (0x4000, 0x5000 | LINK),
        (0x5000, 0x9000 | LINK),
    ]);
    let (rebuilt, new) = rebuild(&old, &[0x1000], TableFrames::Live).expect("a rebuild");
    assert_eq!(rebuilt.tables().len(), 4);
    let root = rebuilt.roots()[0].new;
    // The root as a page, at the address that has the slot at every level.
    let of_root = (0..4).fold(0, |va, level| va | SELF << (12 + 9 * level)) | 0xffff << 48;
    let page = translate(&FourLevel::default(), &new, root, of_root).expect("the root");
    assert_eq!(page.pa, root);
    // No page shows what an old table held: each table is one of the new ones, and every other frame is data.
    let old_tables = [0x1000, 0x3000, 0x4000, 0x5000];
    for table in rebuilt.tables() {
        let was = table.old.expect("each was a table");
        assert!(old_tables.contains(&was));
        assert_eq!(rebuilt.frames().get(was), Some(table.address));
    }
    // As data it cannot be: the entry is a link to the new root and a page that shows the old one.
    match rebuild(&old, &[0x1000], TableFrames::Data) {
        Err(PlanError::Conflict { entry, raw, one, other }) => {
            assert_eq!((entry, raw), (0x1000, 0x3000 | LINK), "the first entry that is both");
            assert_ne!(one, other);
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
}
