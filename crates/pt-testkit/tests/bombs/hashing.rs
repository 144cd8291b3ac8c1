//! Addresses that collide: the walk is the same with any hasher, and only look-ups take longer.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use pt_amd64::FourLevel;
use pt_core::{Event, Level, Options, Walk};

use crate::made::{Made, link};

/// Hashes everything to one number, and counts how often it is asked.
#[derive(Clone, Default)]
struct Constant(Rc<Cell<u64>>);

impl BuildHasher for Constant {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        self.0.set(self.0.get() + 1);
        self.clone()
    }
}

impl Hasher for Constant {
    fn finish(&self) -> u64 {
        0
    }
    fn write(&mut self, _: &[u8]) {}
}

#[test]
fn a_hasher_that_tells_nothing_apart_changes_no_event_and_no_read() {
    let format = FourLevel::default();
    let level = |number| Level::new(number).expect("a level");
    // 2048 directories below four PDPTs; every second one has no memory. From two roots.
    let memory = Made::new(&format, |table, index| match table {
        1 | 2 => Some(if index < 4 { link(&format, level(4), 0x10 + index) } else { 0 }),
        0x10..0x14 => Some(link(&format, level(3), 0x1000 + (table - 0x10) * 512 + index)),
        0x1000..0x1800 if table & 1 == 0 => Some(0),
        _ => None,
    });
    let roots = [0x1000, 0x2000];
    let usual: Vec<_> = Walk::new(format, &memory, &roots, Options::default()).collect();
    let reads = memory.reads();
    let constant = Constant::default();
    let walk = Walk::with_hasher(format, &memory, &roots, Options::default(), constant.clone());
    assert!(walk.eq(usual.iter().copied()));
    assert_eq!(memory.reads(), reads);
    assert_eq!(reads, 2 + 4 + 2048);
    // Each table and each link is looked up once or twice and put in once. As the map grows, all that is in it is hashed
    // again: it doubles, so that this is less than twice as much once more.
    let met = usual.iter().filter(|event| !matches!(event, Ok(Event::Leaf(_)))).count() as u64;
    assert!(constant.0.get() <= 6 * met, "{} for {met}", constant.0.get());
}
