//! A walk's result, put into new tables.

use pt_core::raw::{BuiltRoots, MapError, RawFormat, SpaceAwareMapping, SpaceId};

use super::{InPlace, Spaces, Walked};

/// The id of each space that was walked, and its new root.
pub type NewRoots = Vec<(SpaceId, u64)>;

/// Maps and links everything that a walk reported, but faults, in memory from `first` on.
pub fn rebuild<F: RawFormat>(
    format: F,
    walked: &Walked,
    first: u64,
) -> Result<(InPlace<F>, NewRoots), MapError> {
    let memory = InPlace::new(Spaces::new(format, first));
    let mut built = NewRoots::new();
    for (number, (space, mappings)) in walked.iter().enumerate() {
        let root = if number == 0 { memory.roots()[0] } else { memory.add_root() };
        built.push((*space, root));
        for mapping in mappings {
            match *mapping {
                SpaceAwareMapping::ThisSpace(page) => memory.map(page)?,
                SpaceAwareMapping::AnotherSpace(link) => memory.link(link, &built)?,
                SpaceAwareMapping::SameSpace(link) => {
                    // A space of the same id that was given earlier is another one.
                    assert_eq!(built.root_of(link.space), Some(root), "{link:x?} is within its space");
                    memory.link(link, &built)?;
                }
                SpaceAwareMapping::Fault(_) => {}
            }
        }
    }
    Ok((memory, built))
}
