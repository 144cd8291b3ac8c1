//! `cargo xtask guest`: a running guest that edits its own tables goes on in another machine.
//!
//! The guest (guest/, a program in C) has several spaces that share tables; it reads, writes and edits, and prints a checksum
//! after each. It is stopped in the middle of that and dumped; its spaces are rebuilt with all frames moved, loaded into a
//! new machine, and have to go on as if nothing had happened.

mod core;
mod graph;
pub(crate) mod machine;
mod model;
mod moved;
pub(crate) mod program;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use xshell::Shell;

use crate::built::Built;
use crate::tools;
use core::Core;
use graph::Counts;
use machine::{Machine, Wrong};
use model::Model;
use moved::Moved;
use program::Program;

/// The name of a paging mode, its levels, and the bytes of a word.
pub(crate) const MODES: [(&str, u32, usize); 4] =
    [("2level", 2, 4), ("pae", 3, 4), ("4level", 4, 8), ("5level", 5, 8)];

/// Where the guest is stopped, and after how many times there. The first is where nothing is under way, so that what its
/// tables hold is known.
const STOPS: [(&str, usize); 3] = [(BETWEEN_ROUNDS, 3), ("safe_after_edit", 16), ("safe_in_handler", 41)];
pub(crate) const BETWEEN_ROUNDS: &str = "safe_between_rounds";

/// How many rounds it goes on for.
const ROUNDS: usize = 5;

pub(crate) fn run(sh: &Shell) -> Result<()> {
    tools::qemu(sh)?;
    let pt = Built::pt(sh)?;
    for (name, levels, word) in MODES {
        let start = Instant::now();
        let directory = tempfile::tempdir()?;
        let program = Program::build(sh, "spaces", levels, directory.path())?;
        let guest = Guest { pt: &pt, program, levels, word, directory };
        let mut lines = 0;
        for (place, times) in STOPS {
            lines +=
                guest.moves(place, times).with_context(|| format!("guest {name}, stopped at {place}"))?;
        }
        let stops = STOPS.len();
        println!("{name}: moved at {stops} places, {lines} lines as expected, {:.1?}", start.elapsed());
    }
    Ok(())
}

/// The guest for one paging mode.
#[derive(Debug)]
struct Guest<'a> {
    pt: &'a Built,
    program: Program,
    levels: u32,
    word: usize,
    /// For what is dumped.
    directory: TempDir,
}

impl Guest<'_> {
    /// Moves it from one machine to another. Returns how many lines it has printed in both.
    fn moves(&self, place: &str, times: usize) -> Result<usize> {
        let mut expected = Model::new(self.levels);
        let mut machine = Machine::boot(&self.program)?;
        machine.run_to(self.program.symbol(place)?, times)?;
        let lines = as_expected(&mut machine, &mut expected)?;
        let stopped = self.directory.path().join("stopped");
        machine.dump(&stopped)?;
        let roots = self.roots(&mut machine)?;
        drop(machine);
        let quiet = place == BETWEEN_ROUNDS;
        if quiet {
            self.is_walked(&stopped, &roots)?;
        }

        let live = Moved::rebuild(self.pt, &stopped, &roots, "live")?;
        let more = self.goes_on(&live, &mut expected)?;
        if quiet {
            self.stale_tables_are_noticed(&stopped, &roots, expected)?;
        }
        Ok(lines + more)
    }

    /// Loads it into a machine that has never seen it before, and lets it run. Returns how many lines it has printed.
    fn goes_on(&self, moved: &Moved, expected: &mut Model) -> Result<usize> {
        let mut machine = Machine::boot(&self.program)?;
        machine.load(&Core::read(&moved.image)?, self.word)?;
        machine.write_words(self.program.symbol("space_roots")?, &moved.roots, self.word)?;
        machine.run_to(self.program.symbol(BETWEEN_ROUNDS)?, ROUNDS)?;
        let lines = as_expected(&mut machine, expected)?;
        let later = self.directory.path().join("later");
        machine.dump(&later)?;
        self.is_walked(&later, &moved.roots)?;
        Ok(lines)
    }

    /// That it does not go on if its pages show old tables as data: else that it goes on would say nothing.
    fn stale_tables_are_noticed(&self, stopped: &Path, roots: &[u64], mut expected: Model) -> Result<()> {
        match Moved::rebuild(self.pt, stopped, roots, "data") {
            Ok(stale) => {
                let noticed =
                    self.goes_on(&stale, &mut expected).err().context("stale tables go unnoticed")?;
                ensure!(noticed.is::<Wrong>(), "not by the guest: {noticed:#}");
            }
            // A link to the root itself is a link and a page at once, and cannot lead to both.
            Err(refused) => ensure!(refused.to_string().contains("cannot become both"), "{refused:#}"),
        }
        Ok(())
    }

    /// The guest's own list of its roots.
    fn roots(&self, machine: &mut Machine) -> Result<Vec<u64>> {
        let list = self.program.symbol("space_roots")?;
        let addresses = (list..).step_by(self.word).take(graph::SPACES);
        addresses.map(|address| machine.read_word(address, self.word)).collect()
    }

    /// That `pt` finds the guest's roots, and in a walk as much as the guest has built.
    fn is_walked(&self, image: &Path, roots: &[u64]) -> Result<()> {
        let found = self.pt.run(["roots".as_ref(), image.as_os_str()])?;
        let mut found: Vec<_> = found.lines().filter_map(|line| line.split(' ').next()).collect();
        found.sort_unstable();
        let mut listed: Vec<_> = roots.iter().map(|root| format!("{root:#x}")).collect();
        listed.sort_unstable();
        ensure!(found == listed, "roots are {listed:?}, and `pt roots` finds {found:?}");

        let totals = self.pt.run(["walk".as_ref(), image.as_os_str(), "--json".as_ref()])?;
        let totals = totals.lines().last().map(Counts::parse).context("`pt walk` prints nothing")??;
        let kernel = self.program.symbol("end")? - self.program.symbol("text")?;
        let built = Counts::of_guest(self.levels as usize, kernel / 4096);
        ensure!(totals == built, "{built:?} were built, and `pt walk` finds {totals:?}");
        Ok(())
    }
}

/// That the guest has printed what it had to, and something. Returns how many lines.
fn as_expected(machine: &mut Machine, expected: &mut Model) -> Result<usize> {
    let lines = machine.heard()?;
    for line in &lines {
        let right = expected.next();
        ensure!(Some(line) == right.as_ref(), "the guest prints {line:?}, and not {right:?}");
    }
    ensure!(!lines.is_empty(), "the guest prints nothing");
    Ok(lines.len())
}
