//! Two spaces in lockstep: where they map different things.
//!
//! Both trees are descended together, from one entry to the next. A pair of tables that was compared before is not
//! compared again: an equal pair is passed over, an unequal one is reported as a repetition of the first. What is the
//! same table under the same rights on both sides (two spaces of one image) is equal without being read.
//!
//! Pages of different sizes are compared piece by piece, so that a large page equals the small ones that map the same.

use core::hash::Hash;

use alloc::vec;
use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::scan::Entries;
use crate::{Cause, Entry, Format, Geometry, Level, Link, Memory, Unreadable};

/// What one space has at some addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped<R> {
    /// Nothing.
    Absent {
        /// The raw entry, or that of the larger stretch that is absent.
        raw: u64,
    },
    /// Contiguous memory.
    Page {
        /// The physical address of the first byte.
        pa: u64,
        /// The rights of the whole path.
        rights: R,
        /// The raw leaf.
        raw: u64,
        /// The level of the leaf.
        level: Level,
    },
    /// Something that cannot be followed.
    Fault(Cause),
}

/// A stretch of addresses at which two spaces differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference<R> {
    /// The first virtual address.
    pub va: u64,
    /// The last virtual address.
    pub last: u64,
    /// What the first space has there.
    pub before: Mapped<R>,
    /// What the second space has there.
    pub after: Mapped<R>,
}

/// What a comparison finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<R> {
    /// A difference.
    Difference(Difference<R>),
    /// The addresses from `va` on differ as those from `like` on do: both lead to the same two tables.
    Repetition {
        /// The first virtual address.
        va: u64,
        /// The last virtual address.
        last: u64,
        /// The first virtual address of the stretch whose differences were reported.
        like: u64,
    },
}

/// One of the two spaces of a comparison.
#[derive(Debug)]
pub struct Side<'a, F, M: ?Sized> {
    /// The format, with what its machine makes of the entries.
    pub format: &'a F,
    /// The memory.
    pub memory: &'a M,
    /// The root, as the register holds it.
    pub root: u64,
}

impl<F, M: ?Sized> Clone for Side<'_, F, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F, M: ?Sized> Copy for Side<'_, F, M> {}

/// What decides about the pairs that two spaces in lockstep lead to.
pub trait Judge<F: Format> {
    /// Two tables in the same place, about to be read: each link and the address to which it leads. A pair that was
    /// met before under the same rights is not read again, but comes by here.
    fn tables(&mut self, level: Level, va: u64, before: (Link, u64), after: (Link, u64)) {
        let _ = (level, va, before, after);
    }

    /// What is mapped from `va` to `last`. Returns whether it is alike.
    fn ends(&mut self, va: u64, last: u64, before: Mapped<F::Rights>, after: Mapped<F::Rights>) -> bool;

    /// The addresses from `va` to `last` lead to a pair of tables whose ends were not all alike, first met at `like`.
    fn repetition(&mut self, va: u64, last: u64, like: u64) {
        let _ = (va, last, like);
    }
}

/// A comparison read more tables than it was allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit of {limit} tables reached at {va:#x}")]
pub struct CompareLimit {
    /// How many tables it was allowed to read.
    pub limit: u64,
    /// The first virtual address that was not compared.
    pub va: u64,
}

/// Compares two spaces and gives each finding to `found`, in ascending order: physical addresses, and effective rights
/// as `F` has them. Attributes that are not rights can be compared by whoever is given a pair of pages with `alike`.
///
/// `same_memory` says that both sides read the same bytes, so that a table is equal to itself. `limit` bounds the tables
/// that are read: a hostile pair of spaces can have as many different pairs of tables as it has paths.
///
/// # Errors
///
/// [`CompareLimit`]: more than `limit` tables would have been read.
pub fn compare<F: Format<Rights: Hash>, A: Memory + ?Sized, B: Memory + ?Sized>(
    before: Side<'_, F, A>,
    after: Side<'_, F, B>,
    same_memory: bool,
    limit: u64,
    alike: impl FnMut(&Mapped<F::Rights>, &Mapped<F::Rights>) -> bool,
    found: impl FnMut(Finding<F::Rights>),
) -> Result<(), CompareLimit> {
    lockstep(before, after, same_memory, limit, &mut Report { alike, found })
}

