//! The enumerations: single bits, rights, pairs of bits, entries of chance, addresses.

use anyhow::Result;
use pt_conformance::path::{Layout, Path, address, levels, width};
use pt_conformance::state::{any, states};
use pt_vcpu::Mode;

use crate::compare::Comparison;

/// The tables, and pages of 4 KiB and larger.
const LAYOUT: Layout = Layout { tables: 0x1000, pages: [0x8000, 0, 0] };

fn cr3(mode: Mode) -> u64 {
    LAYOUT.root(mode)
}

type Part = fn(&mut Comparison, Mode) -> Result<()>;

/// All of them, by name.
pub(crate) const ALL: [(&str, Part); 5] = [
    ("each bit of each entry, in every state", single_bits),
    ("every combination of rights, in every state", rights),
    ("every pair of bits, in some states", pairs),
    ("entries of chance", entries),
    ("addresses", addresses),
];

/// Puts a path into both memories.
fn store(both: &mut Comparison, path: &Path) -> Result<()> {
    let width = width(path.mode);
    path.stores().try_for_each(|(at, raw)| both.store(at, &raw.to_le_bytes()[..width]))
}

/// In every state: the same tables, as far as chance wants them.
fn in_every_state(both: &mut Comparison, mode: Mode, paths: &[Path]) -> Result<()> {
    for state in states(mode, cr3(mode)) {
        both.enter(&state)?;
        for path in paths {
            if both.wanted() {
                both.ask_all(address(mode), |both| store(both, path))?;
            }
        }
    }
    Ok(())
}

fn single_bits(both: &mut Comparison, mode: Mode) -> Result<()> {
    let mut paths = Vec::new();
    for path in Path::all(mode, LAYOUT) {
        for place in 0..path.entries.len() {
            paths.extend((0..width(mode) * 8).map(|bit| path.with(place, |raw| raw ^ 1 << bit)));
        }
        paths.push(path);
    }
    in_every_state(both, mode, &paths)
}

/// R/W, U/S and XD at every level.
fn rights(both: &mut Comparison, mode: Mode) -> Result<()> {
    const RIGHTS: [u64; 3] = [1 << 1, 1 << 2, 1 << 63];
    // Bit 63 of a 4-byte entry does not exist.
    let rights = if mode == Mode::TwoLevel { &RIGHTS[..2] } else { &RIGHTS };
    let mut paths: Vec<_> = Path::all(mode, LAYOUT).collect();
    for level in 1..=levels(mode) {
        // PDPTEs of PAE have none.
        if mode == Mode::Pae && level == 3 {
            continue;
        }
        for &right in rights {
            let withheld: Vec<_> = paths
                .iter()
                .filter(|path| path.leaf <= level)
                .map(|path| path.with(usize::from(level - path.leaf), |raw| raw ^ right))
                .collect();
            paths.extend(withheld);
        }
    }
    in_every_state(both, mode, &paths)
}

fn pairs(both: &mut Comparison, mode: Mode) -> Result<()> {
    let bits = width(mode) * 8;
    for path in Path::all(mode, LAYOUT) {
        let places = path.entries.len() * bits;
        let flip = |path: &Path, place: usize| path.with(place / bits, |raw| raw ^ 1 << (place % bits));
        for first in 0..places {
            both.enter(&any(mode, cr3(mode)))?;
            let flipped = flip(&path, first);
            for second in first + 1..places {
                if both.wanted() {
                    let flipped = flip(&flipped, second);
                    both.ask_all(address(mode), |both| store(both, &flipped))?;
                }
            }
        }
    }
    Ok(())
}

/// At every level up to four bits changed, wherever they are.
fn entries(both: &mut Comparison, mode: Mode) -> Result<()> {
    const STATES: u32 = 10_000;
    const EACH: u32 = 100;
    let all: Vec<_> = Path::all(mode, LAYOUT).collect();
    for _ in 0..STATES {
        both.enter(&any(mode, cr3(mode)))?;
        for _ in 0..EACH {
            if both.wanted() {
                let path = all[fastrand::usize(..all.len())].spoiled();
                both.ask_all(address(mode), |both| store(both, &path))?;
            }
        }
    }
    Ok(())
}

/// Upper bits of addresses, where every slot of the root leads on.
fn addresses(both: &mut Comparison, mode: Mode) -> Result<()> {
    let (first, count) = match mode {
        Mode::FourLevel => (46, 1_u64 << 18),
        Mode::FiveLevel => (55, 1 << 9),
        // Outside long mode there are 32 bits.
        _ => return Ok(()),
    };
    for ring in [0, 3] {
        // Without SMEP, SMAP and keys, everything that is canonical is permitted.
        let state = states(mode, cr3(mode)).into_iter().find(|state| state.cpl == ring);
        both.enter(&state.expect("both rings are tried"))?;
        let path = Path::to(mode, 1, LAYOUT);
        store(both, &path)?;
        let root = *path.entries.last().expect("a path has a root");
        let slots: Vec<u8> = (0..512).flat_map(|_| root.to_le_bytes()).collect();
        both.store(cr3(mode), &slots)?;
        for upper in 0..count {
            // The few that are canonical, and those next to them, whatever chance says.
            if upper < 4 || upper >= count - 4 || both.wanted() {
                let low = address(mode) & ((1 << first) - 1);
                both.ask_all(upper << first | low, |_| Ok(()))?;
            }
        }
        both.store(cr3(mode), &[0; 4096])?;
    }
    Ok(())
}
