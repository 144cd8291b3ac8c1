//! `mutants [--jobs N] [--fast | --alone] [--fresh] [--keep] [--within SECONDS] [--in DIRECTORY] CRATE...`, in the root of the workspace: which mutants of these crates no test catches.
//!
//! cargo-mutants builds every mutant and runs the tests on it; with thousands of mutants that takes days. Here all of them are
//! compiled at once, each behind a switch that a variable of the environment sets when a test is run. What tests notice
//! that way is caught. What they do not, and what has no form behind a switch, is built and tested by itself.
//!
//! [`list`] asks cargo-mutants what there is to change; [`schema`] and [`splice`] write the sources with all of it, [`tree`] is
//! where they are, [`compile`] leaves out what does not compile; [`suite`] knows the tests, [`hunt`] runs them, [`results`]
//! remembers, [`alone`] builds one at a time. [`equivalent`] are those that nobody could notice.

#![forbid(unsafe_code)]

mod alone;
mod compile;
mod equivalent;
mod hunt;
mod list;
mod results;
mod schema;
mod splice;
mod suite;
mod tree;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use list::Mutant;
use results::{Results, Verdict};

/// Where everything is kept, unless something else is said.
const WORK: &str = "target/mutants";

/// The packages whose tests are run, whichever crate is mutated.
const TESTED: [&str; 7] = ["pt-core", "pt-x86", "pt-amd64", "pt-i686", "pt-vcpu", "pt-rebuild", "pt-testkit"];

/// How mutants are built.
#[derive(PartialEq, Eq)]
enum Ways {
    /// All together, then one by one what no test noticed.
    Both,
    /// Together only.
    Together,
    /// One by one what former runs left open.
    Alone,
}

struct Options {
    /// How many tests run at a time.
    jobs: usize,
    ways: Ways,
    /// Whether former verdicts are forgotten.
    fresh: bool,
    /// Whether verdicts are put to the sources.
    keep: bool,
    /// Tests that take longer are left out.
    within: Option<u64>,
    work: String,
    crates: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            jobs: 2,
            ways: Ways::Both,
            fresh: false,
            keep: false,
            within: None,
            work: WORK.to_owned(),
            crates: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--jobs" => options.jobs = arguments.next().context("--jobs needs a number")?.parse()?,
                "--within" => {
                    options.within = Some(arguments.next().context("--within needs a number")?.parse()?);
                }
                "--in" => options.work = arguments.next().context("--in needs a directory")?,
                "--fast" => options.ways = Ways::Together,
                "--alone" => options.ways = Ways::Alone,
                "--fresh" => options.fresh = true,
                "--keep" => options.keep = true,
                other if other.starts_with('-') => bail!("mutants does not take `{other}`"),
                _ => options.crates.push(argument),
            }
        }
        ensure!(!options.crates.is_empty(), "mutants of no crate");
        ensure!(options.jobs > 0, "no test can be run with --jobs 0");
        Ok(options)
    }
}

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let root = std::env::current_dir()?;
    let work = root.join(&options.work);
    fs::create_dir_all(&work)?;
    let path = work.join("results.jsonl");
    if options.fresh {
        fs::write(&path, "")?;
    }
    let mutants = list::mutants(&root, &options.crates)?;
    let mut results = Results::open(&path, &root, &mutants)?;
    let equivalent = equivalent::numbers(&root, &mutants)?;
    println!("{} mutants, {} of them equivalent", mutants.len(), equivalent.len());

    let mut open = Vec::new();
    for (number, mutant) in (1..).zip(&mutants) {
        let known = results.verdict(mutant);
        if equivalent.contains(&number) {
            if known != Some(Verdict::Equivalent) {
                results.add(mutant, Verdict::Equivalent, None)?;
            }
        } else if matches!(known, None | Some(Verdict::Missed | Verdict::Equivalent)) {
            // Also one that was listed as equivalent and is no more.
            open.push(mutant.clone());
        }
    }
    let results = Mutex::new(results);
    let tested = TESTED.map(str::to_owned);
    if options.ways != Ways::Alone && !open.is_empty() {
        together(&root, &work, &options, &open, &tested, &results)?;
    }
    let mut results = results.into_inner().expect("no worker is left");
    if options.ways != Ways::Together {
        let open =
            |mutant: &&Mutant| matches!(results.verdict(mutant), Some(Verdict::Missed | Verdict::Formless));
        let open: Vec<&Mutant> = mutants.iter().filter(open).collect();
        if !open.is_empty() {
            alone::judge(&root, &work, &open, &tested, &mut results)?;
        }
    }
    report(&options.crates, &mutants, &results);
    if options.keep { results.keep(&root) } else { Ok(()) }
}

/// Builds the mutants together, and runs the tests on them.
fn together(
    root: &Path,
    work: &Path,
    options: &Options,
    mutants: &[Mutant],
    tested: &[String],
    results: &Mutex<Results>,
) -> Result<()> {
    let start = Instant::now();
    let built = compile::build(root, work, mutants, tested)?;
    println!(
        "built after {} s; running the tests of {} programs",
        start.elapsed().as_secs(),
        built.programs.len()
    );
    let mut suite = suite::Suite::measure(&built.programs, work, options.jobs)?;
    if let Some(seconds) = options.within {
        suite.leave_out(Duration::from_secs(seconds));
    }
    println!("{} tests pass, after {} s", suite.tests.len(), start.elapsed().as_secs());

    let mut wanted = Vec::new();
    {
        let mut results = results.lock().expect("nobody else has them");
        for (number, mutant) in (1..).zip(mutants) {
            if built.unviable.contains(&number) {
                results.add(mutant, Verdict::Unviable, Some("the compiler"))?;
            } else if built.formless.contains(&number) {
                results.add(mutant, Verdict::Formless, None)?;
            } else {
                wanted.push((number, mutant));
            }
        }
    }
    println!("running the tests on {} mutants", wanted.len());
    hunt::hunt(&suite, &wanted, options.jobs, results)?;
    println!("done after {} s", start.elapsed().as_secs());
    Ok(())
}

fn report(crates: &[String], mutants: &[Mutant], results: &Results) {
    println!("| crate | mutants | caught | timeout | unviable | equivalent | missed | without a form |");
    println!("|---|---|---|---|---|---|---|---|");
    for package in crates {
        let of = |verdict| {
            let mine = mutants.iter().filter(|mutant| mutant.package == *package);
            mine.filter(|mutant| verdict == results.verdict(mutant)).count()
        };
        let all = mutants.iter().filter(|mutant| mutant.package == *package).count();
        println!(
            "| {package} | {all} | {} | {} | {} | {} | {} | {} |",
            of(Some(Verdict::Caught)),
            of(Some(Verdict::Timeout)),
            of(Some(Verdict::Unviable)),
            of(Some(Verdict::Equivalent)),
            of(Some(Verdict::Missed)),
            of(Some(Verdict::Formless)),
        );
    }
    for mutant in mutants {
        if matches!(results.verdict(mutant), Some(Verdict::Missed | Verdict::Formless)) {
            println!("{:?}: {}", results.verdict(mutant).expect("it has one"), mutant.name);
        }
    }
}
