//! What a walk remembers of the tables it met.
//!
//! Two visits are one when table, depth and window are equal. The window is the part of the table's span that the
//! range needs, and with one range for all roots a depth has at most four of them: whole, cut at its start, cut at its
//! end, cut at both. Hence the bound: at most `4 × levels` visits per table, on any input.
//!
//! [`Visited`] keeps one record per visit, and a hash table from addresses to the first record of each. Later records
//! of the same table (rare: other depths, other windows) hang on a chain behind it, so that meeting a link costs one
//! look-up, whether or not the table is known. [`Unremembered`] keeps nothing, and needs no allocator.

use crate::{Level, Space, TableId, Unreadable};

/// How visits of one table are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table's physical address.
    pub(crate) address: u64,
    /// Its level.
    pub(crate) level: Level,
    /// Bit 0: the range starts inside the table's span; bit 1: it ends there.
    pub(crate) cut: u8,
}

/// What is known of a table that a link points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it has to be read.
    New {
        /// The first visit of the same table, if it was met at another depth or through another window.
        first_met: Option<TableId>,
    },
    /// It was introduced.
    Met {
        /// Its number.
        id: TableId,
        /// The space that owns it.
        owner: Space,
        /// Where its owner has it.
        va: u64,
        /// The first visit of the same table.
        first_met: TableId,
    },
    /// It could not be read.
    Unreadable(Unreadable),
}

/// The memory of a walk: [`Visited`] or [`Unremembered`]. Sealed: a walk's promises rest on it.
pub trait Remember: sealed::Sealed {
    /// What is known of the table.
    fn look_up(&mut self, key: Key) -> Known;
    /// Remembers a visit that [`look_up`](Self::look_up) called new, with what it said. Its number is one more than the
    /// last.
    fn introduce(&mut self, key: Key, first_met: Option<TableId>, owner: Space, va: u64);
    /// Remembers a visit that nothing may alias: a repeated root that is read again.
    fn introduce_apart(&mut self, key: Key, owner: Space, va: u64);
    /// Remembers that the table cannot be read.
    fn refuse(&mut self, key: Key, why: Unreadable);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Unremembered {}
    #[cfg(feature = "alloc")]
    impl<S> Sealed for super::Visited<S> {}
}

/// No memory of visited tables: each path is walked by itself, and only limits bound the work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unremembered;

impl Remember for Unremembered {
    #[inline(always)]
    fn look_up(&mut self, _: Key) -> Known {
        Known::New { first_met: None }
    }
    fn introduce(&mut self, _: Key, _: Option<TableId>, _: Space, _: u64) {}
    fn introduce_apart(&mut self, _: Key, _: Space, _: u64) {}
    fn refuse(&mut self, _: Key, _: Unreadable) {}
}

#[cfg(feature = "alloc")]
pub use with_alloc::Visited;

#[cfg(feature = "alloc")]
mod with_alloc {
    use alloc::vec::Vec;
    use core::hash::BuildHasher;

    use hashbrown::{DefaultHashBuilder, HashTable};

    use super::{Key, Known, Remember};
    use crate::{Level, Space, TableId, Unreadable};

    const NONE: u32 = u32::MAX;

    #[derive(Clone, Copy, Debug)]
    struct Record {
        address: u64,
        va: u64,
        owner: Space,
        /// The next record of the same table, or `NONE`.
        next: u32,
        level: Level,
        cut: u8,
    }

    /// The tables that were met. `S` hashes their addresses, which the guest chooses: where that matters, pass a
    /// keyed hasher.
    #[derive(Clone, Debug, Default)]
    pub struct Visited<S = DefaultHashBuilder> {
        /// By table number.
        records: Vec<Record>,
        /// The first record of each table.
        heads: HashTable<u32>,
        /// Tables that could not be read, per depth and window.
        refused: HashTable<(u64, Unreadable)>,
        hasher: S,
    }

    impl<S: BuildHasher> Visited<S> {
        /// An empty memory.
        pub const fn with_hasher(hasher: S) -> Self {
            Self { records: Vec::new(), heads: HashTable::new(), refused: HashTable::new(), hasher }
        }

        fn head(&self, address: u64) -> Option<u32> {
            let hash = self.hasher.hash_one(address);
            self.heads.find(hash, |&head| self.records[head as usize].address == address).copied()
        }
    }

    /// Address, depth and window in one number: table addresses are multiples of 32.
    fn packed(key: Key) -> u64 {
        key.address | u64::from(key.level.number() - 1) << 2 | u64::from(key.cut)
    }

    impl<S: BuildHasher> Remember for Visited<S> {
        fn look_up(&mut self, key: Key) -> Known {
            if !self.refused.is_empty() {
                let packed = packed(key);
                let found = self.refused.find(self.hasher.hash_one(packed), |(other, _)| *other == packed);
                if let Some(&(_, why)) = found {
                    return Known::Unreadable(why);
                }
            }
            let Some(head) = self.head(key.address) else {
                return Known::New { first_met: None };
            };
            let mut at = head;
            while at != NONE {
                let record = &self.records[at as usize];
                if record.level == key.level && record.cut == key.cut {
                    let first_met = TableId(head);
                    return Known::Met { id: TableId(at), owner: record.owner, va: record.va, first_met };
                }
                at = record.next;
            }
            Known::New { first_met: Some(TableId(head)) }
        }

        fn introduce(&mut self, key: Key, first_met: Option<TableId>, owner: Space, va: u64) {
            let new = self.records.len() as u32;
            self.introduce_apart(key, owner, va);
            if let Some(first) = first_met {
                self.records[new as usize].next = self.records[first.index()].next;
                self.records[first.index()].next = new;
            } else {
                let Self { records, heads, hasher, .. } = self;
                let hash = |&head: &u32| hasher.hash_one(records[head as usize].address);
                heads.insert_unique(hash(&new), new, hash);
            }
        }

        fn introduce_apart(&mut self, key: Key, owner: Space, va: u64) {
            let Key { address, level, cut } = key;
            self.records.push(Record { address, va, owner, next: NONE, level, cut });
        }

        fn refuse(&mut self, key: Key, why: Unreadable) {
            let (packed, hasher) = (packed(key), &self.hasher);
            self.refused
                .insert_unique(hasher.hash_one(packed), (packed, why), |(key, _)| hasher.hash_one(*key));
        }
    }
}
