//! A table is read once per visit, and what a guest writes meanwhile cannot make the walk contradict itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use pt_core::{Format, Leaves, Memory, Unreadable, Walk};

use super::check;
use super::compare::{Copied, events, options};
use super::order::check_order;
use crate::generate::{Case, Kind};
use crate::naive::{Event, Mode};

/// One read per table introduced and per unreadable one; and the order of events under a memory that changes with
/// every read.
pub fn reads<F: Format>(kind: Kind, format: impl Fn(&Mode) -> F) {
    check(kind, 64, |case| {
        let options = options(case, Leaves::Each, true);
        let watched = Watched { frames: Copied(&case.memory), reads: RefCell::default() };
        let walked = events(Walk::new(format(&case.mode), &watched, &case.roots, options.clone()));
        check_reads(case, &walked, &watched.reads.borrow());

        let fickle = Fickle { frames: Copied(&case.memory), reads: Cell::new(0) };
        let walked = events(Walk::new(format(&case.mode), &fickle, &case.roots, options));
        check_order(case, &walked);
    });
}

/// Each introduced table takes the next read, which lies inside it; the rest are of tables that cannot be read, one
/// for each and never a second.
fn check_reads(case: &Case, events: &[Event], reads: &[(u64, u64)]) {
    let mut refused = BTreeSet::new();
    let mut reads = reads.iter();
    let mut inside = |address: u64, level: u8| {
        let &(at, len) = reads.next().unwrap_or_else(|| panic!("the table at {address:#x} is not read"));
        let end = address + case.mode.table_bytes(level);
        assert!(address <= at && at + len <= end, "{at:#x}+{len:#x} is not in the table at {address:#x}");
        (at, len)
    };
    for event in events {
        match *event {
            Event::Table { address, level, .. } => {
                inside(address, level);
            }
            // Its window is whether the range starts, or ends, inside its span: that is the same for all such tables.
            Event::Unreadable { table, level, va, .. } => {
                let needed = case.mode.places(case.range.0, case.range.1).expect("there are events");
                let start = case.mode.place(va).expect("addresses are canonical");
                let cut = (start < needed.0, needed.1 < start + (case.mode.table_span(level) - 1));
                if refused.insert((table, level, cut)) {
                    inside(table, level);
                }
            }
            _ => {}
        }
    }
    assert_eq!(reads.next(), None, "nothing else is read");
}

/// Remembers what was read.
struct Watched<'a> {
    frames: Copied<'a>,
    reads: RefCell<Vec<(u64, u64)>>,
}

impl Memory for Watched<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.reads.borrow_mut().push((address, into.len() as u64));
        self.frames.read(address, into)
    }
}

/// Gives another table each time: entries move on by one place per read, and every third read fails.
struct Fickle<'a> {
    frames: Copied<'a>,
    reads: Cell<usize>,
}

impl Memory for Fickle<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.reads.set(self.reads.get() + 1);
        if self.reads.get().is_multiple_of(3) {
            return Err(Unreadable::NotHeld);
        }
        self.frames.read(address, into)?;
        let by = self.reads.get() * 8 % into.len();
        into.rotate_right(by);
        Ok(())
    }
}
