//! The battery: what must hold of the engine in every format, checked on random graphs against the oracle.
//!
//! [`battery!`](crate::battery!) stamps it onto a format:
//!
//! ```text
//! fn format(mode: &Mode) -> FourLevel { .. }
//!
//! pt_testkit::battery!(four_level, Kind::FourLevel, format);
//! ```
//!
//! Each property runs on a number of cases of its own; the environment's `PROPTEST_CASES` replaces all of them.

mod classes;
mod compare;
mod counts;
mod decode;
mod encode;
mod events;
mod exhaust;
mod expand;
mod limits;
mod order;
mod reads;
mod rebuild;
mod translate;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::generate::{Case, Kind, cases};

pub use classes::{Counted, each_class};
pub use counts::counts;
pub use decode::{decoding, interesting_bits};
pub use encode::{encode_laws, encoding, interesting_encoding};
pub use events::events;
pub use exhaust::{Shard, check_walk, each_graph, exhaust, page_ranges, scattered};
pub use expand::expansion;
pub use limits::limits;
pub use order::order;
pub use reads::reads;
pub use rebuild::{
    Flip, Placing, Way, check_commit, check_failures, check_maximal, check_way, flip, rebuilding, resizing,
    table_bits,
};
pub use translate::translations;

/// Runs `property`, which panics where it does not hold, on random cases; `times` of them, or as many as
/// `PROPTEST_CASES` says. A failure is shrunk and shown.
fn check(kind: Kind, times: u32, property: impl Fn(&Case)) {
    check_with(kind, times, Just(()), |case, ()| property(case));
}

/// The same with something else that is random.
fn check_with<S: Strategy>(kind: Kind, times: u32, more: S, property: impl Fn(&Case, S::Value)) {
    check_cases(times, cases(kind), more, property);
}

/// The same on cases of another kind.
fn check_cases<S: Strategy>(
    times: u32,
    cases: impl Strategy<Value = Case>,
    more: S,
    property: impl Fn(&Case, S::Value),
) {
    let times = std::env::var("PROPTEST_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(times);
    let config =
        Config { cases: times, failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(cases, more), |(case, more)| {
        property(&case, more);
        Ok::<(), TestCaseError>(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Stamps the properties onto a format: a module of that name with a test each. Needs which modes to generate, and a
/// function from [`Mode`](crate::naive::Mode) to the format.
#[macro_export]
macro_rules! battery {
    ($name:ident, $kind:expr, $format:path) => {
        mod $name {
            #[allow(
                unused_imports,
                reason = "kind and format can be named from where the macro is called"
            )]
            use super::*;

            #[test]
            fn events_are_those_of_the_oracle() {
                $crate::battery::events($kind, $format);
            }

            #[test]
            fn an_alias_refers_to_an_earlier_table_and_visits_are_bounded() {
                $crate::battery::order($kind, $format);
            }

            #[test]
            fn a_table_is_read_once_per_visit() {
                $crate::battery::reads($kind, $format);
            }

            #[test]
            fn expanding_every_alias_gives_the_flat_walk() {
                $crate::battery::expansion($kind, $format);
            }

            #[test]
            fn translations_are_those_of_the_oracle() {
                $crate::battery::translations($kind, $format);
            }

            #[test]
            fn counts_are_those_of_brute_force() {
                $crate::battery::counts($kind, $format);
            }

            #[test]
            fn a_limit_gives_a_prefix_and_says_so() {
                $crate::battery::limits($kind, $format);
            }

            #[test]
            fn decoding_is_that_of_the_oracle_on_random_entries() {
                $crate::battery::decoding($kind, $format);
            }

            #[test]
            fn decoding_is_that_of_the_oracle_on_every_interesting_bit() {
                $crate::battery::interesting_bits($kind, $format);
            }

            #[test]
            fn the_laws_of_writing_entries_hold_of_random_ones() {
                $crate::battery::encoding($kind, $format);
            }

            #[test]
            fn the_laws_of_writing_entries_hold_of_every_interesting_bit() {
                $crate::battery::interesting_encoding($kind, $format);
            }

            #[test]
            fn a_rebuild_is_refused_or_faithful_as_the_oracle_says() {
                $crate::battery::rebuilding($kind, $format);
            }

            #[test]
            fn pages_that_are_split_merged_or_promoted_show_the_same() {
                $crate::battery::resizing($kind, $format);
            }
        }
    };
}
