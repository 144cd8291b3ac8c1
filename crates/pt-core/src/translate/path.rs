//! The tables from a root down to an entry.

use crate::{
    Cause, Entry, Format, Geometry, Level, Link, MAX_LEVELS, Memory, Step, TranslateError, Translation,
    Unreadable,
};

/// A table on the way down.
#[derive(Clone, Copy)]
pub(super) struct Table<R> {
    address: u64,
    /// The raw entry that links it, or the root as it was given.
    raw: u64,
    /// Where that entry is; 0 for a root.
    linked_by: u64,
    rights: R,
}

/// What the entry of an address is.
pub(super) enum Followed<R> {
    /// A link to a table, one level below.
    Table(Table<R>),
    /// A page.
    Leaf(Translation<R>),
}

impl<R: Copy> Table<R> {
    #[inline(always)]
    pub(super) fn root<F: Format<Rights = R>>(format: &F, root: u64) -> Self {
        let rights = format.unrestricted();
        Self { address: format.root(root), raw: root, linked_by: 0, rights }
    }

    /// Reads the entry that `va` has in this table at `level`.
    #[inline(always)]
    pub(super) fn follow<F: Format<Rights = R>, M: Memory + ?Sized>(
        &self,
        format: &F,
        memory: &M,
        level: Level,
        va: u64,
        read: &mut impl FnMut(Step),
    ) -> Result<Followed<R>, TranslateError> {
        let entry = self.address.checked_add((F::index(level, va) * F::ENTRY_BYTES) as u64);
        let raw = match entry.ok_or(Unreadable::Outside).and_then(|at| memory.read_entry(at, F::ENTRY_BYTES))
        {
            Ok(raw) => raw,
            Err(why) => {
                let link = Link { raw: self.raw, entry: (level != F::ROOT).then_some(self.linked_by) };
                return Err(Cause::Unreadable { level, table: self.address, link, why }.into());
            }
        };
        let entry = entry.unwrap_or_default();
        read(Step { level, entry, raw });
        let rights = format.restrict(self.rights, level, raw);
        match (format.decode(level, raw), level.below()) {
            (Entry::Leaf(page), _) => {
                let pa = page | (va & (F::entry_span(level) - 1));
                Ok(Followed::Leaf(Translation { va, pa, level, raw, entry, rights }))
            }
            (Entry::Table(address), Some(_)) => {
                Ok(Followed::Table(Self { address, raw, linked_by: entry, rights }))
            }
            (Entry::Malformed { reserved }, _) => {
                Err(Cause::Malformed { level, entry, raw, reserved }.into())
            }
            (Entry::Absent | Entry::Table(_), _) => Err(TranslateError::NotPresent { level, entry, raw }),
        }
    }
}

/// The tables from a root down, as far as they were followed.
pub(super) struct Path<R> {
    /// By level; those below the lowest are of no meaning.
    tables: [Table<R>; MAX_LEVELS],
    lowest: Level,
}

impl<R: Copy> Path<R> {
    #[inline(always)]
    pub(super) fn new<F: Format<Rights = R>>(format: &F, root: u64) -> Self {
        Self { tables: [Table::root(format, root); MAX_LEVELS], lowest: F::ROOT }
    }

    /// The level of the lowest table.
    #[inline(always)]
    pub(super) fn lowest(&self) -> Level {
        self.lowest
    }

    /// The table of the path at `level`, which is not below the lowest.
    #[inline(always)]
    pub(super) fn at(&self, level: Level) -> Table<R> {
        self.tables[level.index()]
    }

    /// Goes down to what maps `va`, which is in the lowest table's span.
    #[inline(always)]
    pub(super) fn descend<F: Format<Rights = R>, M: Memory + ?Sized>(
        &mut self,
        format: &F,
        memory: &M,
        va: u64,
    ) -> Result<Translation<R>, TranslateError> {
        // Each level by itself, so that it is a constant: worth more than beginning with the lowest table.
        None.or_else(|| self.step::<5, F, M>(format, memory, va))
            .or_else(|| self.step::<4, F, M>(format, memory, va))
            .or_else(|| self.step::<3, F, M>(format, memory, va))
            .or_else(|| self.step::<2, F, M>(format, memory, va))
            .or_else(|| self.step::<1, F, M>(format, memory, va))
            // Level 1 links nothing.
            .unwrap_or(Err(TranslateError::NonCanonical { va }))
    }

    /// Reads the entry of one level, unless that is above the lowest table. None where it goes on below.
    #[inline(always)]
    fn step<const LEVEL: u8, F: Format<Rights = R>, M: Memory + ?Sized>(
        &mut self,
        format: &F,
        memory: &M,
        va: u64,
    ) -> Option<Result<Translation<R>, TranslateError>> {
        let level = const { Level::new(LEVEL).unwrap() };
        if level > F::ROOT || level > self.lowest {
            return None;
        }
        match self.at(level).follow(format, memory, level, va, &mut |_| ()) {
            Ok(Followed::Table(table)) => {
                self.lowest = level.below()?;
                self.tables[self.lowest.index()] = table;
                None
            }
            Ok(Followed::Leaf(translation)) => Some(Ok(translation)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Forgets the lowest table, if that is not the root.
    #[inline(always)]
    pub(super) fn climb<F: Format>(&mut self) {
        if self.lowest != F::ROOT {
            self.lowest = Level::new(self.lowest.number() + 1).unwrap_or(F::ROOT);
        }
    }
}
