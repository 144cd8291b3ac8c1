//! `space_aware_map`: a link to a table of another space, or of the same one.

use crate::raw::space::{Reserve, Space};
use crate::raw::{BuiltRoots, LinkRights, MapError, RawFormat, SpaceReferenceMapping, TableOps};
use crate::{Entry, Format, Geometry, Level};

/// Links, at [`our_va`](SpaceReferenceMapping::our_va) in the space under `op`'s root, the table that the rebuilt owner has
/// at [`their_va`](SpaceReferenceMapping::their_va). What [`walk_va_spaces`](crate::raw::walk_va_spaces) reports as
/// `AnotherSpace` or `SameSpace` is rebuilt by it.
///
/// - The link is the reference's own [`entry`](SpaceReferenceMapping::entry) with its address replaced, and withholds at
///   least what the reference's [`rights`](SpaceReferenceMapping::rights) do: links above it that are new withhold nothing. By
///   hand, an `entry` of zero makes a link that withholds nothing else.
/// - Tables that are missing are made: above the link, and down to the owner's table itself, which can have been empty.
/// - `built_roots` has the new root of the owner, `op`'s own for a reference within a space: a slice of pairs, or a
///   `BTreeMap`. Where the owner's root moves, [`update_root`](TableOps::update_root) says so.
///
/// Everything is looked at, and all tables that are needed are allocated, before the first entry is written. Flushing
/// TLBs is left to the caller.
///
/// # Errors
///
/// Nothing has changed after
///
/// - [`MapError::UnknownSpace`]: the owner is not among the built roots;
/// - [`MapError::Depth`]: no entry links a table at that depth;
/// - [`MapError::Range`]: an address is not in the address space;
/// - [`MapError::NotALink`]: the reference's entry is none;
/// - [`MapError::PageInTheWay`], [`MapError::TableInTheWay`]: a page is where a table has to be, in either space, or
///   another table is linked;
/// - [`MapError::Capped`]: a link above withholds rights that the path is to have;
/// - [`MapError::Malformed`]: an entry on the way has reserved bits set;
/// - [`MapError::OutOfTables`], or [`MapError::Unlinkable`] for a table that was allocated.
///
/// [`MapError::Changed`], and where tables move [`MapError::Adrift`] and [`MapError::Unlinkable`], can come after something
/// was written.
///
/// # Safety
///
/// As [`map`](crate::raw::map), for the owner's space as well.
pub unsafe fn space_aware_map<F: RawFormat, Op: TableOps>(
    format: &F,
    op: &Op,
    reference: SpaceReferenceMapping,
    built_roots: &(impl BuiltRoots<Op::TableAddr> + ?Sized),
) -> Result<(), MapError> {
    let SpaceReferenceMapping { depth, space: owner, our_va, their_va, entry, rights } = reference;
    let their_root = built_roots.root_of(owner).ok_or(MapError::UnknownSpace { space: owner })?;
    let level = depth.checked_sub(1).and_then(Level::at_depth::<F>);
    let levels = level.and_then(|level| Some((level, level.below()?)));
    let (level, below) = levels.ok_or(MapError::Depth { depth })?;
    if let Some(&virt_base) = [our_va, their_va].iter().find(|&&va| !F::is_canonical(va)) {
        return Err(MapError::Range { virt_base, len: F::entry_span(level) });
    }
    if entry != 0 && !matches!(format.decode(level, entry), Entry::Table(_)) {
        return Err(MapError::NotALink { va: our_va, level, raw: entry });
    }
    let asked = rights.narrow(format, Level::LEAF, F::PERMISSIVE);
    let asked = asked.ok_or(MapError::NotALink { va: our_va, level, raw: entry })?;

    // SAFETY: the caller promises what `Space` asks for, for the owner's space too.
    let mut space = unsafe { Space::new(format, op) };
    space.other = Some(space.table_of_root(their_root));
    let ours = Way { theirs: false, va: our_va & F::VA_MASK, to: level, attributes: asked };
    // What the owner's path withholds is the owner's business.
    let theirs = Way { theirs: true, va: their_va & F::VA_MASK, to: below, attributes: F::RESTRICTED };

    let (here, there) = (space.reach(&ours, None)?, space.reach(&theirs, None)?);
    if here.level == level {
        space.look_at_slot(&ours, here.table, Some(there.table).filter(|_| there.level == below))?;
    }
    let mut reserve = space.reserve(needed::<F>((&ours, &here), (&theirs, &there)))?;
    let done = space.link(&ours, &theirs, (entry, rights), &mut reserve);
    space.release(reserve);
    done.map_err(|why| why.after_plan(our_va))
}

