//! `pt diff`: where two spaces differ: two images, or two roots of one.
//!
//! What is compared is where addresses lead, with which rights and which other attributes. Accessed and dirty bits, which the
//! hardware writes by itself, are left out; so is what pages contain. Lines are written as differences are found.

use std::fmt;
use std::io::{self, Write};
use std::ops::RangeInclusive;

use anyhow::{Context, bail};
use pt_core::{Difference, Encode, Finding, Geometry, Mapped, Permissions, Scope, Side, compare};

use crate::arguments::{DiffArguments, wrong_usage};
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::{Paging, with_format};
use crate::show::{Attributes, Quoted, Rights, Size};

pub(crate) fn run(arguments: &DiffArguments, out: &mut Output) -> anyhow::Result<()> {
    let before = Guest::open(&arguments.spaces)?.with_readable_roots()?;
    let Some(path) = &arguments.after else {
        let &[one, other] = &before.roots[..] else {
            return wrong_usage("one image is compared with itself through two roots: name both with --root");
        };
        return with_format!(before.paging, |format| {
            let sides = (side(&format, &before, one), side(&format, &before, other));
            print(sides.0, sides.1, true, arguments, out)
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
                    arguments,
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
        Quoted(before.image.path()),
        before.paging.mode(),
        Quoted(path),
        after.paging.mode()
    )
}

fn side<'a, F>(format: &'a F, guest: &'a Guest, root: u64) -> Side<'a, F, pt_image::Image> {
    Side { format, memory: &guest.image, root }
}

fn print<F: Encode<Rights: std::hash::Hash>>(
    before: Side<'_, F, pt_image::Image>,
    after: Side<'_, F, pt_image::Image>,
    same_memory: bool,
    arguments: &DiffArguments,
    out: &mut Output,
) -> anyhow::Result<()> {
    let range = arguments.spaces.range.clone().unwrap_or(0..=u64::MAX);
    let scope = Scope { range: range.clone(), same_memory, limit: arguments.max_tables };
    let formats = (before.format, after.format);
    let alike = |one: &_, other: &_| attributes(formats.0, one) == attributes(formats.1, other);
    let mut report = Report { formats, open: None, failed: None, range, out };
    let compared = compare(before, after, &scope, alike, |finding| report.take(&finding));
    report.close();
    let failed = report.failed.take();
    compared.context("the rest was not compared (--max-tables)")?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// What of a page's attributes can differ while its address and rights do not.
fn attributes<F: Encode>(format: &F, mapped: &Mapped<F::Rights>) -> Attributes {
    match *mapped {
        Mapped::Page { raw, level, .. } => Attributes::of(format.attributes(level, raw)),
        _ => Attributes::default(),
    }
}

/// Joins neighbouring differences of one kind, and prints them as they are found.
struct Report<'o, F: Encode> {
    formats: (&'o F, &'o F),
    open: Option<Difference<F::Rights>>,
    /// The first error of printing; nothing is printed after it.
    failed: Option<io::Error>,
    /// What lies outside is not printed.
    range: RangeInclusive<u64>,
    out: &'o mut Output,
}

impl<F: Encode> Report<'_, F> {
    fn take(&mut self, finding: &Finding<F::Rights>) {
        let (Finding::Difference(Difference { va, last, .. }) | Finding::Repetition { va, last, .. }) =
            *finding;
        if last < *self.range.start() || va > *self.range.end() {
            return;
        }
        match *finding {
            Finding::Difference(next) => match self.open {
                Some(open) if self.continues(&open, &next) => {
                    self.open = Some(Difference { last: next.last, ..open });
                }
                _ => {
                    self.close();
                    self.open = Some(next);
                }
            },
            Finding::Repetition { va, last, like } => {
                self.close();
                self.print(&format!("{}  as from {like:016x} on", stretch(va, last)), Tone::Muted);
            }
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let sides = (Shown(open.before), Shown(open.after));
        let (word, what) = match (open.before, open.after) {
            (Mapped::Fault(_), _) | (_, Mapped::Fault(_)) => {
                ("fault   ", format!("{} -> {}", sides.0, sides.1))
            }
            (Mapped::Absent { .. }, _) => ("appeared", sides.1.to_string()),
            (_, Mapped::Absent { .. }) => ("gone    ", sides.0.to_string()),
            (Mapped::Page { pa, rights, .. }, Mapped::Page { pa: to, rights: become_, .. }) => {
                let (one, other) = self.attributes(&open);
                let become_same = rights == become_;
                let also = if one == other { String::new() } else { format!("; {one} -> {other}") };
                match (pa == to, become_same) {
                    (true, true) => ("attributes", format!("{}: {one} -> {other}", sides.0)),
                    (true, false) => ("rights  ", format!("{} -> {}{also}", sides.0, sides.1)),
                    (false, true) => ("moved   ", format!("{} -> {}{also}", sides.0, sides.1)),
                    (false, false) => ("replaced", format!("{} -> {}{also}", sides.0, sides.1)),
                }
            }
        };
        let line = format!("{}  {word} {what}", stretch(open.va, open.last));
        let tone = match (open.before, open.after) {
            (Mapped::Fault(_), _) | (_, Mapped::Fault(_)) => Tone::Fault,
            (_, Mapped::Page { rights, .. }) => Output::tone_of(rights),
            (_, Mapped::Absent { .. }) => Tone::Plain,
        };
        self.print(&line, tone);
        debug_assert!(F::is_canonical(open.va), "addresses are canonical");
    }

    fn attributes(&self, of: &Difference<F::Rights>) -> (Attributes, Attributes) {
        (attributes(self.formats.0, &of.before), attributes(self.formats.1, &of.after))
    }

    /// Whether `next` goes on where `open` ends, on both sides, and would be said in the same words.
    fn continues(&self, open: &Difference<F::Rights>, next: &Difference<F::Rights>) -> bool {
        let len = (open.last - open.va).wrapping_add(1);
        let goes_on = |before: &Mapped<F::Rights>, after: &Mapped<F::Rights>| match (before, after) {
            (Mapped::Absent { .. }, Mapped::Absent { .. }) => true,
            (Mapped::Fault(one), Mapped::Fault(other)) => one == other,
            (Mapped::Page { pa, rights, .. }, Mapped::Page { pa: next, rights: others, .. }) => {
                pa.wrapping_add(len) == *next && rights == others
            }
            _ => false,
        };
        let changed = |(one, other)| if one == other { None } else { Some((one, other)) };
        open.last.wrapping_add(1) == next.va
            && goes_on(&open.before, &next.before)
            && goes_on(&open.after, &next.after)
            && changed(self.attributes(open)) == changed(self.attributes(next))
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

/// One side of a difference.
struct Shown<R>(Mapped<R>);

impl<R: Permissions> fmt::Display for Shown<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Mapped::Absent { .. } => write!(f, "nothing"),
            Mapped::Page { pa, rights, .. } => write!(f, "{pa:#x} {}", Rights(*rights)),
            Mapped::Fault(cause) => write!(f, "{cause}"),
        }
    }
}
