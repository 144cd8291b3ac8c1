//! What `pt rebuild` makes of an image, in QEMU's eyes.
//!
//! Before anything is asked, the old tables are overwritten with nonsense wherever the new image has no new table: whoever still
//! used one would read it. In QEMU's copy this takes also those that are kept as data, which an MMU does not read; in the
//! image itself, for `pt verify`, those that no page maps.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::extents::Moved;
use super::frames::{FRAME, Frames};
use super::guest::{Guest, hex};
use super::lockstep::{Listing, compare};
use super::pages::same_lines;
use super::request::{Report, Request};
use super::tables::{Table, tables};
use crate::built::Built;
use crate::elf_core::{contents, flat, offset_of};
use crate::qemu::Mmu;

/// Tables are as long as a multiple of this, and begin at one.
const GRANULE: usize = 32;

/// What was found equal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rebuilt {
    roots: usize,
    pages: usize,
    ranges: usize,
    frames: usize,
    tables: [usize; 2],
    /// Old tables that were overwritten: for QEMU, and in the image.
    poisoned: [usize; 2],
}

impl Display for Rebuilt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { roots, pages, ranges, frames, tables: [old, new], poisoned: [qemu, image] } = self;
        write!(f, "{roots} roots, {pages} pages, {ranges} ranges, {frames} frames; ")?;
        write!(f, "{old} tables, now {new}, {qemu} of the old ones overwritten ({image} in the image)")
    }
}

/// An image that was rebuilt, in a directory of its own.
struct Attempt {
    _directory: TempDir,
    image: PathBuf,
    report: PathBuf,
}

impl Attempt {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name| directory.path().join(name);
        Ok(Self { image: path("rebuilt.elf"), report: path("report.json"), _directory: directory })
    }

    /// Has it rebuilt, all roots together.
    fn rebuild(&self, guest: &Guest, pt: &Built, request: Request) -> Result<Report> {
        let roots = guest.roots.iter().flat_map(|root| ["--root".to_owned(), format!("{root:#x}")]);
        let mut arguments: Vec<OsString> = vec!["rebuild".into(), guest.image.path().into()];
        arguments.extend(["-o".into(), self.image.clone().into()]);
        arguments.extend(["--report".into(), self.report.clone().into()]);
        arguments.extend(request.arguments().map(Into::into));
        arguments.extend(roots.map(Into::into));
        pt.run(arguments)?;
        let report = Report::parse(&std::fs::read_to_string(&self.report)?).context("the report")?;
        let asked = guest.roots.iter().map(|root| root & guest.mode.root_mask());
        let old = report.spaces.iter().map(|&[old, _]| old & guest.mode.root_mask());
        ensure!(old.eq(asked), "the report's spaces are {:x?}", report.spaces);
        Ok(report)
    }

    fn verify(&self, guest: &Guest, pt: &Built) -> Result<()> {
        let images = ["verify".as_ref(), guest.image.path().as_os_str(), self.image.as_ref()];
        pt.run(images.into_iter().chain(["--report".as_ref(), self.report.as_ref()]))?;
        Ok(())
    }
}

