//! What holds of the writing side in every format, by the functions that a crate binds: small tables, named cases.

mod costs;
mod errors;
mod moves;
mod rights;

use pt_core::raw::{
    BasicMapping, BuiltRoots, MapError, Mapping, MappingKind, RawFormat, SpaceReferenceMapping, TableOps,
};
use pt_core::{Entry, Geometry, Level};

use super::{Bound, InPlace, Spaces};

pub use costs::{
    known_ways_are_read_once, new_tables_hold_the_ways_alone, one_new_table_gets_its_page_and_no_more,
    ways_share_tables_below_one_that_hangs_twice, ways_share_tables_until_they_part,
};
pub use errors::{
    addresses_are_canonical, addresses_carry, failures_leave_nothing, large_pages_are_in_the_way,
    large_pages_are_not_split, links_cap, ranges_end_with_the_space, references_fail,
    tables_at_two_levels_are_noticed,
};
pub use moves::{shared_tables_move_together, tables_that_do_not_settle, unnamed_roots_are_not_found};
pub use rights::{
    attributes_are_kept, empty_tables_are_shared, frames_are_mapped_twice,
    references_keep_their_link_and_path, self_maps_name_tables,
};

const PAGE: u64 = 4096;
/// Where tables are.
const TABLES: u64 = 0x10_0000;

/// Every right that a page can have.
const ALL: MappingKind =
    MappingKind::Basic(BasicMapping { readable: true, writable: true, executable: true });

/// A space without anything in it.
fn empty<B: Bound>() -> InPlace<B::Format> {
    InPlace::new(Spaces::new(B::Format::default(), TABLES))
}

/// A page for user mode, too, with every right.
fn page(virt_base: u64, phys_base: u64) -> Mapping {
    Mapping { user_accessible: true, ..Mapping::new(phys_base, virt_base, PAGE, ALL) }
}

// SAFETY of both: tables check what is read and written, and nothing else has them.

fn map<B: Bound>(op: &impl TableOps, mapping: Mapping) -> Result<(), MapError> {
    // SAFETY: as above.
    unsafe { B::map(op, mapping) }
}

fn link<B: Bound, Op: TableOps>(
    op: &Op,
    reference: SpaceReferenceMapping,
    roots: &(impl BuiltRoots<Op::TableAddr> + ?Sized),
) -> Result<(), MapError> {
    // SAFETY: as above.
    unsafe { B::space_aware_map(op, reference, roots) }
}

/// The depths at which tables are linked.
fn depths<F: RawFormat>() -> std::ops::Range<usize> {
    1..usize::from(F::LEVELS)
}

/// What one entry in a table at `depth` maps.
fn span<F: RawFormat>(depth: usize) -> u64 {
    F::entry_span(Level::at_depth::<F>(depth).expect("a depth"))
}

/// Where the entry for `va` stands in a table at `depth` below a root.
fn entry_at<F: RawFormat>(spaces: &Spaces<F>, root: u64, va: u64, depth: usize) -> u64 {
    let mut table = root;
    for above in 0..=depth {
        let level = Level::at_depth::<F>(above).expect("a depth");
        let entry = table + (F::index(level, va) * F::ENTRY_BYTES) as u64;
        if above == depth {
            return entry;
        }
        table = match spaces.format().decode(level, spaces.entry(entry)) {
            Entry::Table(below) => below,
            other => panic!("{other:x?} at {entry:#x}"),
        };
    }
    unreachable!("the last depth is the one that was asked for")
}
