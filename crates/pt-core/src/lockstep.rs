//! Spaces of two memories, descended together from one entry to the next.
//!
//! A pair of tables that was met before is not read again. Pages of different sizes, and pages beside tables, are taken
//! piece by piece. What becomes of each pair is for a [`Judge`] to say.

use core::hash::Hash;
use core::ops::RangeInclusive;

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

/// What an entry (or a root) leads to, or a part of what a larger one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node<R> {
    /// A table that can be read.
    Table {
        /// Its physical address.
        address: u64,
        /// What points to it.
        link: Link,
        /// The rights of the path, that link included.
        rights: R,
    },
    /// Anything else.
    End(Mapped<R>),
}

/// What decides about the pairs that two spaces in lockstep lead to.
pub trait Judge<F: Format> {
    /// At least one of the two is a table at `level`, and that table's entries are compared next, or were when the same
    /// pair was met before.
    fn tables(&mut self, level: Level, va: u64, before: &Node<F::Rights>, after: &Node<F::Rights>) {
        let _ = (level, va, before, after);
    }

    /// What is mapped from `va` to `last`. Returns whether it is alike.
    fn ends(&mut self, va: u64, last: u64, before: Mapped<F::Rights>, after: Mapped<F::Rights>) -> bool;

    /// The addresses from `va` to `last` lead to a pair of tables whose ends were not all alike, first met at `like`.
    fn repetition(&mut self, va: u64, last: u64, like: u64) {
        let _ = (va, last, like);
    }
}

/// What of two spaces is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The virtual addresses, both ends included. An entry that lies only partly in it is compared whole.
    pub range: RangeInclusive<u64>,
    /// Whether both sides read the same bytes, so that a table is equal to itself.
    pub same_memory: bool,
    /// How many tables may be read: a hostile pair of spaces can have as many different pairs of tables as it has paths.
    pub limit: u64,
}

/// Everything, of two memories, without a limit.
impl Default for Scope {
    fn default() -> Self {
        Self { range: 0..=u64::MAX, same_memory: false, limit: u64::MAX }
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

/// Descends spaces together, pair by pair, and lets `judge` decide about what they lead to: what [`compare`](crate::compare()) is made of.
///
/// `before` and `after` are formats and memories, `roots` the roots of the pairs. What an earlier pair led to under the
/// same rights is not read again.
///
/// ```
/// use pt_amd64::FourLevel;
/// use pt_core::{Judge, Mapped, Permissions, Scope, lockstep};
///
/// /// Finds what can be written in one space and not in the other.
/// struct Writable(Vec<(u64, u64)>);
///
/// impl Judge<FourLevel> for Writable {
///     fn ends(&mut self, va: u64, last: u64, before: Mapped<pt_x86::Rights>, after: Mapped<pt_x86::Rights>) -> bool {
///         let writable = |mapped| matches!(mapped, Mapped::Page { rights, .. } if Permissions::writable(rights));
///         let alike = writable(before) == writable(after);
///         if !alike {
///             self.0.push((va, last));
///         }
///         alike
///     }
/// }
///
/// // 1 GiB at address 0, and at the end of the lower half another, which one of the two spaces maps for reading only.
/// let mut before = vec![0; 0x3000];
/// let mut store = |at: usize, raw: u64| before[at..at + 8].copy_from_slice(&raw.to_le_bytes());
/// store(0x1000, 0x2003);
/// store(0x1000 + 255 * 8, 0x2003);
/// store(0x2000, 0x4000_0083);
/// let mut after = before.clone();
/// after[0x1000 + 255 * 8] = 1;
///
/// let (format, mut judge) = (FourLevel::default(), Writable(vec![]));
/// lockstep((&format, &before), (&format, &after), [(0x1000, 0x1000)], &Scope::default(), &mut judge)?;
/// assert_eq!(judge.0, [(255 << 39, (255 << 39) + 0x3fff_ffff)]);
/// # Ok::<(), pt_core::CompareLimit>(())
/// ```
///
/// # Errors
///
/// As [`compare`](crate::compare()).
pub fn lockstep<F: Format<Rights: Hash>, A: Memory + ?Sized, B: Memory + ?Sized>(
    before: (&F, &A),
    after: (&F, &B),
    roots: impl IntoIterator<Item = (u64, u64)>,
    scope: &Scope,
    judge: &mut impl Judge<F>,
) -> Result<(), CompareLimit> {
    let Some(range) = F::clip(&scope.range) else { return Ok(()) };
    let root = |format: &F, root| Node::Table {
        address: format.root(root),
        link: Link { raw: root, entry: None },
        rights: format.unrestricted(),
    };
    let mut comparison = Comparison { before, after, scope, range, read: 0, pairs: HashMap::new(), judge };
    for (one, other) in roots {
        comparison.pair(F::ROOT, 0, root(before.0, one), root(after.0, other))?;
    }
    Ok(())
}

/// Two sides at a level, at least one of them a table.
type Pair<R> = (Level, Side<R>, Side<R>);

/// What a pair is remembered by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side<R> {
    /// A table at this address, under the rights of its path.
    Table(u64, R),
    /// Nothing, with this entry: absent entries are compared, too.
    Absent(u64),
}

struct Comparison<'a, F: Format, A: ?Sized, B: ?Sized, J> {
    before: (&'a F, &'a A),
    after: (&'a F, &'a B),
    scope: &'a Scope,
    /// The scope's range without sign extension.
    range: (u64, u64),
    read: u64,
    pairs: HashMap<Pair<F::Rights>, Known>,
    judge: &'a mut J,
}