/// Rebuilds, and compares everything. Nothing if that has to be refused, and was: where an entry is a link and a page at
/// once, the table cannot be left behind as data.
pub(super) fn check(guest: &Guest, pt: &Built, request: Request) -> Result<Option<Rebuilt>> {
    let attempt = Attempt::new()?;
    let report = attempt.rebuild(guest, pt, request);
    let old = tables(guest.raw.as_file(), guest.mode, guest.paging, &guest.roots)?;
    if old.map_themselves && !request.is_live() {
        let refusal = report.err().context("tables that map themselves became data")?.to_string();
        ensure!(refusal.contains("cannot become both"), "{refusal}");
        return Ok(None);
    }
    let report = report?;
    registers_moved(pt, guest.image.path(), &attempt.image, &report)?;

    let poisoned = flat(&attempt.image)?;
    let roots: Vec<u64> = report.spaces.iter().map(|&[_, new]| new).collect();
    let new = tables(poisoned.as_file(), guest.mode, guest.paging, &roots).context("the new tables")?.all;
    let old = old.all;
    let counts = [old.len(), new.len()];
    ensure!(counts == report.tables, "tables: {counts:?}, but the report says {:?}", report.tables);
    ensure!(request.changes().sizes || old.len() == new.len(), "{} tables are {} now", old.len(), new.len());
    let len = poisoned.as_file().metadata()?.len();
    let in_memory = |table: Table| (table.address + table.bytes <= len).then_some(table.address);
    let for_qemu = poison(poisoned.as_file(), &old, &new, in_memory, |_| false)?;

    let mut frames = Frames::new(request.moves());
    let mut rebuilt = Rebuilt { roots: roots.len(), tables: counts, ..Rebuilt::default() };
    let mut before = Mmu::with_memory(guest.raw.path(), guest.paging)?;
    let mut after = Mmu::with_memory(poisoned.path(), guest.paging)?;
    for &[old_root, new_root] in &report.spaces {
        before.set_root(old_root)?;
        after.set_root(new_root)?;
        let (pages, ranges) = space(guest, request, &mut before, &mut after, &mut frames)
            .with_context(|| format!("root {old_root:#x}, now {new_root:#x}"))?;
        rebuilt.pages += pages;
        rebuilt.ranges += ranges;
    }
    frames.went(&report.moved)?;
    if request.is_live() {
        are_tables(&old, &new, &frames)?;
    }
    let live = if request.is_live() { frames_of(&old) } else { HashSet::new() };
    rebuilt.frames = same_contents(guest, flat(&attempt.image)?.as_file(), &frames, &live)?;

    let file = File::options().read(true).write(true).open(&attempt.image)?;
    let segments = contents(&file)?.segments;
    let in_file = |table: Table| offset_of(&segments, table.address, table.bytes);
    let mapped = |table: Table| frames.maps(table.address, table.address + table.bytes);
    rebuilt.poisoned = [for_qemu, poison(&file, &old, &new, in_file, mapped)?];
    attempt.verify(guest, pt)?;
    Ok(Some(rebuilt))
}

/// One space, old and new: pages, and ranges where these can be asked for and rights are the same.
fn space(
    guest: &Guest,
    request: Request,
    before: &mut Mmu,
    after: &mut Mmu,
    frames: &mut Frames,
) -> Result<(usize, usize)> {
    let (old, new) = (before.info_tlb()?, after.info_tlb()?);
    let old = Listing::new(guest.mode, &old, |va| before.translate(va));
    let new = Listing::new(guest.mode, &new, |va| after.translate(va));
    let pages = compare(request.changes(), old, new, frames).context("info tlb")?;
    let ranges = if guest.paging.prints_mem() && !request.changes().writable {
        let same = |new: &str, old: &str| Ok(new == old);
        same_lines(&after.info_mem()?, &before.info_mem()?, same).context("info mem")?
    } else {
        0
    };
    Ok((pages, ranges))
}

/// Each CPU that had a rebuilt root has the new one.
fn registers_moved(pt: &Built, old: &Path, new: &Path, report: &Report) -> Result<()> {
    let roots = |image: &Path| -> Result<Vec<u64>> {
        let info = pt.run(["info".as_ref(), image])?;
        info.lines().filter_map(|line| line.strip_prefix("  root ")).map(hex).collect()
    };
    let (old, new) = (roots(old)?, roots(new)?);
    let moved = |root: &u64| {
        let space = report.spaces.iter().find(|[old, _]| old == root);
        space.map_or(*root, |&[_, new]| new)
    };
    let expected: Vec<u64> = old.iter().map(moved).collect();
    ensure!(new == expected, "the CPUs' roots are {new:x?}, not {expected:x?}");
    Ok(())
}

