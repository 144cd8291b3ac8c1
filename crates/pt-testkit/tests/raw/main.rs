//! The raw interface's writing side on random graphs: what a walk reports is rebuilt, and tables that move change nothing
//! else.

#[path = "../formats/mod.rs"]
mod formats;
mod model;
mod moves;
mod round_trip;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use pt_testkit::generate::{Case, Kind, cases};

/// Runs `property`, which panics where it does not hold, on so many random cases, or as many as `PROPTEST_CASES` says.
/// Each comes with some numbers to choose by.
fn check(kind: Kind, times: u32, property: impl Fn(&Case, &[Choice])) {
    let times = std::env::var("PROPTEST_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(times);
    let config = Config { cases: times, failure_persistence: None, ..Config::default() };
    let choices = vec(any::<Choice>(), 1..6);
    let outcome = TestRunner::new(config).run(&(cases(kind), choices), |(case, choices)| {
        property(&case, &choices);
        Ok::<(), TestCaseError>(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Numbers that a property makes an operation of.
type Choice = [u16; 4];
