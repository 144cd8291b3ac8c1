//! A rebuild is what the oracle says of it: refused where it must be, else faithful, with as many tables; and
//! [`verify`] agrees with the oracle about it, and about what is not quite it.

mod failures;
mod flips;
mod known;
mod memory;
mod random;
mod sizes;
mod view;
mod way;

use std::hash::Hash;

use pt_core::{Encode, Limits, Memory};
use pt_rebuild::{Arena, Graph, NewRoot, Plan, PlanError, Proof, Rebuilt, VerifyError, verify};

use super::compare::segments;
use crate::generate::Case;
use crate::naive::{Faulty, Physical, Refusal, Sides, Tables, Terms, Went, faithful, refusals};
use known::Known;
use memory::{Grown, Read};

pub use failures::check_failures;
pub use flips::{Flip, flip, table_bits};
pub use random::rebuilding;
pub use sizes::{check_maximal, resizing};
pub use way::{Placing, Way};

/// Rebuilds a case in one way: it is refused if and only if the oracle has a reason, or what came of it is right. None
/// where it was refused.
pub fn check_way<F: Encode<Rights: Hash>>(case: &Case, format: &F, way: &Way) -> Option<Rebuilt> {
    let old = Known::new(case);
    let (plan, mut arena) = plan(case, format, way, &old)?;
    let (tables, requests, bytes) = (plan.new_tables(), plan.requests().count(), plan.table_bytes());
    let rebuilt = match plan.reserve(&mut arena) {
        Ok(rebuilt) => rebuilt,
        // What the pages map can be all that there is.
        Err(PlanError::OutOfTables { needed, .. }) if needed == requests => return None,
        Err(error) => panic!("{way:?}: {error:?}"),
    };
    assert_eq!(rebuilt.tables().len(), tables);
    assert_eq!(rebuilt.tables().iter().map(|table| table.bytes.len() as u64).sum::<u64>(), bytes);
    check_rebuilt(case, format, way, &old, &rebuilt);
    Some(rebuilt)
}

/// The plan, and what is free for its tables; none where it was rightly refused.
fn plan<F: Encode<Rights: Hash>>(
    case: &Case,
    format: &F,
    way: &Way,
    old: &Known<'_>,
) -> Option<(Plan<F>, Arena)> {
    let memory = segments(&case.memory);
    let range = case.range.0..=case.range.1;
    let graph = Graph::read(format.clone(), &memory, &case.roots, range, Limits::NONE);
    let graph = graph.expect("there is no limit, and nothing changes");
    assert_eq!((graph.tables(), graph.spaces()), (old.tables, old.roots.len()));

    let (mut arena, mut puts) = (way.arena(&case.mode, old), Vec::new());
    let planned = way
        .place(old, &memory, &mut arena, &mut puts, |placement| Plan::new(graph, way.options(), placement));
    let reasons = refusals(&case.mode, &case.memory, old.roots, case.range, (way.live, way.faults), &puts);
    match planned {
        Ok(plan) => {
            if way.is_plain() {
                assert_eq!(reasons, [], "{way:?} is planned all the same");
                assert_eq!((plan.old_tables(), plan.new_tables()), (old.tables, old.tables), "{way:?}");
            }
            Some((plan, arena))
        }
        Err(error) => {
            let refused = is_refused(way, &reasons, &error, old) || is_taken(way, &puts, &error, old);
            assert!(refused, "{way:?}: {error:?}, but {reasons:x?}");
            None
        }
    }
}

/// That what was rebuilt is faithful, in the oracle's eyes and in those of `verify`.
fn check_rebuilt<F: Encode<Rights: Hash>>(
    case: &Case,
    format: &F,
    way: &Way,
    old: &Known<'_>,
    rebuilt: &Rebuilt,
) {
    let memory = segments(&case.memory);
    let view = rebuilt.view(&memory);
    let went = went(rebuilt);
    let judge = Judge { case, format, way, old, went: &went, rebuilt };
    let tables = judge.oracle(&view, rebuilt.roots(), true).unwrap_or_else(|why| panic!("{judge}: {why}"));
    assert_eq!(tables.old, old.tables, "{judge}");
    // A page that is split is split whole, even where the range cuts it.
    let all = way.is_plain() || case.range == (0, u64::MAX);
    assert!(tables.new == rebuilt.tables().len() || !all && tables.new < rebuilt.tables().len(), "{judge}");
    let report = judge.proof(&view, rebuilt.roots(), true).unwrap_or_else(|why| panic!("{judge}: {why:x?}"));
    assert_eq!(report.spaces, old.roots.len() as u64);
    if way.is_plain() {
        assert_eq!(tables.new, old.tables, "{judge}");
        assert_eq!((report.tables.old, report.tables.new), (old.addresses, old.addresses), "{judge}");
        assert_eq!((report.mapped.old, report.mapped.new), (old.mapped, old.mapped), "{judge}");
        assert_eq!(report.live_tables, if way.live { old.shown } else { 0 }, "{judge}");
    }
    if way.is_plain() && !way.live {
        assert_eq!((report.bytes, report.unreadable), (old.bytes, old.mapped - old.bytes), "{judge}");
    }
}

