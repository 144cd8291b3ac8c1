//! Accesses of chance that leave the guest whole.

use pt_conformance::path::{Layout, Path, address, levels};
use pt_conformance::state;
use pt_vcpu::{AccessKind, Mode, Registers};

use crate::judge::{Expected, expected};
use crate::record::Record;

const PKS: u64 = 1 << 24;
const NXE: u64 = 1 << 11;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const XD: u64 = 1 << 63;

/// What of memory pages may show: guest/accesses/record.h.
const PLAYGROUND: std::ops::Range<u64> = 0x40_0000..0x100_0000;

/// One access. What would get out of the playground, or through a table that is none, is not asked for.
pub(crate) fn any(mode: Mode, layout: Layout) -> Record {
    loop {
        let record = attempt(mode, layout);
        let harmless = match expected(mode, layout, &record).0 {
            Expected::Page(pa) => PLAYGROUND.contains(&pa),
            Expected::Exception { .. } => true,
            Expected::NoTable => false,
        };
        if harmless {
            return record;
        }
    }
}

fn one_in(many: u32) -> bool {
    fastrand::u32(..many) == 0
}

fn attempt(mode: Mode, layout: Layout) -> Record {
    let kinds = [AccessKind::Read, AccessKind::Write, AccessKind::Fetch];
    let mut record = Record::new(&registers(mode, layout), kinds[fastrand::usize(..kinds.len())]);
    let path = path(mode, layout);
    for (level, &raw) in (path.leaf..).zip(&path.entries) {
        record.entries[usize::from(level - 1)] = raw;
    }
    record.address = address(mode);
    if mode == Mode::FourLevel || mode == Mode::FiveLevel {
        let unused = if mode == Mode::FourLevel { 47..64 } else { 56..64 };
        record.address ^= if one_in(20) { 1 << fastrand::u32(unused) } else { 0 };
    }
    record
}

/// A state, with more keys than others, and rights of supervisor pages' keys too. Key 0 is the kernel's.
fn registers(mode: Mode, layout: Layout) -> Registers {
    let sparse = || fastrand::u32(..) & fastrand::u32(..);
    let any = state::any(mode, layout.root(mode));
    Registers {
        // In 2-level paging it prevents nothing.
        efer: any.efer | if mode == Mode::TwoLevel && one_in(2) { NXE } else { 0 },
        cr4: any.cr4 | if one_in(2) { PKS } else { 0 },
        pkru: if one_in(2) { any.pkru } else { sparse() },
        pkrs: sparse() & !3,
        ..any
    }
}

/// Rights withheld here and there, or a bit changed anywhere, or many.
fn path(mode: Mode, layout: Layout) -> Path {
    let all: Vec<_> = Path::all(mode, layout).collect();
    let mut path = all[fastrand::usize(..all.len())].clone();
    match fastrand::u32(..3) {
        0 => path = path.spoiled(),
        1 => {
            let (place, bit) = (fastrand::usize(..path.entries.len()), fastrand::u32(..64));
            path = path.with(place, |raw| raw ^ 1 << bit);
        }
        _ => {
            for place in 0..path.entries.len() {
                // PDPTEs of PAE have no rights.
                let level = usize::from(path.leaf) + place;
                if mode == Mode::Pae && level == usize::from(levels(mode)) {
                    continue;
                }
                let withheld = [WRITABLE, USER, XD].into_iter().filter(|_| one_in(5));
                let withheld = withheld.fold(0, |all, right| all | right);
                path = path.with(place, |raw| raw ^ withheld);
            }
        }
    }
    if levels(mode) > 3 && one_in(2) {
        path = path.with(0, |raw| raw ^ fastrand::u64(..16) << 59);
    }
    path
}