/// Descends two spaces together and lets `judge` decide about what they lead to: what [`compare`] is made of.
///
/// # Errors
///
/// As [`compare`].
pub fn lockstep<F: Format<Rights: Hash>, A: Memory + ?Sized, B: Memory + ?Sized>(
    before: Side<'_, F, A>,
    after: Side<'_, F, B>,
    same_memory: bool,
    limit: u64,
    judge: &mut impl Judge<F>,
) -> Result<(), CompareLimit> {
    let root = |format: &F, root| Node::Table {
        address: format.root(root),
        link: Link { raw: root, entry: None },
        rights: format.unrestricted(),
    };
    let nodes = (root(before.format, before.root), root(after.format, after.root));
    let mut comparison =
        Comparison { before, after, same_memory, limit, read: 0, pairs: HashMap::new(), judge };
    comparison.pair(F::ROOT, 0, nodes.0, nodes.1).map(|_| ())
}

/// Equality, reported.
struct Report<E, G> {
    alike: E,
    found: G,
}

impl<F, E, G> Judge<F> for Report<E, G>
where
    F: Format,
    E: FnMut(&Mapped<F::Rights>, &Mapped<F::Rights>) -> bool,
    G: FnMut(Finding<F::Rights>),
{
    fn ends(&mut self, va: u64, last: u64, before: Mapped<F::Rights>, after: Mapped<F::Rights>) -> bool {
        let equal = match (&before, &after) {
            (Mapped::Absent { .. }, Mapped::Absent { .. }) => true,
            (Mapped::Page { pa, rights, .. }, Mapped::Page { pa: other, rights: others, .. }) => {
                (pa, rights) == (other, others) && (self.alike)(&before, &after)
            }
            (Mapped::Fault(one), Mapped::Fault(other)) => one == other,
            _ => false,
        };
        if !equal {
            (self.found)(Finding::Difference(Difference { va, last, before, after }));
        }
        equal
    }

    fn repetition(&mut self, va: u64, last: u64, like: u64) {
        (self.found)(Finding::Repetition { va, last, like });
    }
}

/// What an entry leads to, or a part of what a larger one does.
#[derive(Clone, Copy, Debug)]
enum Node<R> {
    Table { address: u64, link: Link, rights: R },
    End(Mapped<R>),
}

/// Two tables at a level, under the rights of their paths; one of the two can be nothing.
type Pair<R> = (Level, Option<(u64, R)>, Option<(u64, R)>);

struct Comparison<'a, F: Format, A: ?Sized, B: ?Sized, J> {
    before: Side<'a, F, A>,
    after: Side<'a, F, B>,
    same_memory: bool,
    limit: u64,
    read: u64,
    /// Pairs that were compared: where, and whether they differed.
    pairs: HashMap<Pair<F::Rights>, (u64, bool)>,
    judge: &'a mut J,
}

