//! Limits that no walk reaches in a test, and what is asked of buffers before one can begin.

use super::*;
use crate::Permissions;

/// Tables of five sizes, and nothing in them.
#[derive(Clone)]
struct Five;

impl Permissions for () {
    fn readable(self) -> bool {
        true
    }
    fn writable(self) -> bool {
        true
    }
    fn executable(self) -> bool {
        true
    }
    fn user(self) -> bool {
        true
    }
}

impl Format for Five {
    type Rights = ();

    const LEVELS: u8 = 5;
    const INDEX_BITS: [u8; MAX_LEVELS] = [1, 2, 4, 3, 1];
    const ENTRY_BYTES: usize = 8;
    const SIGN_EXTENDED: bool = false;
    const ACCESSED_DIRTY: u64 = 0;

    fn decode(&self, _: Level, _: u64) -> Entry {
        Entry::Absent
    }
    fn root(&self, register: u64) -> u64 {
        register
    }
    fn unrestricted(&self) {}
    fn restrict(&self, (): (), _: Level, _: u64) {}
    fn relocate(&self, _: Level, _: u64, _: u64) -> Option<u64> {
        None
    }
    fn mark(&self, _: Level, raw: u64, _: bool) -> u64 {
        raw
    }
    fn contiguous(&self, _: Level, _: u64) -> u64 {
        1
    }
    fn table_name(_: Level) -> &'static str {
        "table"
    }
}

#[test]
fn a_buffer_is_for_the_table_with_the_most_entries() {
    assert_eq!(largest_table::<Five>(), 8 << 4);
}

/// So many cannot be read in a test: all but the last are only counted.
#[test]
fn there_are_as_many_tables_as_numbers() {
    let next = |reads| {
        let memory = [0; 16];
        let mut walk = Walk::single(Five, &memory[..], 0, Options::default(), Limits::NONE);
        walk.reads = reads;
        walk.next()
    };
    let most = u64::from(u32::MAX);
    assert!(matches!(next(most - 1), Some(Ok(Event::Table(_)))));
    let reached = LimitReached { resource: Resource::Tables, limit: most, space: 0, va: 0 };
    assert_eq!(next(most), Some(Err(reached)));
}