/// Where pages map an old table, there is a table now.
fn are_tables(old: &BTreeSet<Table>, new: &BTreeSet<Table>, frames: &Frames) -> Result<()> {
    for table in old {
        for Moved { to, bytes, .. } in frames.within(table.address, table.address + table.bytes) {
            let there = new.contains(&Table { address: to, bytes });
            ensure!(there, "the table at {:#x} is mapped at {to:#x} now, where there is none", table.address);
        }
    }
    Ok(())
}

/// The frames that tables lie in.
fn frames_of(tables: &BTreeSet<Table>) -> HashSet<u64> {
    tables.iter().map(|table| table.address & !(FRAME - 1)).collect()
}

/// All mapped memory that the old image holds has its content, but for frames that new tables replace. Returns how many
/// frames that are.
fn same_contents(guest: &Guest, new: &File, frames: &Frames, replaced: &HashSet<u64>) -> Result<usize> {
    let held = contents(&File::open(guest.image.path())?)?.segments;
    let (mut before, mut after) = ([0; FRAME as usize], [0; FRAME as usize]);
    let mut count = 0;
    for segment in held {
        for Moved { from, to, bytes } in frames.within(segment.address, segment.address + segment.held) {
            for at in (0..bytes).step_by(FRAME as usize) {
                let (old_frame, new_frame) = (from + at, to + at);
                if replaced.contains(&old_frame) {
                    continue;
                }
                let part = FRAME.min(bytes - at) as usize;
                guest.raw.as_file().read_exact_at(&mut before[..part], old_frame)?;
                let read = new.read_exact_at(&mut after[..part], new_frame);
                read.with_context(|| format!("the new frame at {new_frame:#x}"))?;
                ensure!(
                    before[..part] == after[..part],
                    "the frame at {old_frame:#x} is not what is at {new_frame:#x} now"
                );
                count += 1;
            }
        }
    }
    Ok(count)
}

/// Overwrites old tables wherever there is no new one, and returns how many, whole or in part. `place` is where in the file a
/// table is, if at all.
fn poison(
    file: &File,
    old: &BTreeSet<Table>,
    new: &BTreeSet<Table>,
    place: impl Fn(Table) -> Option<u64>,
    spared: impl Fn(Table) -> bool,
) -> Result<usize> {
    let is_new = |address: u64| {
        let last = new.range(..Table { address: address + 1, bytes: 0 }).next_back();
        last.is_some_and(|table| address - table.address < table.bytes)
    };
    let mut count = 0;
    for &table in old.iter().filter(|&&table| !spared(table)) {
        let Some(offset) = place(table) else { continue };
        let mut bytes = vec![0; table.bytes as usize];
        file.read_exact_at(&mut bytes, offset)?;
        let mut poisoned = false;
        for (address, granule) in (table.address..).step_by(GRANULE).zip(bytes.chunks_mut(GRANULE)) {
            if !is_new(address) {
                granule.fill(0xff);
                poisoned = true;
            }
        }
        file.write_all_at(&bytes, offset)?;
        count += usize::from(poisoned);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_tables_are_overwritten_but_where_new_ones_are() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(0x4000).expect("a length");
        let table = |address, bytes| Table { address, bytes };
        let old = BTreeSet::from([
            table(0x1000, 0x1000),
            table(0x2000, 0x1000),
            table(0x3000, 32),
            table(0x9000, 32),
        ]);
        let new = BTreeSet::from([table(0x1040, 32), table(0x3000, 0x1000)]);
        let place = |table: Table| (table.address < 0x4000).then_some(table.address);
        assert_eq!(poison(&file, &old, &new, place, |table| table.address == 0x2000).expect("written"), 1);
        let mut bytes = vec![0; 0x4000];
        file.read_exact_at(&mut bytes, 0).expect("bytes");
        for (at, byte) in bytes.into_iter().enumerate() {
            let poisoned = at >> 12 == 1 && !(0x1040..0x1060).contains(&at);
            assert_eq!(byte, if poisoned { 0xff } else { 0 }, "{at:#x}");
        }
    }
}
