//! Allocators that run out, or give what was not asked for: an error, and everything is given back.

use std::hash::Hash;

use pt_core::{Encode, TableAllocator, TableRequest};
use pt_rebuild::{Arena, PlanError};

use super::known::Known;
use super::{Way, plan};
use crate::generate::Case;

/// Every allocation of a rebuild fails once, in each way in which it can. Returns how many there were.
pub fn check_failures<F: Encode<Rights: Hash>>(case: &Case, format: &F, way: &Way) -> usize {
    let old = Known::new(case);
    let again = || plan(case, format, way, &old);
    let Some((planned, _)) = again() else { return 0 };
    let requests: Vec<TableRequest> = planned.requests().collect();
    for (at, request) in requests.iter().enumerate() {
        let failures = [Failure::None, Failure::Beside, Failure::Above, Failure::Top, Failure::Last];
        for failure in failures {
            if at == 0 && failure == Failure::Last {
                continue;
            }
            let (plan, arena) = again().expect("what could be planned can be planned");
            let mut tables = Failing { arena, at, failure, given: Vec::new(), last: 0 };
            let error = plan.reserve(&mut tables).expect_err("one table is not what it must be");
            assert_eq!(tables.given, [], "{way:?}: {error:?} at {at} of {}", requests.len());
            match (failure, error) {
                // There may have been too few as it is.
                (Failure::None, PlanError::OutOfTables { needed, got }) => {
                    assert!(needed == requests.len() && got <= at);
                }
                (_, PlanError::OutOfTables { needed, got }) => assert!(needed == requests.len() && got < at),
                (Failure::Last, PlanError::Collision { .. }) => {}
                (failure, PlanError::BadTable { table, .. }) => {
                    let unaligned = table % request.alignment != 0;
                    assert!(failure != Failure::Last || unaligned, "{table:#x} suits {request:x?}");
                }
                (_, error) => panic!("{way:?}: {failure:?} at {at} is {error:?}"),
            }
        }
    }
    requests.len()
}

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// There is none.
    None,
    /// It is not aligned.
    Beside,
    /// It ends above the highest address.
    Above,
    /// It is the last that there can be in 64 bits, and ends above the highest address.
    Top,
    /// It is the one before.
    Last,
}

/// What gives out tables until one of them is wrong, and knows which were not given back.
struct Failing {
    arena: Arena,
    at: usize,
    failure: Failure,
    given: Vec<(u64, TableRequest)>,
    last: u64,
}

impl TableAllocator for Failing {
    fn allocate(&mut self, request: &TableRequest) -> Option<u64> {
        let TableRequest { alignment, highest, .. } = *request;
        let good = TableAllocator::allocate(&mut self.arena, request)?;
        let table = match self.failure {
            _ if self.given.len() != self.at => good,
            Failure::None => return None,
            Failure::Beside => good + alignment / 2,
            Failure::Above => (highest & !(alignment - 1)).checked_add(alignment)?,
            Failure::Top => !(alignment - 1),
            Failure::Last => self.last,
        };
        self.last = table;
        self.given.push((table, *request));
        Some(table)
    }

    fn release(&mut self, table: u64, request: &TableRequest) {
        let known = self.given.iter().position(|given| *given == (table, *request));
        self.given.swap_remove(known.expect("what is given back was given"));
    }
}
