//! An image with what is needed to walk it: the format of its tables and the roots.

use std::ops::RangeInclusive;

use anyhow::{Context, bail};
use pt_amd64::{Features, FiveLevel, FourLevel};
use pt_core::Format;
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};
use pt_image::{Image, OpenOptions};
use pt_vcpu::{FoundRoot, RootsLimits, find_roots};
use pt_x86::{Cr4, Efer, Mode};

use crate::arguments::{AllSpacesArguments, ImageArguments, SpaceArguments};
use crate::paging::{Paging, with_format};

/// An opened image, its tables' format, the roots and the range to look at.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) image: Image,
    pub(crate) mode: Mode,
    pub(crate) paging: Paging,
    /// As CR3 holds them.
    pub(crate) roots: Vec<u64>,
    pub(crate) range: RangeInclusive<u64>,
}

/// Opens an image.
pub(crate) fn open(arguments: &ImageArguments) -> anyhow::Result<Image> {
    let limit = arguments.decode_limit.saturating_mul(1 << 20);
    Ok(Image::open(&arguments.image, &OpenOptions::new().decode_limit(limit))?)
}

impl Guest {
    /// Opens the image and decides how it is to be read, from its CPU state and what the command line overrides.
    pub(crate) fn open(arguments: &SpaceArguments) -> anyhow::Result<Self> {
        Self::of_image(open(&arguments.image)?, arguments)
    }

    /// As [`open`](Self::open), for commands that look at all spaces together: where no root is named, all that are found.
    pub(crate) fn open_all(arguments: &AllSpacesArguments) -> anyhow::Result<Self> {
        let mut guest = Self::open(&arguments.spaces)?;
        if arguments.spaces.roots.is_empty() && !arguments.cpu_roots {
            guest.roots = guest.find_roots(&RootsLimits::default())?.iter().map(|found| found.root).collect();
        }
        Ok(guest)
    }

    /// As [`open`](Self::open), of an image that was opened already.
    pub(crate) fn of_image(image: Image, arguments: &SpaceArguments) -> anyhow::Result<Self> {
        let (mode, of_cpus) = mode_and_roots(&image, arguments.image.mode)?;
        let paging = paging(mode, &image, arguments);
        let roots = if arguments.roots.is_empty() {
            distinct(with_format!(paging, |format| of_cpus
                .iter()
                .map(|&cr3| (format.root(cr3), cr3))
                .collect()))
        } else {
            arguments.roots.clone()
        };
        if roots.is_empty() {
            bail!(
                "{}: no CPU state to take a root from; name one with --root (`pt roots` ranks candidates)",
                image.path().display()
            );
        }
        Ok(Self { image, mode, paging, roots, range: arguments.range.clone().unwrap_or(0..=u64::MAX) })
    }

    /// The roots that have the kernel part of those at hand, these included.
    pub(crate) fn find_roots(&self, limits: &RootsLimits) -> anyhow::Result<Vec<FoundRoot>> {
        let found = with_format!(self.paging, |format| {
            find_roots(&format, &self.image, held(&self.image), &self.roots, limits)
        });
        found.with_context(|| self.image.path().display().to_string())
    }
}

/// The memory that an image holds.
pub(crate) fn held(image: &Image) -> impl Iterator<Item = RangeInclusive<u64>> + Clone {
    let ranges = image.ranges().filter(|range| range.held > 0);
    ranges.map(|range| range.start..=range.start + (range.held - 1))
}

/// The paging mode, and CR3 of each CPU that is in it. CPUs in other modes (one that was not started yet has paging
/// off) have no space of that kind.
fn mode_and_roots(image: &Image, asked: Option<Mode>) -> anyhow::Result<(Mode, Vec<u64>)> {
    let cpus: Vec<_> = image.cpus().iter().map(|cpu| (cpu.control_registers().mode(), cpu.cr3)).collect();
    let paged = cpus.iter().map(|&(mode, _)| mode).find(|&mode| mode != Mode::Unpaged);
    let path = image.path().display();
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
fn distinct(roots: Vec<(u64, u64)>) -> Vec<u64> {
    let mut seen = std::collections::HashSet::new();
    roots.into_iter().filter(|&(address, _)| seen.insert(address)).map(|(_, cr3)| cr3).collect()
}

/// The format of tables in that mode.
pub(crate) fn paging(mode: Mode, image: &Image, arguments: &SpaceArguments) -> Paging {
    let cpu = image.cpus().first();
    let registers = cpu.map(pt_image::Cpu::control_registers);
    // An image that does not record EFER leaves NXE open: on, unless told otherwise.
    let recorded = cpu.and_then(|cpu| cpu.efer);
    let nx = !arguments.no_nx && recorded.is_none_or(|efer| efer.contains(Efer::NO_EXECUTE_ENABLE));
    let pse = !arguments.no_pse && registers.is_none_or(|cpu| cpu.cr4.contains(Cr4::PAGE_SIZE_EXTENSIONS));
    let strict_pdpte = arguments.strict || !(arguments.lenient || image.has_qemu_notes());
    let wide = arguments.phys_bits.unwrap_or(pt_x86::MAX_PHYS_BITS);
    match mode {
        Mode::TwoLevel => {
            let phys_bits = arguments.phys_bits.unwrap_or(TwoLevelFeatures::default().phys_bits);
            Paging::TwoLevel(TwoLevel::new(TwoLevelFeatures { phys_bits, pse, ..Default::default() }))
        }
        Mode::Pae => {
            Paging::Pae(Pae::new(PaeFeatures { phys_bits: wide, nx, strict_pdpte, ..Default::default() }))
        }
        Mode::FiveLevel => {
            Paging::FiveLevel(FiveLevel::new(Features { phys_bits: wide, nx, ..Default::default() }))
        }
        // `--mode` does not take `unpaged`, and CPUs without paging are passed over.
        Mode::FourLevel | Mode::Unpaged => {
            Paging::FourLevel(FourLevel::new(Features { phys_bits: wide, nx, ..Default::default() }))
        }
    }
}
