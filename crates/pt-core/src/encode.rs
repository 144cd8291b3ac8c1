//! How a format writes entries: what [`Format`] reads, backwards.

use crate::{Entry, Format, Level, Permissions};

/// A paging format whose tables can be edited.
///
/// *Attributes* are everything in a leaf but its address and what marks it as a leaf of its level: rights, cache bits,
/// accessed and dirty, keys, software bits. They are raw bits in the layout of a level-1 entry, whatever the level of
/// the page, so that splitting and joining pages changes no attribute.
///
/// # Laws
///
/// - `decode(level, leaf(level, page, attributes)?)` is [`Entry::Leaf(page)`](crate::Entry::Leaf), and
///   `attributes(level, …)` of it gives back what was put in, less bits that are not attributes;
/// - where `leaf(level, page, …)` is `raw`, the page `n` sizes further with the same attributes is `raw` plus `n` sizes, for
///   every `n` below [`contiguous`](Format::contiguous) of it;
/// - for every leaf `raw` at `page`, `leaf(level, page, attributes(level, raw))` is `raw`;
/// - `decode(level, link(level, table)?)` is [`Entry::Table(table)`](crate::Entry::Table), and restricts no right;
/// - `widen` only ever gives rights, and is the identity where the link does not cap what is asked for;
/// - `passes` says what `decode` and `widen` say together;
/// - `narrow` only ever takes rights, below its result no path has one that `most` has not, and it is the identity where
///   that was so before;
/// - `root(with_root(register, root)?)` is `root`, and `with_root(register, root(register))` is `register`.
pub trait Encode: Format {
    /// The attributes of a page that permits as little as an entry can say.
    const RESTRICTED: u64;

    /// A link to `table` that restricts nothing; none where the entry cannot hold the address, or links no table.
    fn link(&self, level: Level, table: u64) -> Option<u64>;

    /// A page; none where the level has no pages, or the entry cannot hold the address.
    fn leaf(&self, level: Level, page: u64, attributes: u64) -> Option<u64>;

    /// The attributes of a leaf.
    fn attributes(&self, level: Level, raw: u64) -> u64;

    /// The link `raw` with the restrictions lifted that would cap a page of these attributes below it.
    fn widen(&self, level: Level, raw: u64, attributes: u64) -> u64;

    /// The table that the link `raw` leads to, if there is nothing to say against it on the way to a page of these
    /// attributes: it is no page, no bit of it is reserved, and `widen` would leave it as it is. A format that can see all
    /// of that at once says so here.
    #[inline(always)]
    fn passes(&self, level: Level, raw: u64, attributes: u64) -> Option<u64> {
        match self.decode(level, raw) {
            Entry::Table(table) if self.widen(level, raw, attributes) == raw => Some(table),
            _ => None,
        }
    }

    /// The link or page `raw` with as few more restrictions as leave no path below it more than `most`; none where the
    /// entry cannot say so.
    fn narrow(&self, level: Level, raw: u64, most: impl Permissions) -> Option<u64>;

    /// The root register with the root's address replaced and every other bit kept; none where it cannot hold `root`.
    fn with_root(&self, register: u64, root: u64) -> Option<u64>;

    /// The highest address that the last byte of a table at `level` can have.
    fn highest_table_address(&self, level: Level) -> u64;
}