/// Where to go: to the table at level `to` that translates `va`.
struct Way {
    /// In the owner's space.
    theirs: bool,
    /// Without sign extension.
    va: u64,
    to: Level,
    /// What no link on the way may withhold.
    attributes: u64,
}

/// How far one comes: the lowest table that is there.
struct Reached {
    table: u64,
    level: Level,
}

/// How many tables are missing on both ways: those that both need, once.
fn needed<F: Format>((ours, here): (&Way, &Reached), (theirs, there): (&Way, &Reached)) -> usize {
    let missing = |way: &Way, reached: &Reached| usize::from(reached.level.number() - way.to.number());
    let mut common = 0;
    if (here.table, here.level) == (there.table, there.level) {
        let mut level = here.level;
        while level > ours.to && (ours.va ^ theirs.va) & F::table_span_last(here.level) < F::entry_span(level)
        {
            common += 1;
            level = level.below().unwrap_or(Level::LEAF);
        }
    }
    missing(ours, here) + missing(theirs, there) - common
}

impl<F: RawFormat, Op: TableOps> Space<'_, F, Op> {
    /// Goes as far as there are tables, or all the way with new ones.
    fn reach(&mut self, way: &Way, mut reserve: Option<&mut Reserve>) -> Result<Reached, MapError> {
        let root = self.other.filter(|_| way.theirs).unwrap_or(self.root());
        let mut at = Reached { table: root, level: F::ROOT };
        while let Some(below) = at.level.below().filter(|_| at.level > way.to) {
            let place = self.place(at.table, at.level, way.va);
            let table = match (self.pass(&place, way.attributes)?, &mut reserve) {
                (Some(table), _) => table,
                (None, Some(reserve)) => self.link_new(reserve, at.table, at.level, way.va)?,
                (None, None) => break,
            };
            at = Reached { table, level: below };
        }
        Ok(at)
    }

    /// Looks whether the link may go where it is to go: where there is none, or one to `target`.
    fn look_at_slot(&self, ours: &Way, table: u64, target: Option<u64>) -> Result<(), MapError> {
        let place = self.place(table, ours.to, ours.va);
        match self.pass(&place, F::RESTRICTED)? {
            Some(linked) if Some(linked) != target => Err(place.table_in_the_way::<F>()),
            _ => Ok(()),
        }
    }

    /// Makes both ways and the link.
    fn link(
        &mut self,
        ours: &Way,
        theirs: &Way,
        (entry, rights): (u64, LinkRights),
        reserve: &mut Reserve,
    ) -> Result<(), MapError> {
        self.reach(theirs, Some(reserve))?;
        let table = self.reach(ours, Some(reserve))?.table;
        // Only now, since making our way can have moved tables.
        let target = self.reach(theirs, None)?.table;
        self.look_at_slot(ours, table, Some(target))?;
        let link = match entry {
            0 => self.format.link(ours.to, target),
            _ => self.format.relocate(ours.to, entry, target),
        };
        let link = link.and_then(|link| rights.narrow(self.format, ours.to, link));
        let raw = link.ok_or(MapError::Unlinkable { table: target })?;
        let place = self.place(table, ours.to, ours.va);
        if place.raw != raw {
            self.write(table, place.entry, raw)?;
        }
        Ok(())
    }
}
