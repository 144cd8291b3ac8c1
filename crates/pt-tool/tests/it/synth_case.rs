//! Hand-made guests: one path of tables, and what a case's name changes in it.
//!
//! The names are those of `synth-cases.txt`; whatever a name says is applied here, and a name that says something
//! unknown fails the test.

use std::io::{Seek, SeekFrom, Write};

/// P, R/W and U/S.
const OPEN: u64 = 0b111;
const LARGE: u64 = 1 << 7;
/// Where the tables stand, root first. Two roots are known, from the cases that map them.
fn tables(mode: &str) -> [u64; 5] {
    let root = if mode == "5level" { 0x1f_b000 } else { 0xd_5000 };
    std::array::from_fn(|depth| root + 0x1000 * depth as u64)
}

/// How much memory the guest has: the 4 MiB at which large pages start, and a page more.
pub(crate) const MEMORY: u64 = 0x0040_1000;

/// What the CPU was set to.
#[expect(clippy::struct_excessive_bools, reason = "control bits")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) nxe: bool,
    pub(crate) pse: bool,
    pub(crate) gib_pages: bool,
    pub(crate) write_protect: bool,
    pub(crate) smep: bool,
    pub(crate) smap: bool,
}

/// A case, ready to be read.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) machine: Machine,
    pub(crate) cr3: u64,
    pub(crate) va: u64,
    /// Entries that are not zero, by physical address.
    pub(crate) entries: Vec<(u64, u64)>,
    width: usize,
}

/// One mode's base path: the entry names from the root down, their indices, the query, and where large pages are.
struct Base {
    names: &'static [&'static str],
    indices: [usize; 5],
    shifts: &'static [u32],
    width: usize,
}

fn base(mode: &str) -> Base {
    match mode {
        "4level" => Base {
            names: &["pml4e", "pdpte", "pde", "pte"],
            indices: [1, 2, 3, 4, 0],
            shifts: &[39, 30, 21, 12],
            width: 8,
        },
        "5level" => Base {
            names: &["pml5e", "pml4e", "pdpte", "pde", "pte"],
            indices: [1, 1, 2, 3, 4],
            shifts: &[48, 39, 30, 21, 12],
            width: 8,
        },
        "pae" => Base {
            names: &["pdpte", "pde", "pte"],
            indices: [1, 2, 3, 0, 0],
            shifts: &[30, 21, 12],
            width: 8,
        },
        "2level" => Base { names: &["pde", "pte"], indices: [5, 6, 0, 0, 0], shifts: &[22, 12], width: 4 },
        other => panic!("mode {other}"),
    }
}

/// The bits that a word such as `bit 51 (>MAXPHYADDR)`, `rsvd13` or `bits 52-58,9-11` names.
fn named_bits(words: &str) -> u64 {
    let list: String =
        words.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| !c.is_whitespace()).collect();
    let bit =
        |part: &str| part.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().expect("a bit");
    let parts = list.split(',').map(|part| part.split_once('-').unwrap_or((part, part)));
    let parts = parts.map(|(low, high)| bit(low)..=bit(high));
    parts.flatten().fold(0, |bits, bit| bits | 1 << bit)
}