/// What is known of a pair that was compared whole.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Where it was.
    va: u64,
    /// Whether it differed.
    differ: bool,
    /// Why a table of it could not be read.
    unreadable: (Option<Unreadable>, Option<Unreadable>),
}

impl<F, A, B, J> Comparison<'_, F, A, B, J>
where
    F: Format<Rights: Hash>,
    A: Memory + ?Sized,
    B: Memory + ?Sized,
    J: Judge<F>,
{
    /// Compares what two nodes, of which one is a table, map from `va` on, which is as much as a table at `level` does.
    /// Returns whether they differ.
    fn pair(
        &mut self,
        level: Level,
        va: u64,
        before: Node<F::Rights>,
        after: Node<F::Rights>,
    ) -> Result<bool, CompareLimit> {
        let last = F::canonical(va) + F::table_span_last(level);
        if self.scope.same_memory && same(&before, &after) {
            return Ok(false);
        }
        // A table that the range cuts is compared again where it is met again: the range has two ends, and so at most
        // two such tables at each level.
        let whole = va >= self.range.0 && va + F::table_span_last(level) <= self.range.1;
        let key = if whole { key(level, &before, &after) } else { None };
        let known = key.and_then(|key| self.pairs.get(&key).copied());
        let bytes = if let Some(Known { unreadable, .. }) = known {
            (unreadable.0.map(Err), unreadable.1.map(Err))
        } else {
            (self.read(level, va, &before, self.before.1)?, self.read(level, va, &after, self.after.1)?)
        };
        let unreadable = (failure(bytes.0.as_ref()), failure(bytes.1.as_ref()));
        let nodes = (readable(level, before, unreadable.0), readable(level, after, unreadable.1));
        if let (Node::End(before), Node::End(after)) = nodes {
            // What cannot be read is its link, and no two links need be alike.
            if let Some(key) = key {
                self.pairs.insert(key, Known { va, differ: false, unreadable });
            }
            return Ok(!self.judge.ends(F::canonical(va), last, before, after));
        }
        self.judge.tables(level, F::canonical(va), &nodes.0, &nodes.1);
        if let Some(Known { va: like, differ, .. }) = known {
            if differ {
                self.judge.repetition(F::canonical(va), last, F::canonical(like));
            }
            return Ok(differ);
        }
        let opened = (opened(nodes.0, bytes.0), opened(nodes.1, bytes.1));
        let differ = self.entries(level, va, &opened.0, &opened.1)?;
        if let Some(key) = key {
            self.pairs.insert(key, Known { va, differ, unreadable });
        }
        Ok(differ)
    }

    fn entries(
        &mut self,
        level: Level,
        va: u64,
        before: &Opened<F::Rights>,
        after: &Opened<F::Rights>,
    ) -> Result<bool, CompareLimit> {
        let mut differ = false;
        for index in 0..F::entries(level) {
            let entry_va = va + index as u64 * F::entry_span(level);
            let entry_last = entry_va + (F::entry_span(level) - 1);
            if entry_last < self.range.0 || entry_va > self.range.1 {
                continue;
            }
            let (one, other) =
                (before.node(self.before.0, level, index), after.node(self.after.0, level, index));
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

    /// The bytes of a table; none of what is no table, and of one that need not be read.
    fn read<M: Memory + ?Sized>(
        &mut self,
        level: Level,
        va: u64,
        node: &Node<F::Rights>,
        memory: &M,
    ) -> Result<Option<Result<Vec<u8>, Unreadable>>, CompareLimit> {
        let Node::Table { address, .. } = node else { return Ok(None) };
        if self.read >= self.scope.limit {
            return Err(CompareLimit { limit: self.scope.limit, va: F::canonical(va) });
        }
        self.read += 1;
        let mut bytes = vec![0; F::table_bytes(level)];
        Ok(Some(memory.read(*address, &mut bytes).map(|()| bytes)))
    }
}

/// Under which a pair is remembered: tables, or a table and nothing.
fn key<R: Copy>(level: Level, before: &Node<R>, after: &Node<R>) -> Option<Pair<R>> {
    let side = |node: &Node<R>| match *node {
        Node::Table { address, rights, .. } => Some(Side::Table(address, rights)),
        Node::End(Mapped::Absent { raw }) => Some(Side::Absent(raw)),
        Node::End(_) => None,
    };
    Some((level, side(before)?, side(after)?))
}

fn same<R: PartialEq>(before: &Node<R>, after: &Node<R>) -> bool {
    match (before, after) {
        (Node::Table { address, rights, .. }, Node::Table { address: other, rights: others, .. }) => {
            (address, rights) == (other, others)
        }
        _ => false,
    }
}

fn failure(read: Option<&Result<Vec<u8>, Unreadable>>) -> Option<Unreadable> {
    read.and_then(|read| read.as_ref().err().copied())
}

/// The node, or the fault that a table which cannot be read is.
fn readable<R>(level: Level, node: Node<R>, unreadable: Option<Unreadable>) -> Node<R> {
    match (node, unreadable) {
        (Node::Table { address: table, link, .. }, Some(why)) => {
            Node::End(Mapped::Fault(Cause::Unreadable { level, table, link, why }))
        }
        (node, _) => node,
    }
}

fn opened<R>(node: Node<R>, bytes: Option<Result<Vec<u8>, Unreadable>>) -> Opened<R> {
    match (node, bytes) {
        (Node::End(mapped), _) => Opened::Pieces(mapped),
        (Node::Table { address, rights, .. }, Some(Ok(bytes))) => Opened::Entries { address, bytes, rights },
        // A table without bytes is one that could not be read, and so a fault by now.
        (Node::Table { .. }, _) => Opened::Pieces(Mapped::Absent { raw: 0 }),
    }
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
