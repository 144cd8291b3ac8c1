//! Tables made to never end are walked in bounded work, wherever the range is cut.

use pt_amd64::FourLevel;
use pt_benches::bomb::{Bomb, cuts};
use pt_core::{Event, Leaves, Options, Walk};

#[test]
fn visits_and_events_stay_bounded() {
    for bomb in Bomb::ALL {
        let scene = bomb.scene();
        for range in cuts() {
            for leaves in [Leaves::Each, Leaves::Runs] {
                let options = Options { leaves, range: range.clone(), ..Options::default() };
                let (mut visits, mut events) = (0, 0);
                for event in Walk::new(FourLevel::default(), scene.memory.bytes(), &scene.roots, options) {
                    events += 1;
                    visits += u64::from(matches!(event, Ok(Event::Table(_))));
                    assert!(visits <= Bomb::VISITS, "{bomb:?} {range:x?}");
                }
                // Every visit has something to say of each of its entries, once.
                assert!(
                    visits >= 4 && events <= visits * 513,
                    "{bomb:?} {range:x?}: {visits} visits, {events} events"
                );
            }
        }
    }
}

#[test]
fn cuts_make_windows() {
    // Were the windows not part of what a visit is, cut ranges would not differ from whole ones.
    let visits = |range: std::ops::RangeInclusive<u64>| {
        let scene = Bomb::Chain.scene();
        let options = Options { range, ..Options::default() };
        let walk = Walk::new(FourLevel::default(), scene.memory.bytes(), &scene.roots, options);
        walk.filter(|event| matches!(event, Ok(Event::Table(_)))).count()
    };
    let all = cuts().map(visits);
    assert_eq!(all[0], 4);
    assert!(all[1] > all[0], "{all:?}");
}