impl Case {
    /// Builds the case that `name` describes in `mode`.
    pub(crate) fn new(mode: &str, name: &str) -> Self {
        let Base { names, mut indices, shifts, width } = base(mode);
        let mut machine =
            Machine { nxe: true, pse: true, gib_pages: true, write_protect: true, smep: false, smap: false };
        let tables = tables(mode);
        let mut cr3 = tables[0];
        // The entries of the path, root first; the last one maps 4 MiB.
        let links = names.len() - 1;
        let mut path: Vec<u64> = (0..links).map(|depth| tables[depth + 1] | OPEN).collect();
        path.push(0x40_0000 | OPEN);
        if mode == "pae" {
            path[0] = tables[1] | 1;
        }
        let mut extra = Vec::new();
        let mut offset = 0x123;

        let (first, rest) = name.split_once(' ').unwrap_or((name, ""));
        let first = first.trim_end_matches(',');
        let entry = names.iter().position(|&entry| entry == first);
        let large = |path: &mut Vec<u64>, depth: usize, page: u64| {
            path.truncate(depth + 1);
            path[depth] = page | OPEN | LARGE;
        };
        match (first, entry) {
            (_, Some(at)) => change(&mut path[at], rest, &mut machine),
            ("2M", _) => large(&mut path, links - 1, 0x60_0000),
            ("1G", _) => large(&mut path, links - 2, 0),
            ("4M", _) => {
                large(&mut path, 0, 0x40_0000);
                offset = 0x5123;
            }
            _ => {}
        }
        let last = path.len() - 1;
        let bits = || named_bits(rest);
        match name {
            "base" | "2M" | "1G" | "4M" | "EFER.NXE irrelevant" => {}
            _ if entry.is_some() => {}
            "2M, pdpte R/W=0" => path[last - 1] &= !0b10,
            "2M CR4.PSE=0" => machine.pse = false,
            "1G on CPU without pdpe1gb" => machine.gib_pages = false,
            "4M with CR4.PSE=0 (PS ignored: PT at leaf)" => {
                machine.pse = false;
                extra.push((0x40_0000 + 5 * 4, 0x41_4000 | OPEN));
                offset = 0x5123;
            }
            "2M PAT12" | "1G PAT12" | "4M PAT12" => path[last] |= 1 << 12,
            "4M PSE36 bit13 -> 4 GiB" => path[last] |= 1 << 13,
            "4M PSE36 bit20" => path[last] |= 1 << 20,
            _ if rest.starts_with("rsvd") => path[last] |= bits(),
            "NX=1 with EFER.NXE=0" => {
                path[last] |= 1 << 63;
                machine.nxe = false;
            }
            "U page, CR4.SMEP" | "U page SMEP" | "U SMEP" => machine.smep = true,
            "U page, CR4.SMAP" | "U page SMAP" | "U SMAP" => machine.smap = true,
            // An explicit access with EFLAGS.AC set is let through: as without SMAP.
            "U page, CR4.SMAP AC=1" => {}
            "SMAP, pde U/S=0" => {
                machine.smap = true;
                path[last - 1] &= !0b100;
            }
            "R/W=0 with CR0.WP=0" | "R/W=0 WP=0" => {
                machine.write_protect = false;
                path[last] &= !0b10;
            }
            "PKEY 1 in pte, CR4.PKE, PKRU=0" => path[last] |= 1 << 59,
            "noncanonical alias of base" => offset |= 1 << 62,
            "upper half" => indices[0] = 256,
            "CR3 with PCID/low bits 0x18|7" | "CR3 low bits 0x1f" => cr3 |= 0x1f,
            "bits above RAM: pte->0x12345000000" => path[last] = 0x12_3450_0000 | OPEN,
            "pte->5 GiB" => path[last] = 0x1_4000_0000 | OPEN,
            "self-map slot 511: root page" => extra.push((tables[0] + 511 * 8, tables[0] | OPEN)),
            other => panic!("unknown case {other:?}"),
        }

        let mut va = path
            .iter()
            .enumerate()
            .fold(offset, |va, (depth, _)| va | (indices[depth] as u64) << shifts[depth]);
        if name == "upper half" {
            va |= u64::MAX << (shifts[0] + 8);
        }
        if name.starts_with("self-map") {
            va = 0xffff_ffff_ffff_f123;
        }
        let entries = path.iter().enumerate();
        let entries = entries.map(|(depth, &raw)| (tables[depth] + (indices[depth] * width) as u64, raw));
        let entries = entries.chain(extra).collect();
        Self { machine, cr3, va, entries, width }
    }

    /// The guest's memory as a sparse file.
    pub(crate) fn write(&self, file: &mut std::fs::File) -> std::io::Result<()> {
        file.set_len(0)?;
        file.set_len(MEMORY)?;
        for &(address, raw) in &self.entries {
            file.seek(SeekFrom::Start(address))?;
            file.write_all(&raw.to_le_bytes()[..self.width])?;
        }
        Ok(())
    }
}

/// What the words after an entry's name do to it.
fn change(raw: &mut u64, words: &str, machine: &mut Machine) {
    match words {
        "P=0" => *raw &= !1,
        "R/W=0" => *raw &= !0b10,
        "U/S=0" => *raw &= !0b100,
        "NX=1" => *raw |= 1 << 63,
        "NX NXE=0" | "NX=1 with EFER.NXE=0" => {
            *raw |= 1 << 63;
            machine.nxe = false;
        }
        "PS=1" | "bit7 (PAT)" | "bit7 PAT" => *raw |= LARGE,
        "PS=1,CR4.PSE=0 with real PT" => {
            *raw |= LARGE;
            machine.pse = false;
        }
        _ if words.starts_with("bit ") || words.starts_with("ignored bits ") => *raw |= named_bits(words),
        other => panic!("unknown change {other:?}"),
    }
}
