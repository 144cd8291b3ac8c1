//! Embedders of the raw interface, for tests of every architecture.
//!
//! [`Tables`] are read by the functions that a crate binds ([`Bound`], declared by [`bound!`](crate::bound)), and check
//! what holds of every walk. [`InPlace`] and [`Moving`] are written: tables that stay, and tables that move when they
//! are first written. [`rebuild`] puts a walk's result into either.
#![allow(unsafe_code)]

pub mod checks;
mod rebuild;
mod tables;
mod written;

use pt_core::raw::{
    BuiltRoots, MapError, Mapping, RawFormat, SpaceAwareMapping, SpaceId, SpaceReferenceMapping, TableOps,
    TableReadOps,
};

pub use rebuild::{NewRoots, rebuild};
pub use tables::Tables;
pub use written::{InPlace, Moving, Spaces};

/// Present, with every right, accessed and dirty.
pub const ALL_RIGHTS: u64 = 0b110_0111;
/// R/W.
pub const WRITABLE: u64 = 1 << 1;
/// U/S.
pub const USER: u64 = 1 << 2;
/// PS.
pub const LARGE: u64 = 1 << 7;
/// XD.
pub const NO_EXECUTE: u64 = 1 << 63;

/// What a walk returns.
pub type Walked = Vec<(SpaceId, Vec<SpaceAwareMapping>)>;

/// A link to the table of that number, with every right.
pub const fn link_to(table: usize) -> u64 {
    (table as u64 * 4096) | ALL_RIGHTS
}

/// The first address that a mapping is about.
pub const fn first_va(mapping: &SpaceAwareMapping) -> u64 {
    match mapping {
        SpaceAwareMapping::ThisSpace(page) => page.virt_base,
        SpaceAwareMapping::AnotherSpace(link) | SpaceAwareMapping::SameSpace(link) => link.our_va,
        SpaceAwareMapping::Fault(fault) => fault.va,
    }
}

/// The raw functions that an architecture's crate binds to its format.
pub trait Bound {
    /// That format.
    type Format: RawFormat + Default;

    /// Its `walk_va_spaces`.
    ///
    /// # Safety
    ///
    /// As that function.
    unsafe fn walk_va_spaces<Op: TableReadOps>(
        op: &Op,
        roots: &[Op::TableAddr],
        address: u64,
        len: u64,
    ) -> Walked;

    /// Its `virt_to_phys`.
    ///
    /// # Safety
    ///
    /// As that function.
    unsafe fn virt_to_phys<'a, Op: TableReadOps + 'a>(
        op: impl AsRef<Op> + Copy + 'a,
        address: u64,
        len: u64,
    ) -> impl Iterator<Item = Mapping> + 'a;

    /// Its `map`.
    ///
    /// # Safety
    ///
    /// As that function.
    unsafe fn map<Op: TableOps>(op: &Op, mapping: Mapping) -> Result<(), MapError>;

    /// Its `space_aware_map`.
    ///
    /// # Safety
    ///
    /// As that function.
    unsafe fn space_aware_map<Op: TableOps>(
        op: &Op,
        reference: SpaceReferenceMapping,
        built_roots: &(impl BuiltRoots<Op::TableAddr> + ?Sized),
    ) -> Result<(), MapError>;
}

/// Stamps the checks of the writing side onto what [`bound!`](crate::bound) declared: a test each.
#[macro_export]
macro_rules! raw_writes {
    ($bound:ty: $($test:ident = $check:ident;)*) => {$(
        #[test]
        fn $test() {
            $crate::raw::checks::$check::<$bound>();
        }
    )*};
    ($bound:ty) => {
        $crate::raw_writes! { $bound:
            defect_04_a_reference_keeps_its_link_and_path = references_keep_their_link_and_path;
            defect_05_a_large_page_is_not_written_as_a_table = large_pages_are_in_the_way;
            defect_07_one_frame_at_two_addresses_stays_one = frames_are_mapped_twice;
            defect_08_a_self_map_is_pages_that_name_tables = self_maps_name_tables;
            defect_10_the_last_page_and_no_further = ranges_end_with_the_space;
            defect_17_what_fails_leaves_nothing_behind = failures_leave_nothing;
            defect_18_a_page_inside_a_large_one_is_an_error = large_pages_are_not_split;
            defect_19_addresses_that_the_space_does_not_have = addresses_are_canonical;
            defect_21_shared_tables_that_move_stay_shared = shared_tables_move_together;
            defect_21_roots_that_are_not_named_are_not_found = unnamed_roots_are_not_found;
            attributes_are_kept_and_rights_are_those_of_the_kind = attributes_are_kept;
            links_that_withhold_rights_are_errors = links_cap;
            references_that_cannot_be_followed_are_errors = references_fail;
            a_table_at_two_levels_is_noticed = tables_at_two_levels_are_noticed;
            tables_that_were_empty_are_shared = empty_tables_are_shared;
            tables_that_move_each_time_are_an_error = tables_that_do_not_settle;
            a_page_whose_tables_are_there_takes_a_read_of_each = known_ways_are_read_once;
            a_table_that_is_new_alone_gets_its_page_and_no_more = one_new_table_gets_its_page_and_no_more;
            tables_that_are_new_hold_what_was_mapped = new_tables_hold_the_ways_alone;
            tables_above_where_two_ways_part_are_needed_once = ways_share_tables_until_they_part;
            tables_below_one_that_hangs_twice_are_needed_once = ways_share_tables_below_one_that_hangs_twice;
            physical_addresses_are_added_up_with_their_carry = addresses_carry;
        }
    };
}

/// Declares a [`Bound`](crate::raw::Bound): its name, the format, and the module of the functions.
#[macro_export]
macro_rules! bound {
    ($name:ident, $format:ty, $($module:tt)+) => {
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum $name {}

        // SAFETY of every call in here: the caller promises what the function asks for.
        impl $crate::raw::Bound for $name {
            type Format = $format;

            unsafe fn walk_va_spaces<Op: pt_core::raw::TableReadOps>(
                op: &Op,
                roots: &[Op::TableAddr],
                address: u64,
                len: u64,
            ) -> $crate::raw::Walked {
                // SAFETY: as above.
                unsafe { $($module)+::walk_va_spaces(op, roots, address, len) }
            }

            unsafe fn virt_to_phys<'a, Op: pt_core::raw::TableReadOps + 'a>(
                op: impl AsRef<Op> + Copy + 'a,
                address: u64,
                len: u64,
            ) -> impl Iterator<Item = pt_core::raw::Mapping> + 'a {
                // SAFETY: as above.
                unsafe { $($module)+::virt_to_phys(op, address, len) }
            }

            unsafe fn map<Op: pt_core::raw::TableOps>(
                op: &Op,
                mapping: pt_core::raw::Mapping,
            ) -> Result<(), pt_core::raw::MapError> {
                // SAFETY: as above.
                unsafe { $($module)+::map(op, mapping) }
            }

            unsafe fn space_aware_map<Op: pt_core::raw::TableOps>(
                op: &Op,
                reference: pt_core::raw::SpaceReferenceMapping,
                built_roots: &(impl pt_core::raw::BuiltRoots<Op::TableAddr> + ?Sized),
            ) -> Result<(), pt_core::raw::MapError> {
                // SAFETY: as above.
                unsafe { $($module)+::space_aware_map(op, reference, built_roots) }
            }
        }
    };
}
