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
    pub(super) fn decide<F: Encode>(&self, format: &F, place: &Place) -> Result<Action, EditError> {
        let Place { level, va, covered, raw, entry } = *place;
        let here = F::canonical(va);
        let existing = format.decode(level, raw);
        if let Entry::Malformed { reserved } = existing {
            return Err(EditError::Malformed { va: here, level, entry, raw, reserved });
        }
        let follow = |attributes, widen: bool| {
            let widened = format.widen(level, raw, attributes);
            if widened != raw && !widen {
                return Err(EditError::Capped { va: here, level, entry, raw });
            }
            Ok(Action::Descend(widened))
        };
        match (self, existing) {
            (Self::Map { attributes, options, .. }, Entry::Table(_)) => follow(*attributes, options.widen),
            (Self::Map { options, .. }, Entry::Leaf(_)) if !options.replace => {
                Err(EditError::Mapped { va: here, level, entry, raw })
            }
            (Self::Map { offset, attributes, options }, _) => {
                let page = va.wrapping_add(*offset);
                let aligned = page & (F::entry_span(level) - 1) == 0;
                let fits = covered && aligned && level <= options.largest;
                match format.leaf(level, page, *attributes).filter(|_| fits) {
                    Some(leaf) => Ok(Action::Store(leaf)),
                    None if level > Level::LEAF => Ok(Action::Descend(raw)),
                    None => Err(EditError::Unencodable { va: here, pa: page, attributes: *attributes }),
                }
            }
            (Self::Protect(protection), Entry::Table(_)) => {
                // The least that the pages will have: what is not granted is not asked of the link.
                let granted = F::RESTRICTED & !protection.clear | protection.set;
                follow(granted, protection.widen)
            }
            (Self::Protect(protection), Entry::Absent) if !protection.skip_holes => {
                Err(EditError::NotMapped { va: here, level, entry, raw })
            }
            (Self::Protect(protection), Entry::Leaf(page)) if covered => {
                let attributes = format.attributes(level, raw) & !protection.clear | protection.set;
                let leaf = format.leaf(level, page, attributes);
                leaf.map(Action::Store).ok_or(EditError::Unencodable { va: here, pa: page, attributes })
            }
            (Self::Unmap, Entry::Leaf(_)) if covered => Ok(Action::Store(0)),
            (Self::Unmap | Self::Collapse, Entry::Table(_))
            | (Self::Unmap | Self::Protect(_), Entry::Leaf(_)) => Ok(Action::Descend(raw)),
            _ => Ok(Action::Keep),
        }
    }
}
