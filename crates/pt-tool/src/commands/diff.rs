//! `pt diff`: where two spaces differ: two images, or two roots of one.

use std::fmt;
use std::io::{self, Write};
use std::ops::RangeInclusive;

use anyhow::bail;
use pt_core::{Difference, Finding, Format, Geometry, Mapped, Scope, Side, compare};

use crate::arguments::{DiffArguments, wrong_usage};
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::{Paging, with_format};
use crate::show::{Rights, Size};

/// How many tables a comparison may read: far beyond any real guest, and seconds of work.
const MOST_TABLES: u64 = 1 << 22;

pub(crate) fn run(arguments: &DiffArguments, out: &mut Output) -> anyhow::Result<()> {
    let before = Guest::open(&arguments.spaces)?.with_readable_roots()?;
    let Some(path) = &arguments.after else {
        let &[one, other] = &before.roots[..] else {
            return wrong_usage("one image is compared with itself through two roots: name both with --root");
        };
        return with_format!(before.paging, |format| {
            let sides = (side(&format, &before, one), side(&format, &before, other));
            print(sides.0, sides.1, true, &before.range, out)
        });
    };
    let mut of_after = arguments.spaces.clone();
    of_after.image.source.image.clone_from(path);
    let after = Guest::open(&of_after)?;
    // One root is for both images, two are one for each, and the CPUs' own are taken in pairs.
    let roots = match (&arguments.spaces.roots[..], &before.roots[..], &after.roots[..]) {
        ([] | [_], &[one, ..], &[other, ..]) | (&[one, other], ..) => (one, other),
        _ => return wrong_usage("two images are compared through one root for both, or one for each"),
    };
    macro_rules! same {
        ($mode:ident) => {
            if let (Paging::$mode(one), Paging::$mode(other)) = (before.paging, after.paging) {
                return print(
                    side(&one, &before, roots.0),
                    side(&other, &after, roots.1),
                    false,
                    &before.range,
                    out,
                );
            }
        };
    }
    same!(TwoLevel);
    same!(Pae);
    same!(FourLevel);
    same!(FiveLevel);
    bail!(
        "{} is {}, and {} is {}",
        before.image.path().display(),
        before.paging.mode(),
        path.display(),
        after.paging.mode()
    )
}

fn side<'a, F>(format: &'a F, guest: &'a Guest, root: u64) -> Side<'a, F, pt_image::Image> {
    Side { format, memory: &guest.image, root }
}

fn print<F: Format<Rights: std::hash::Hash>>(
    before: Side<'_, F, pt_image::Image>,
    after: Side<'_, F, pt_image::Image>,
    same_memory: bool,
    range: &RangeInclusive<u64>,
    out: &mut Output,
) -> anyhow::Result<()> {
    let scope = Scope { range: range.clone(), same_memory, limit: MOST_TABLES };
    let mut report = Report { open: None, failed: None, range, out };
    let compared = compare(before, after, &scope, |_, _| true, |finding| report.take::<F>(&finding));
    report.close::<F>();
    let failed = report.failed.take();
    compared?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Joins neighbouring differences of one kind, and prints them as they are found.
struct Report<'o, R> {
    open: Option<Difference<R>>,
    /// The first error of printing; nothing is printed after it.
    failed: Option<io::Error>,
    /// What lies outside is not printed.
    range: &'o RangeInclusive<u64>,
    out: &'o mut Output,
}

impl<R: pt_core::Permissions> Report<'_, R> {
    fn take<F: Format<Rights = R>>(&mut self, finding: &Finding<R>) {
        let (Finding::Difference(Difference { va, last, .. }) | Finding::Repetition { va, last, .. }) =
            *finding;
        if last < *self.range.start() || va > *self.range.end() {
            return;
        }
        match *finding {
            Finding::Difference(next) => match &mut self.open {
                Some(open) if continues::<R>(open, &next) => open.last = next.last,
                _ => {
                    self.close::<F>();
                    self.open = Some(next);
                }
            },
            Finding::Repetition { va, last, like } => {
                self.close::<F>();
                self.print(&format!("{}  as from {like:016x} on", stretch(va, last)), Tone::Muted);
            }
        }
    }

    fn close<F: Format<Rights = R>>(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (word, what) = match (open.before, open.after) {
            (before @ Mapped::Fault(_), after) | (before, after @ Mapped::Fault(_)) => {
                ("fault   ", format!("{} -> {}", Shown(before), Shown(after)))
            }
            (Mapped::Absent { .. }, after) => ("appeared", Shown(after).to_string()),
            (before, Mapped::Absent { .. }) => ("gone    ", Shown(before).to_string()),
            (Mapped::Page { pa, rights, .. }, Mapped::Page { pa: to, rights: become_, .. }) => {
                let word = match (pa == to, rights == become_) {
                    (true, _) => "rights  ",
                    (false, true) => "moved   ",
                    (false, false) => "replaced",
                };
                (word, format!("{} -> {}", Shown(open.before), Shown(open.after)))
            }
        };
        let fault = word.starts_with("fault");
        let line = format!("{}  {word} {what}", stretch(open.va, open.last));
        self.print(&line, if fault { Tone::Fault } else { Tone::Plain });
        debug_assert!(F::is_canonical(open.va), "addresses are canonical");
    }

    fn print(&mut self, line: &str, tone: Tone) {
        if self.failed.is_none() {
            let line = self.out.tone(tone, line);
            self.failed = writeln!(self.out, "{line}").err();
        }
    }
}

fn stretch(va: u64, last: u64) -> String {
    format!("{va:016x}..={last:016x} {:>9}", Size((last - va).saturating_add(1)))
}

/// Whether `next` goes on where `open` ends, on both sides.
fn continues<R: PartialEq>(open: &Difference<R>, next: &Difference<R>) -> bool {
    let len = (open.last - open.va).wrapping_add(1);
    let goes_on = |before: &Mapped<R>, after: &Mapped<R>| match (before, after) {
        (Mapped::Absent { .. }, Mapped::Absent { .. }) => true,
        (Mapped::Fault(one), Mapped::Fault(other)) => one == other,
        (Mapped::Page { pa, rights, .. }, Mapped::Page { pa: next, rights: others, .. }) => {
            pa.wrapping_add(len) == *next && rights == others
        }
        _ => false,
    };
    open.last.wrapping_add(1) == next.va
        && goes_on(&open.before, &next.before)
        && goes_on(&open.after, &next.after)
}

/// One side of a difference.
struct Shown<R>(Mapped<R>);

impl<R: pt_core::Permissions> fmt::Display for Shown<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Mapped::Absent { .. } => write!(f, "nothing"),
            Mapped::Page { pa, rights, .. } => write!(f, "{pa:#x} {}", Rights(*rights)),
            Mapped::Fault(cause) => write!(f, "{cause}"),
        }
    }
}
