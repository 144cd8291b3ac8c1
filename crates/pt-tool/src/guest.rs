//! An image with what is needed to walk it: the format of its tables and the roots.

use std::ops::RangeInclusive;

use anyhow::{Context, bail};
use pt_core::{Format, Geometry, Memory};
use pt_image::Image;
use pt_vcpu::{FoundRoot, RootsError, RootsLimits, find_roots};
use pt_x86::{CpuState, Cr0, Cr4, Efer, Mode, Rflags};

use crate::arguments::{AllSpacesArguments, SpaceArguments};
use crate::paging::{Paging, Reading, with_format};
use crate::progress::Progress;
use crate::show::Quoted;

/// An opened image, its tables' format, the roots and the range to look at.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) image: Image,
    pub(crate) reading: Reading,
    pub(crate) paging: Paging,
    /// What accesses are judged by.
    pub(crate) cpu: CpuState,
    /// As CR3 holds them.
    pub(crate) roots: Vec<u64>,
    pub(crate) range: RangeInclusive<u64>,
}

impl Guest {
    /// Opens the image and decides how it is to be read, from its CPU state and what the command line overrides.
    pub(crate) fn open(arguments: &SpaceArguments) -> anyhow::Result<Self> {
        Self::of_image(arguments.image.source.open()?, arguments)
    }

    /// As [`open`](Self::open), for commands that look at all spaces together: where no root is named, all that are found.
    pub(crate) fn open_all(arguments: &AllSpacesArguments) -> anyhow::Result<Self> {
        let mut guest = Self::open(&arguments.spaces)?;
        if arguments.spaces.roots.is_empty() && !arguments.cpu_roots {
            guest.roots = guest.find_roots()?.iter().map(|found| found.root).collect();
        }
        Ok(guest)
    }

    /// As [`open`](Self::open), of an image that was opened already.
    pub(crate) fn of_image(image: Image, arguments: &SpaceArguments) -> anyhow::Result<Self> {
        let (mode, of_cpus) = mode_and_roots(&image, arguments.image.mode)?;
        let reading = reading(mode, &image, arguments);
        let paging = reading.paging();
        let roots =
            if arguments.roots.is_empty() { distinct(of_cpus, paging) } else { arguments.roots.clone() };
        if roots.is_empty() {
            bail!(
                "{}: no CPU state to take a root from; name one with --root (`pt roots` ranks candidates)",
                Quoted(image.path())
            );
        }
        let cpu = state(&image, reading);
        let range = arguments.range.clone().unwrap_or(0..=u64::MAX);
        Ok(Self { image, reading, paging, cpu, roots, range })
    }

    /// An error if a root cannot be read: for commands that would have nothing to say about its space.
    pub(crate) fn with_readable_roots(self) -> anyhow::Result<Self> {
        with_format!(self.paging, |format| {
            let mut bytes = vec![0; root_bytes(&format)];
            for &root in &self.roots {
                let read = self.image.read(format.root(root), &mut bytes);
                read.with_context(|| format!("{}: root {root:#x}", Quoted(self.image.path())))?;
            }
        });
        Ok(self)
    }

    /// The roots that have the kernel part of those at hand, these included.
    fn find_roots(&self) -> anyhow::Result<Vec<FoundRoot>> {
        self.search(&RootsLimits::default())?.with_context(|| Quoted(self.image.path()).to_string())
    }

    /// The same; at a limit, those that were found until then.
    pub(crate) fn search(&self, limits: &RootsLimits) -> anyhow::Result<Result<Vec<FoundRoot>, RootsError>> {
        let searched = self.image.content_ranges();
        let progress = Progress::over(&searched);
        Ok(with_format!(self.paging, |format| {
            find_roots(&format, &self.image, progress.of(searched), &self.roots, limits)
        }))
    }
}

/// How many bytes a root table has.
fn root_bytes<F: Format>(_: &F) -> usize {
    F::table_bytes(F::ROOT)
}

/// The paging mode, and CR3 of each CPU that is in it. CPUs in other modes (one that was not started yet has paging
/// off) have no space of that kind.
fn mode_and_roots(image: &Image, asked: Option<Mode>) -> anyhow::Result<(Mode, Vec<u64>)> {
    let cpus: Vec<_> = image.cpus().iter().map(|cpu| (cpu.control_registers().mode(), cpu.cr3)).collect();
    let paged = cpus.iter().map(|&(mode, _)| mode).find(|&mode| mode != Mode::Unpaged);
    let path = Quoted(image.path());
    let mode = asked.or(paged).with_context(|| {
        let why = if cpus.is_empty() {
            "no CPU state to tell the paging mode from"
        } else {
            "no CPU had paging on"
        };
        format!("{path}: {why}; name it with --mode")
    })?;
    let roots =
        cpus.iter().filter(|(of_cpu, _)| asked.is_some() || *of_cpu == mode).map(|&(_, cr3)| cr3).collect();
    Ok((mode, roots))
}

/// The registers whose table addresses no earlier one has.
fn distinct(mut roots: Vec<u64>, paging: Paging) -> Vec<u64> {
    let mut seen = std::collections::HashSet::new();
    roots.retain(|&cr3| seen.insert(paging.root(cr3)));
    roots
}

/// How tables in that mode are read: what the CPU's registers leave open, and what the command line overrides.
pub(crate) fn reading(mode: Mode, image: &Image, arguments: &SpaceArguments) -> Reading {
    let cpu = image.cpus().first();
    // Without CPU state both are on; so is NXE in an image that does not record EFER.
    let pse = !arguments.no_pse && cpu.is_none_or(pages_of_4_mib);
    let nx = cpu.and_then(|cpu| cpu.efer).is_none_or(|efer| efer.contains(Efer::NO_EXECUTE_ENABLE));
    let nx = !arguments.no_nx && nx;
    let strict_pdpte = arguments.strict || !(arguments.lenient || image.has_qemu_notes());
    let phys_bits = arguments.phys_bits.unwrap_or(pt_x86::MAX_PHYS_BITS);
    Reading { mode, phys_bits, nx, pse, strict_pdpte }
}

/// What accesses are judged by: the first CPU's state, read that way. Without CPU state the supervisor obeys R/W too.
fn state(image: &Image, reading: Reading) -> CpuState {
    let cpu = image.cpus().first();
    let mut control = cpu.map(pt_image::Cpu::control_registers).unwrap_or_default().in_mode(reading.mode);
    control.efer.set(Efer::NO_EXECUTE_ENABLE, reading.nx);
    control.cr0.set(Cr0::WRITE_PROTECT, cpu.is_none() || control.cr0.contains(Cr0::WRITE_PROTECT));
    let rflags = Rflags::from_bits_retain(cpu.map_or(0, |cpu| cpu.rflags));
    CpuState { rflags, ..control.into() }
}

fn pages_of_4_mib(cpu: &pt_image::Cpu) -> bool {
    cpu.control_registers().cr4.contains(Cr4::PAGE_SIZE_EXTENSIONS)
}
