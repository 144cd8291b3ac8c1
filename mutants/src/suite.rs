//! The tests: each alone, how long it takes, and which mutants it ever comes by. One that it does not come by it cannot catch.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::compile::Program;

#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// Package, target and name.
    pub(crate) name: String,
    path: PathBuf,
    directory: PathBuf,
    own: String,
    /// How long it took with no mutant selected.
    pub(crate) time: Duration,
}

/// All tests, and for each mutant those that come by it (by index).
pub(crate) struct Suite {
    pub(crate) tests: Vec<Test>,
    pub(crate) reaching: HashMap<u32, Vec<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// It took more of the processor, or of time, than it was given.
    Endless,
}

/// Memory that a test may take, in KiB.
const MEMORY: u32 = 4 << 20;
/// Waiting, not computing, that makes a test endless.
const WALL: Duration = Duration::from_mins(5);

impl Suite {
    /// Runs every test of `programs` once, `jobs` at a time, noting which mutants it comes by. All of them have to pass.
    pub(crate) fn measure(programs: &[Program], work: &Path, jobs: usize) -> Result<Self> {
        let mut tests = Vec::new();
        for program in programs {
            for own in names(program)? {
                tests.push(Test {
                    name: format!("{}::{own}", program.name),
                    path: program.path.clone(),
                    directory: program.directory.clone(),
                    own,
                    time: Duration::ZERO,
                });
            }
        }
        let measured: Vec<OnceLock<Measured>> = tests.iter().map(|_| OnceLock::new()).collect();
        in_parallel(jobs, tests.len(), |index| {
            let notes = work.join(format!("reached-{index}"));
            let done = tests[index].measure(&notes)?;
            let _ = fs::remove_file(&notes);
            ensure!(measured[index].set(done).is_ok(), "a test was measured twice");
            Ok(())
        })?;
        let mut reaching = HashMap::<u32, Vec<usize>>::new();
        let mut failed = Vec::new();
        for (index, (test, done)) in tests.iter_mut().zip(measured).enumerate() {
            let done = done.into_inner().context("a test was not measured")?;
            test.time = done.time;
            if done.outcome != Outcome::Passed {
                failed.push(test.name.as_str());
            }
            for number in done.reached {
                reaching.entry(number).or_default().push(index);
            }
        }
        ensure!(failed.is_empty(), "tests fail with no mutant selected: {}", failed.join(", "));
        Ok(Self { tests, reaching })
    }

    /// Leaves out the tests that take longer. What they alone would notice is then missed.
    pub(crate) fn leave_out(&mut self, longer_than: Duration) {
        let tests = &self.tests;
        self.reaching.values_mut().for_each(|of| of.retain(|&index| tests[index].time <= longer_than));
    }
}

#[derive(Debug)]
struct Measured {
    outcome: Outcome,
    time: Duration,
    reached: BTreeSet<u32>,
}

/// Does all of `count` things, `jobs` at a time, until one of them fails.
pub(crate) fn in_parallel(
    jobs: usize,
    count: usize,
    each: impl Fn(usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            each(index)?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
    })
}

impl Test {
    /// Runs it with no mutant selected, noting all that it comes by in a file.
    fn measure(&self, notes: &Path) -> Result<Measured> {
        let _ = fs::remove_file(notes);
        let variables = [("PT_MUTANT", "all"), ("PT_MUTANT_REACHED", path(notes)?)];
        let (outcome, time) = self.run_with(&variables, WALL)?;
        let reached = fs::read_to_string(notes).unwrap_or_default();
        let reached: Result<_, _> = reached.lines().map(str::parse).collect();
        Ok(Measured { outcome, time, reached: reached.context("a mutant without a number")? })
    }

    /// Runs it with a mutant selected.
    pub(crate) fn run(&self, number: u32) -> Result<Outcome> {
        let (outcome, _) =
            self.run_with(&[("PT_MUTANT", &number.to_string())], 4 * self.time + Duration::from_secs(1))?;
        Ok(outcome)
    }

    /// What comes of it, and the processor's time that it took, whoever else used that; of this there is a limit.
    fn run_with(&self, variables: &[(&str, &str)], limit: Duration) -> Result<(Outcome, Duration)> {
        // One at a time: some shells heed the first alone.
        let seconds = limit.as_secs().max(1);
        let limits = format!("ulimit -c 0; ulimit -v {MEMORY}; ulimit -t {seconds}; exec \"$@\"");
        let mut child = Command::new("sh")
            .args(["-c", &limits, "sh"])
            .arg(&self.path)
            .args(["--exact", &self.own, "--test-threads=1", "--include-ignored"])
            .current_dir(&self.directory)
            .env("CARGO_MANIFEST_DIR", &self.directory)
            // Chance is the same for every mutant; a failure is enough, the smallest one is not looked for nor remembered.
            .env("PROPTEST_RNG_SEED", "1")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_MAX_SHRINK_TIME", "1")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("a test could not be started")?;
        let start = Instant::now();
        let mut took = Duration::ZERO;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            took = processor_time(child.id()).unwrap_or(took);
            if start.elapsed() > WALL.max(20 * limit) {
                child.kill()?;
                child.wait()?;
                return Ok((Outcome::Endless, took));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let outcome = match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
            (Some(0), _) => Outcome::Passed,
            // SIGKILL and SIGXCPU.
            (None, Some(9 | 24)) => Outcome::Endless,
            (Some(127), _) => bail!("{} cannot be run", self.path.display()),
            _ => Outcome::Failed,
        };
        Ok((outcome, took))
    }
}

/// What a process has had of the processor, to a hundredth of a second, if it is still there and the system says so.
fn processor_time(process: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name comes before, in brackets, and can hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let [user, system]: [u64; 2] = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
    Some(Duration::from_millis(10 * (user + system)))
}

fn names(program: &Program) -> Result<Vec<String>> {
    let output = Command::new(&program.path)
        .args(["--list", "--format", "terse"])
        .current_dir(&program.directory)
        .output()
        .with_context(|| format!("{} could not be started", program.path.display()))?;
    let listing = String::from_utf8(output.stdout)?;
    Ok(listing.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
