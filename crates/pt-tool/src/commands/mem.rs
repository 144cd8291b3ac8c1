//! `pt mem`: ranges with equal effective rights, in the columns of QEMU's `info mem`.

use std::io::{self, Write};

use pt_core::{Format, Geometry, Leaf, Leaves, Permissions};

use super::expand;
use crate::arguments::PagesArguments;
use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::paging::with_format;

pub(crate) fn run(arguments: &PagesArguments, out: &mut Output) -> anyhow::Result<()> {
    let guest = Guest::open(&arguments.spaces)?.with_readable_roots()?;
    with_format!(guest.paging, |format| print(format, &guest, arguments, out))
}

fn print<F: Format>(
    format: F,
    guest: &Guest,
    arguments: &PagesArguments,
    out: &mut Output,
) -> anyhow::Result<()> {
    let mut open: Option<Stretch> = None;
    let leaves = Leaves::RunsIgnoringAccessedDirty;
    expand::pages(format, guest, leaves, arguments, out, |page, out| {
        let next = page.map(|page| Stretch::of::<F>(&page));
        if let (Some(stretch), Some(next)) = (&mut open, &next)
            && stretch.joins(next)
        {
            stretch.end = next.end;
            stretch.dangerous |= next.dangerous;
            return Ok(());
        }
        std::mem::replace(&mut open, next).map_or(Ok(()), |stretch| stretch.print::<F>(out))
    })
}

/// Neighbouring pages with equal rights. Addresses are without sign extension, so that the two halves of a space are
/// neighbours and the end can lie one past the last.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: u64,
    end: u64,
    user: bool,
    writable: bool,
    /// Whether any page of it can be executed too, which the columns do not show.
    dangerous: bool,
}

impl Stretch {
    fn of<F: Format>(leaf: &Leaf<F::Rights>) -> Self {
        let start = leaf.va & F::VA_MASK;
        let end = start + u64::from(leaf.pages) * F::entry_span(leaf.level);
        let (user, writable) = (leaf.rights.user(), leaf.rights.writable());
        Self { start, end, user, writable, dangerous: writable && leaf.rights.executable() }
    }

    fn joins(&self, next: &Self) -> bool {
        self.end == next.start && self.user == next.user && self.writable == next.writable
    }

    fn print<F: Format>(&self, out: &mut Output) -> io::Result<()> {
        // The end of the space itself has no sign.
        let canonical = |va| if va > F::VA_MASK { va } else { F::canonical(va) };
        let (start, end, size) = (canonical(self.start), canonical(self.end), self.end - self.start);
        let (user, writable) = (if self.user { 'u' } else { '-' }, if self.writable { 'w' } else { '-' });
        let line = format!("{start:016x}-{end:016x} {size:016x} {user}r{writable}");
        writeln!(out, "{}", out.tone(if self.dangerous { Tone::Danger } else { Tone::Plain }, line))
    }
}
