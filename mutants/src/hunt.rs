//! Every mutant against the tests that come by it, until one of them notices.
//!
//! Tests go first that have cost little for what they caught in the same file.

use std::collections::HashMap;
use std::sync::Mutex;

use anyhow::Result;

use crate::list::Mutant;
use crate::results::{Results, Verdict};
use crate::suite::{Outcome, Suite, in_parallel};

/// How often a test was asked about mutants of a file, and how often it caught one.
#[derive(Clone, Copy, Default)]
struct Record {
    asked: u32,
    caught: u32,
}

struct Hunt<'a> {
    suite: &'a Suite,
    /// By file and test.
    records: Mutex<HashMap<(&'a str, usize), Record>>,
}

/// Runs the tests for `wanted`, mutants with their numbers, `jobs` at a time, and adds what comes of each to the results.
pub(crate) fn hunt(
    suite: &Suite,
    wanted: &[(u32, &Mutant)],
    jobs: usize,
    results: &Mutex<Results>,
) -> Result<()> {
    let hunt = Hunt { suite, records: Mutex::default() };
    in_parallel(jobs, wanted.len(), |index| {
        let (number, mutant) = wanted[index];
        let (verdict, by) = hunt.one(number, mutant)?;
        results.lock().expect("a worker panicked").add(mutant, verdict, by)
    })
}

impl<'a> Hunt<'a> {
    /// What becomes of a mutant, and the test that says so.
    fn one(&self, number: u32, mutant: &'a Mutant) -> Result<(Verdict, Option<&'a str>)> {
        for index in self.order(number, &mutant.file) {
            let test = &self.suite.tests[index];
            let outcome = test.run(number)?;
            let mut records = self.records.lock().expect("a worker panicked");
            let record = records.entry((&mutant.file, index)).or_default();
            record.asked += 1;
            record.caught += u32::from(outcome != Outcome::Passed);
            match outcome {
                Outcome::Passed => {}
                Outcome::Failed => return Ok((Verdict::Caught, Some(&test.name))),
                Outcome::Endless => return Ok((Verdict::Timeout, Some(&test.name))),
            }
        }
        Ok((Verdict::Missed, None))
    }

    fn order(&self, number: u32, file: &'a str) -> Vec<usize> {
        let records = self.records.lock().expect("a worker panicked");
        let cost = |index: usize| {
            let record = records.get(&(file, index)).copied().unwrap_or_default();
            let chance = (f64::from(record.caught) + 0.5) / (f64::from(record.asked) + 1.0);
            (self.suite.tests[index].time.as_secs_f64() + 0.003) / chance
        };
        let tests = self.suite.reaching.get(&number).into_iter().flatten();
        let mut tests: Vec<(f64, usize)> = tests.map(|&index| (cost(index), index)).collect();
        tests.sort_by(|one, other| one.0.total_cmp(&other.0));
        tests.into_iter().map(|(_, index)| index).collect()
    }
}
