//! `cargo xtask oracle [IMAGE...]`: QEMU's own walk of whole images, beside that of `pt`.
//!
//! For every root of a guest, QEMU is given the guest's memory and registers, and what it prints is compared with what `pt`
//! prints. Where QEMU is known to print wrongly, and only there, the comparison looks away: `oracle/pages.rs` says where.
//!
//! Then `pt rebuild` makes a new image of it, in every way in turn, whose spaces have to be the same in QEMU's eyes but for
//! physical addresses, and these have to be a function of the old ones.

mod extents;
mod frames;
mod guest;
mod known;
mod lockstep;
mod pages;
mod rebuilt;
mod request;
mod tables;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use crate::built::Built;
use crate::qemu::Mmu;
use crate::tools;
pub(crate) use guest::{Guest, corpus};
use pages::{Page, same_lines, same_pages};
use request::{OF_MEMORY, OF_TABLES, Request};

/// Guests for CI: one of each mode.
const SAMPLE: [&str; 4] = ["i686-2level", "i686-pae", "amd64-4level", "amd64-5level"];

/// How many addresses of a space are also asked for one by one.
const ASKED: usize = 16;

/// The campaign: these images, or all guests of the corpus, rebuilt in all ways.
pub(crate) fn run(sh: &Shell, images: &[PathBuf]) -> Result<()> {
    let every = |guest: &Guest| if guest.tables_only { &OF_TABLES[..] } else { &OF_MEMORY };
    if images.is_empty() { check(sh, &corpus(sh)?, every) } else { check(sh, images, every) }
}

/// The part that CI runs: rebuilt in one way.
pub(crate) fn sample(sh: &Shell) -> Result<()> {
    let images = SAMPLE.map(|name| Path::new(guest::CORPUS).join(name).join("tables.elf.xz"));
    check(sh, &images, |_| &OF_TABLES[..1])
}

fn check(sh: &Shell, images: &[PathBuf], requests: impl Fn(&Guest) -> &'static [Request]) -> Result<()> {
    ensure!(!images.is_empty(), "there are no images");
    tools::qemu(sh)?;
    known::check()?;
    let pt = Built::pt(sh)?;
    let mut total = Compared::default();
    for image in images {
        let start = Instant::now();
        let path = sh.current_dir().join(image);
        let guest = Guest::open(sh, &pt, &path).with_context(|| image.display().to_string())?;
        let compared = as_it_is(&guest, &pt).with_context(|| guest.name.clone())?;
        println!("{}: {compared}, {:.1} s", guest.name, start.elapsed().as_secs_f64());
        total.add(&compared);
        for &request in requests(&guest) {
            let start = Instant::now();
            let rebuilt = rebuilt::check(&guest, &pt, request)
                .with_context(|| format!("{}, rebuilt with {request}", guest.name))?;
            match rebuilt {
                Some(rebuilt) => println!("    {request}: {rebuilt}, {:.1} s", start.elapsed().as_secs_f64()),
                None => println!("    {request}: refused, because its tables map themselves"),
            }
        }
    }
    println!("oracle: {} image(s): {total}", images.len());
    Ok(())
}

/// What was found equal.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    roots: usize,
    pages: usize,
    ranges: usize,
    addresses: usize,
}

impl Compared {
    fn add(&mut self, other: &Self) {
        self.roots += other.roots;
        self.pages += other.pages;
        self.ranges += other.ranges;
        self.addresses += other.addresses;
    }
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { roots, pages, ranges, addresses } = self;
        write!(f, "{roots} roots, {pages} pages, {ranges} ranges, {addresses} addresses")
    }
}

/// `pt tlb` and `pt mem` beside `info tlb` and `info mem`, and some addresses beside `gva2gpa`.
fn as_it_is(guest: &Guest, pt: &Built) -> Result<Compared> {
    let mut mmu = Mmu::with_memory(guest.raw.path(), guest.paging)?;
    let mut compared = Compared::default();
    for &root in &guest.roots {
        let of_space = space(guest, pt, &mut mmu, root).with_context(|| format!("root {root:#x}"))?;
        compared.add(&of_space);
    }
    Ok(compared)
}

fn space(guest: &Guest, pt: &Built, mmu: &mut Mmu, root: u64) -> Result<Compared> {
    mmu.set_root(root)?;
    let of_root = |command: &str| {
        let image = guest.image.path().as_os_str();
        pt.run([command.as_ref(), image, "--root".as_ref(), format!("{root:#x}").as_ref()])
    };
    let tlb = of_root("tlb")?;
    let pages = same_pages(guest.mode, &tlb, &mmu.info_tlb()?).context("info tlb")?;
    ensure!(pages > 0, "nothing is mapped");
    let ranges = if guest.paging.prints_mem() {
        same_lines(&of_root("mem")?, &mmu.info_mem()?, |ours, theirs| Ok(ours == theirs))
            .context("info mem")?
    } else {
        0
    };
    let mut addresses = 0;
    for line in tlb.lines().step_by(pages.div_ceil(ASKED)) {
        let page = Page::parse(line)?;
        // Not the first byte: what is added must be kept.
        let (va, pa) = (page.va + 0x123, page.pa + 0x123);
        let theirs = mmu.translate(va)?;
        ensure!(theirs == Some(pa), "{va:#x} is at {pa:#x}, but QEMU says {theirs:x?}");
        addresses += 1;
    }
    Ok(Compared { roots: 1, pages, ranges, addresses })
}
