//! What is to be done with one entry: the decisions of each operation, apart from the descent that they share.

use crate::edit::EditError;
use crate::{Encode, Entry, Geometry, Level};

/// How a range is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapOptions {
    /// The highest level whose pages may be used. Default: the highest that there is.
    pub largest: Level,
    /// Whether what is mapped already is replaced; otherwise it is a conflict.
    pub replace: bool,
    /// Whether links that would cap the pages' rights are widened; otherwise they are an error.
    pub widen: bool,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self { largest: Level::HIGHEST, replace: false, widen: false }
    }
}

/// What happens to the attributes of the pages in a range. See [`Encode`] for what attributes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Protection {
    /// Attributes to clear.
    pub clear: u64,
    /// Attributes to set, after that.
    pub set: u64,
    /// Whether links that would cap what is granted are widened; otherwise they are an error.
    pub widen: bool,
    /// Whether addresses that are not mapped are passed over; otherwise they are an error.
    pub skip_holes: bool,
}

/// An operation on a range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// To the address that is `offset` above the virtual one.
    Map {
        offset: u64,
        attributes: u64,
        options: MapOptions,
    },
    Unmap,
    Protect(Protection),
    /// Replace tables by pages where nothing changes by it.
    Collapse,
}

/// What is done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Keep,
    Store(u64),
    /// Into the table below: the one that is linked (by an entry that becomes this), or a new one in place of what is
    /// there.
    Descend(u64),
}

/// An entry, and how much of it the range covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) level: Level,
    /// Without sign extension.
    pub(super) va: u64,
    pub(super) covered: bool,
    pub(super) raw: u64,
    /// The physical address of the entry.
    pub(super) entry: u64,
}

impl Change {
    /// The attributes of a page that the links on the way must let through.
    #[inline(always)]
    pub(super) fn asked<F: Encode>(&self) -> u64 {
        match self {
            Self::Map { attributes, .. } => *attributes,
            // The least that the pages will have: what is not granted is not asked of the link.
            Self::Protect(protection) => F::RESTRICTED & !protection.clear | protection.set,
            Self::Unmap | Self::Collapse => F::RESTRICTED,
        }
    }

    /// What becomes of the entry at a place.
    ///
    /// Why not is said in few words, lest the loop over a table's entries carry an error along: [`Place::error`] says the
    /// rest.
    #[inline(always)]
    pub(super) fn decide<F: Encode>(&self, format: &F, place: &Place) -> Result<Action, Refusal> {
        let Place { level, va, covered, raw, .. } = *place;
        let existing = format.decode(level, raw);
        if let Entry::Malformed { .. } = existing {
            return Err(Refusal::Malformed);
        }
        let follow = |attributes, widen: bool| {
            let widened = format.widen(level, raw, attributes);
            if widened != raw && !widen { Err(Refusal::Capped) } else { Ok(Action::Descend(widened)) }
        };
        match (self, existing) {
            (Self::Map { options, .. }, Entry::Table(_)) => follow(self.asked::<F>(), options.widen),
            (Self::Map { options, .. }, Entry::Leaf(_)) if !options.replace => Err(Refusal::Mapped),
            (Self::Map { offset, attributes, options }, _) => {
                let page = va.wrapping_add(*offset);
                let aligned = page & (F::entry_span(level) - 1) == 0;
                let fits = covered && aligned && level <= options.largest;
                match format.leaf(level, page, *attributes).filter(|_| fits) {
                    Some(leaf) => Ok(Action::Store(leaf)),
                    None if level > Level::LEAF => Ok(Action::Descend(raw)),
                    None => Err(Refusal::Unencodable { pa: page, attributes: *attributes }),
                }
            }
            (Self::Protect(protection), Entry::Table(_)) => follow(self.asked::<F>(), protection.widen),
            (Self::Protect(protection), Entry::Absent) if !protection.skip_holes => Err(Refusal::NotMapped),
            (Self::Protect(protection), Entry::Leaf(page)) if covered => {
                let attributes = format.attributes(level, raw) & !protection.clear | protection.set;
                let leaf = format.leaf(level, page, attributes);
                leaf.map(Action::Store).ok_or(Refusal::Unencodable { pa: page, attributes })
            }
            (Self::Unmap, Entry::Leaf(_)) if covered => Ok(Action::Store(0)),
            (Self::Unmap | Self::Collapse, Entry::Table(_))
            | (Self::Unmap | Self::Protect(_), Entry::Leaf(_)) => Ok(Action::Descend(raw)),
            _ => Ok(Action::Keep),
        }
    }
}

/// Why nothing can be done with an entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    Malformed,
    Capped,
    Mapped,
    NotMapped,
    Unencodable { pa: u64, attributes: u64 },
}

impl Place {
    /// What is said of an entry that nothing can be done with.
    #[cold]
    pub(super) fn error<F: Encode>(&self, format: &F, why: Refusal) -> EditError {
        let Self { level, va, raw, entry, .. } = *self;
        let va = F::canonical(va);
        match why {
            Refusal::Malformed => {
                let reserved = match format.decode(level, raw) {
                    Entry::Malformed { reserved } => reserved,
                    Entry::Absent | Entry::Table(_) | Entry::Leaf(_) => 0,
                };
                EditError::Malformed { va, level, entry, raw, reserved }
            }
            Refusal::Capped => EditError::Capped { va, level, entry, raw },
            Refusal::Mapped => EditError::Mapped { va, level, entry, raw },
            Refusal::NotMapped => EditError::NotMapped { va, level, entry, raw },
            Refusal::Unencodable { pa, attributes } => EditError::Unencodable { va, pa, attributes },
        }
    }
}