impl<F, A, B, J> Comparison<'_, F, A, B, J>
where
    F: Format<Rights: Hash>,
    A: Memory + ?Sized,
    B: Memory + ?Sized,
    J: Judge<F>,
{
    /// Compares what two nodes map from `va` on, which is as much as a table at `level` does. Returns whether they
    /// differ.
    fn pair(
        &mut self,
        level: Level,
        va: u64,
        before: Node<F::Rights>,
        after: Node<F::Rights>,
    ) -> Result<bool, CompareLimit> {
        let last = F::canonical(va) + F::table_span_last(level);
        let known = match (&before, &after) {
            (
                Node::Table { address, rights, link },
                Node::Table { address: other, rights: others, link: other_link },
            ) => {
                self.judge.tables(level, F::canonical(va), (*link, *address), (*other_link, *other));
                if self.same_memory && (address, rights) == (other, others) {
                    return Ok(false);
                }
                Some((level, Some((*address, *rights)), Some((*other, *others))))
            }
            (Node::Table { address, rights, .. }, Node::End(Mapped::Absent { .. })) => {
                Some((level, Some((*address, *rights)), None))
            }
            (Node::End(Mapped::Absent { .. }), Node::Table { address, rights, .. }) => {
                Some((level, None, Some((*address, *rights))))
            }
            (Node::End(before), Node::End(after)) => {
                return Ok(!self.judge.ends(F::canonical(va), last, *before, *after));
            }
            _ => None,
        };
        if let Some(&(at, differ)) = known.as_ref().and_then(|pair| self.pairs.get(pair)) {
            if differ {
                self.judge.repetition(F::canonical(va), last, F::canonical(at));
            }
            return Ok(differ);
        }
        let differ = self.entries(level, va, before, after)?;
        if let Some(pair) = known {
            self.pairs.insert(pair, (va, differ));
        }
        Ok(differ)
    }

    fn entries(
        &mut self,
        level: Level,
        va: u64,
        before: Node<F::Rights>,
        after: Node<F::Rights>,
    ) -> Result<bool, CompareLimit> {
        let before = self.open(level, va, before, self.before.memory)?;
        let after = self.open(level, va, after, self.after.memory)?;
        let mut differ = false;
        for index in 0..F::entries(level) {
            let entry_va = va + index as u64 * F::entry_span(level);
            let (one, other) =
                (before.node(self.before.format, level, index), after.node(self.after.format, level, index));
            differ |= match (one, other, level.below()) {
                (Node::End(one), Node::End(other), _) => {
                    let last = F::canonical(entry_va) + (F::entry_span(level) - 1);
                    !self.judge.ends(F::canonical(entry_va), last, one, other)
                }
                (one, other, Some(below)) => self.pair(below, entry_va, one, other)?,
                // Level 1 has no links: a law of formats.
                (_, _, None) => false,
            };
        }
        Ok(differ)
    }

    /// The entries of a table; or of a page or of nothing, as if it were cut into pieces.
    fn open<M: Memory + ?Sized>(
        &mut self,
        level: Level,
        va: u64,
        node: Node<F::Rights>,
        memory: &M,
    ) -> Result<Opened<F::Rights>, CompareLimit> {
        let (address, link, rights) = match node {
            Node::End(mapped) => return Ok(Opened::Pieces(mapped)),
            Node::Table { address, link, rights } => (address, link, rights),
        };
        if self.read >= self.limit {
            return Err(CompareLimit { limit: self.limit, va: F::canonical(va) });
        }
        self.read += 1;
        let mut bytes = vec![0; F::table_bytes(level)];
        Ok(match memory.read(address, &mut bytes) {
            Ok(()) => Opened::Entries { address, bytes, rights },
            Err(why) => Opened::Pieces(unreadable(level, address, link, why)),
        })
    }
}

fn unreadable<R>(level: Level, table: u64, link: Link, why: Unreadable) -> Mapped<R> {
    Mapped::Fault(Cause::Unreadable { level, table, link, why })
}

/// A table whose entries are at hand, or what stands in for one.
enum Opened<R> {
    Entries { address: u64, bytes: Vec<u8>, rights: R },
    Pieces(Mapped<R>),
}

impl<R: Copy> Opened<R> {
    fn node<F: Format<Rights = R>>(&self, format: &F, level: Level, index: usize) -> Node<R> {
        let (address, bytes, rights) = match self {
            Self::Entries { address, bytes, rights } => (*address, bytes, *rights),
            Self::Pieces(Mapped::Page { pa, rights, raw, level: of }) => {
                let pa = pa + index as u64 * F::entry_span(level);
                return Node::End(Mapped::Page { pa, rights: *rights, raw: *raw, level: *of });
            }
            Self::Pieces(mapped) => return Node::End(*mapped),
        };
        let raw = Entries(bytes).raw::<F>(index);
        let entry = address.wrapping_add((index * F::ENTRY_BYTES) as u64);
        let rights = format.restrict(rights, level, raw);
        match format.decode(level, raw) {
            Entry::Absent => Node::End(Mapped::Absent { raw }),
            Entry::Leaf(pa) => Node::End(Mapped::Page { pa, rights, raw, level }),
            Entry::Table(address) => Node::Table { address, link: Link { raw, entry: Some(entry) }, rights },
            Entry::Malformed { reserved } => {
                Node::End(Mapped::Fault(Cause::Malformed { level, entry, raw, reserved }))
            }
        }
    }
}
