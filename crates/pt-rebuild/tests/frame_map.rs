//! Maps of frames that are made by hand: looked up, joined, refused.

use pt_rebuild::{BadStretch, FrameMap, Stretch};

const fn stretch(first: u64, last: u64, to: Option<u64>) -> Stretch {
    Stretch { first, last, to, shared: false }
}

#[test]
fn every_address_is_moved_or_dropped_or_not_there() {
    let map = FrameMap::of([stretch(0x5000, 0x5fff, None), stretch(0x2000, 0x3fff, Some(0x9000))]).unwrap();
    let cases = [
        (0x1fff, None, false),
        (0x2000, Some(0x9000), false),
        (0x3fff, Some(0xafff), false),
        (0x4000, None, false),
        (0x5000, None, true),
        (0x5fff, None, true),
        (0x6000, None, false),
    ];
    for (old, to, dropped) in cases {
        assert_eq!((map.get(old), map.drops(old)), (to, dropped), "{old:#x}");
    }
    assert_eq!((FrameMap::default().get(0), FrameMap::default().drops(0)), (None, false));
}

#[test]
fn stretches_that_go_on_are_one() {
    let joined = |one: Stretch, next: Stretch| FrameMap::of([next, one]).unwrap().stretches().len() == 1;
    let (moved, dropped) = (stretch(0x1000, 0x1fff, Some(0x8000)), stretch(0x1000, 0x1fff, None));
    assert!(joined(moved, stretch(0x2000, 0x2fff, Some(0x9000))));
    assert!(joined(dropped, stretch(0x2000, 0x2fff, None)));
    // Not where there is a gap on either side, only one is dropped, or only one is shared.
    assert!(!joined(moved, stretch(0x3000, 0x3fff, Some(0x9000))));
    assert!(!joined(moved, stretch(0x2000, 0x2fff, Some(0xa000))));
    assert!(!joined(moved, stretch(0x2000, 0x2fff, None)));
    assert!(!joined(dropped, stretch(0x2000, 0x2fff, Some(0x9000))));
    assert!(!joined(dropped, stretch(0x3000, 0x3fff, None)));
    assert!(!joined(moved, Stretch { shared: true, ..stretch(0x2000, 0x2fff, Some(0x9000)) }));
    let all = FrameMap::of([moved, stretch(0x2000, 0x2fff, Some(0x9000))]).unwrap();
    assert_eq!(all.stretches(), [stretch(0x1000, 0x2fff, Some(0x8000))]);
}

#[test]
fn what_is_no_map_is_refused() {
    let refused = |stretches: &[Stretch]| FrameMap::of(stretches.iter().copied()).err();
    let bad = |first, last| Some(BadStretch { first, last });
    let one = stretch(0x1000, 0x1fff, Some(0));
    assert_eq!(refused(&[stretch(0x2000, 0x1fff, None)]), bad(0x2000, 0x1fff));
    assert_eq!(refused(&[one, stretch(0x1fff, 0x2fff, None)]), bad(0x1fff, 0x2fff));
    assert_eq!(refused(&[one, one]), bad(0x1000, 0x1fff));
    assert_eq!(refused(&[stretch(0, 0x1000, Some(u64::MAX - 0xfff))]), bad(0, 0x1000));
    let end = stretch(u64::MAX - 0xfff, u64::MAX, None);
    assert_eq!(refused(&[end, end]), bad(end.first, end.last));
    assert_eq!(refused(&[one, stretch(0x2000, 0x2000, None), end]), None);
    assert_eq!(refused(&[stretch(0, 0xfff, Some(u64::MAX - 0xfff))]), None);
}