/// That what is written is what the view shows, and that a write that fails is told.
pub fn check_commit<F: Encode<Rights: Hash>>(case: &Case, format: &F, way: &Way, rebuilt: &Rebuilt) {
    let (memory, old, went) = (segments(&case.memory), Known::new(case), went(rebuilt));
    let judge = Judge { case, format, way, old: &old, went: &went, rebuilt };
    let mut written = Grown::default();
    let totals = rebuilt.commit(&memory, &mut written).expect("all is written");
    judge.oracle(&written, rebuilt.roots(), true).unwrap_or_else(|why| panic!("{judge}: {why}"));
    judge.proof(&written, rebuilt.roots(), true).unwrap_or_else(|why| panic!("{judge}: {why:x?}"));
    assert_eq!(totals.tables, rebuilt.tables().len());
    let copied: u64 = rebuilt.copies().iter().map(pt_rebuild::Stretch::bytes).sum();
    assert_eq!(totals.bytes + totals.unreadable, copied, "{judge}");
    assert!(totals.bytes == old.bytes || !way.is_plain(), "{judge}");

    for table in rebuilt.tables() {
        assert_eq!(written.frames.bytes(table.address, table.bytes.len() as u64).as_ref(), Ok(&table.bytes));
    }
    view::check(rebuilt, &memory);
    let writes = written.count;
    for allowed in [0, writes / 2, writes.saturating_sub(1)] {
        let mut short = Grown { writes: Some(allowed), ..Grown::default() };
        let failed = rebuilt.commit(&memory, &mut short);
        assert_eq!(failed.is_err(), allowed < writes, "{judge}");
    }
}

/// What was rebuilt, and who judges it.
struct Judge<'a, F> {
    case: &'a Case,
    format: &'a F,
    way: &'a Way,
    old: &'a Known<'a>,
    went: &'a [Went],
    rebuilt: &'a Rebuilt,
}

impl<F: Encode<Rights: Hash>> Judge<'_, F> {
    /// What the oracle says of a memory under these roots; `placed` says that it knows where frames were to go.
    fn oracle(
        &self,
        new: &(impl Memory + ?Sized),
        roots: &[NewRoot],
        placed: bool,
    ) -> Result<Tables, String> {
        let roots: Vec<_> = roots.iter().map(|root| (root.old, root.new)).collect();
        let sides = Sides { old: &self.case.memory, new: &Read(new), held: &self.old.held };
        let terms = Terms { went: placed.then_some(self.went), ..self.way.terms() };
        faithful(&self.case.mode, &sides, &roots, self.case.range, &terms)
    }

    /// What `verify` says of it.
    fn proof(
        &self,
        new: &(impl Memory + ?Sized),
        roots: &[NewRoot],
        placed: bool,
    ) -> Result<pt_rebuild::Verified, VerifyError<F::Rights>> {
        let frames = placed.then_some(self.rebuilt.frames());
        let proof = Proof { frames, ..self.way.proof(self.case.range) };
        verify(self.format, &segments(&self.case.memory), new, roots, &proof)
    }
}

impl<F> std::fmt::Display for Judge<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}, roots {:x?}", self.way, self.rebuilt.roots())?;
        for table in self.rebuilt.tables() {
            writeln!(f, "  table {:x?} to {:#x}", table.old, table.address)?;
        }
        write!(f, "  frames {:x?}", self.went)
    }
}

/// Where frames went, in the oracle's words.
fn went(rebuilt: &Rebuilt) -> Vec<Went> {
    let stretches = rebuilt.frames().stretches().iter();
    stretches.map(|stretch| Went { first: stretch.first, last: stretch.last, to: stretch.to }).collect()
}

/// Whether frames were put where a table must go on being none.
fn is_taken(way: &Way, puts: &[Went], error: &PlanError, old: &Known<'_>) -> bool {
    let PlanError::Collision { first, last } = *error else { return false };
    let meets = |(one, other): (u64, u64)| one <= last && first <= other;
    let put = |went: &Went| went.to.is_some_and(|to| meets((to, to + (went.last - went.first))));
    way.faults == Faulty::Kept && puts.iter().any(put) && old.unreadable.iter().any(|&table| meets(table))
}

/// Whether the oracle has that reason, or there was no room. Where pages change their sizes it does not know all reasons,
/// but what can stand behind them.
fn is_refused(way: &Way, reasons: &[Refusal], error: &PlanError, old: &Known<'_>) -> bool {
    let exact = match *error {
        PlanError::NoRoom(_) => true,
        PlanError::Fault(_) => {
            reasons.iter().any(|reason| matches!(reason, Refusal::Root | Refusal::Fault { .. }))
        }
        PlanError::Unencodable { entry, to, .. } => reasons.contains(&Refusal::Unencodable { entry, to }),
        PlanError::Conflict { entry, one, other, .. } => {
            let (one, other) = (one.0.number(), other.0.number());
            [(one, other), (other, one)]
                .map(|levels| Refusal::Conflict { entry, levels })
                .iter()
                .any(|conflict| reasons.contains(conflict))
        }
        _ => false,
    };
    let inexact = match error {
        PlanError::Limit { .. } | PlanError::Torn { .. } => old.large,
        PlanError::Conflict { .. } => old.ambiguous,
        // Of several reasons, which comes first is nobody's business.
        PlanError::Unencodable { .. } => !reasons.is_empty(),
        _ => false,
    };
    exact || (!way.is_plain() && inexact)
}
