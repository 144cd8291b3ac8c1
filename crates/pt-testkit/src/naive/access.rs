//! One access, as the manual's lists have it: case by case, each access type with the words that it is permitted by.

use super::{Frames, Link, Meaning, Missing, Mode, Physical, Rights, decode, restrict};

/// What of a processor's state decides about accesses. Paging is on, in the mode that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "bits of control registers")]
#[allow(missing_docs, reason = "bits and registers by their names")]
pub struct Cpu {
    pub wp: bool,
    pub smep: bool,
    pub smap: bool,
    pub pke: bool,
    pub pks: bool,
    pub ac: bool,
    pub pkru: u32,
    pub pkrs: u32,
    /// Whose PDPTEs are read on the way.
    pub amd: bool,
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Does {
    Read,
    Write,
    Fetch,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum By {
    User,
    Supervisor,
    ImplicitSupervisor,
}

/// One entry on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The level of its table.
    pub level: u8,
    /// Its physical address.
    pub entry: u64,
    /// The raw entry.
    pub raw: u64,
}

/// Where an access gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To its page.
    Page {
        /// The physical address of that very byte.
        pa: u64,
        /// The leaf.
        leaf: Used,
        /// The rights of the path.
        rights: Rights,
        /// PAT, PCD, PWT.
        memory_type: u8,
        /// The protection key.
        key: u8,
    },
    /// #PF.
    PageFault {
        /// The error code.
        code: u32,
        /// The entry that caused it.
        by: Used,
    },
    /// #GP(0) for the address.
    NonCanonical,
    /// #GP(0) for a PDPTE, when CR3 was loaded.
    Pdpte {
        /// It.
        by: Used,
        /// Its reserved bits.
        reserved: u64,
    },
    /// A table at `level` is not in memory.
    NoTable {
        /// Its level.
        level: u8,
        /// Its address.
        table: u64,
        /// What points to it.
        link: Link,
        /// Why it is not there.
        why: Missing,
    },
}

/// What an access to `va` gets to, under the root in `cr3`.
pub fn access(
    mode: &Mode,
    cpu: &Cpu,
    memory: &impl Physical,
    cr3: u64,
    va: u64,
    does: Does,
    by: By,
) -> Outcome {
    let Some(place) = mode.place(va) else { return Outcome::NonCanonical };
    let mut path = Vec::new();
    let mut table = mode.root(cr3);
    let mut link = Link { raw: cr3, entry: None };
    let mut rights = Rights::ALL;
    for level in (1..=mode.levels()).rev() {
        let entry = table + place / mode.entry_span(level) % mode.entries(level) * mode.entry_bytes();
        let raw = match memory.table(entry, 1, mode.entry_bytes()) {
            Ok(entries) => entries[0],
            Err(why) => return Outcome::NoTable { level, table, link, why },
        };
        let used = Used { level, entry, raw };
        path.push(used);
        rights = restrict(mode, rights, level, raw);
        match decode(mode, level, raw) {
            Meaning::Absent => {
                return Outcome::PageFault { code: about_access(mode, cpu, does, by), by: used };
            }
            Meaning::Malformed(reserved) if matches!(mode, Mode::Pae { .. }) && level == 3 && !cpu.amd => {
                return Outcome::Pdpte { by: used, reserved };
            }
            Meaning::Malformed(_) => {
                return Outcome::PageFault { code: 1 + 8 + about_access(mode, cpu, does, by), by: used };
            }
            Meaning::Table(next) => {
                table = next;
                link = Link { raw, entry: Some(entry) };
            }
            Meaning::Leaf(page) => {
                let key = key(mode, raw);
                let barred = bars(mode, cpu, rights, key, does, by);
                let ill = if barred { 32 } else { 0 };
                if let Some(right) = missing(cpu, rights, does, by) {
                    let first = path.iter().find(|used| lacks(mode, used, right)).unwrap_or(&used);
                    return Outcome::PageFault {
                        code: 1 + ill + about_access(mode, cpu, does, by),
                        by: *first,
                    };
                }
                if barred {
                    return Outcome::PageFault {
                        code: 1 + ill + about_access(mode, cpu, does, by),
                        by: used,
                    };
                }
                let pa = page + place % mode.entry_span(level);
                return Outcome::Page { pa, leaf: used, rights, memory_type: memory_type(level, raw), key };
            }
        }
    }
    unreachable!("level 1 has no links")
}

/// As [`access`], and then sets the accessed and dirty bits, from the root down. An entry that stands in two places of the
/// path has changed when its second turn comes; then all of it is done again. Gives the outcome of the last time.
pub fn access_and_mark(
    mode: &Mode,
    cpu: &Cpu,
    memory: &mut Frames,
    cr3: u64,
    va: u64,
    does: Does,
    by: By,
) -> Outcome {
    'again: loop {
        let outcome = access(mode, cpu, memory, cr3, va, does, by);
        let Outcome::Page { leaf, .. } = outcome else { return outcome };
        for Used { level, entry, raw } in path_to(mode, memory, cr3, va, leaf.level) {
            let mut bits = 0;
            if !(matches!(mode, Mode::Pae { .. }) && level == 3) {
                bits += 1 << 5;
            }
            if level == leaf.level && does == Does::Write {
                bits += 1 << 6;
            }
            if raw | bits != raw {
                if memory.table(entry, 1, mode.entry_bytes()) != Ok(vec![raw]) {
                    continue 'again;
                }
                assert!(memory.write(entry, mode.entry_bytes(), raw | bits), "it was read");
            }
        }
        return outcome;
    }
}

/// The entries that lead to a page at that level.
fn path_to(mode: &Mode, memory: &Frames, cr3: u64, va: u64, leaf: u8) -> Vec<Used> {
    let place = mode.place(va).expect("it has a page");
    let mut table = mode.root(cr3);
    let mut path = Vec::new();
    for level in (leaf..=mode.levels()).rev() {
        let entry = table + place / mode.entry_span(level) % mode.entries(level) * mode.entry_bytes();
        let raw = memory.table(entry, 1, mode.entry_bytes()).expect("it was read")[0];
        path.push(Used { level, entry, raw });
        if let Meaning::Table(next) = decode(mode, level, raw) {
            table = next;
        }
    }
    path
}

/// The bits of an error code that are about the access: W/R, U/S and I/D.
fn about_access(mode: &Mode, cpu: &Cpu, does: Does, by: By) -> u32 {
    let no_execute = match *mode {
        Mode::TwoLevel { .. } | Mode::Toy => false,
        Mode::Pae { nx, .. } => nx,
        Mode::FourLevel(long) | Mode::FiveLevel(long) => long.nx,
    };
    let mut code = 0;
    if does == Does::Write {
        code += 2;
    }
    if by == By::User {
        code += 4;
    }
    if does == Does::Fetch && (cpu.smep || no_execute) {
        code += 16;
    }
    code
}

/// What a path has to be other than it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Right {
    User,
    NotUser,
    Write,
    Execute,
}

/// What the path has to be other than it is for the access to be permitted, if anything: the lists of "Determination of
/// Access Rights", without protection keys.
fn missing(cpu: &Cpu, path: Rights, does: Does, by: By) -> Option<Right> {
    match (by, does) {
        (By::User, _) if !path.user => Some(Right::User),
        (By::User, Does::Read) => None,
        (By::User, Does::Write) => (!path.write).then_some(Right::Write),
        (_, Does::Fetch) => {
            if path.user && by != By::User && cpu.smep {
                Some(Right::NotUser)
            } else {
                (!path.execute).then_some(Right::Execute)
            }
        }
        (By::Supervisor | By::ImplicitSupervisor, Does::Read | Does::Write) => {
            let explicit_with_ac = by == By::Supervisor && cpu.ac;
            if path.user && cpu.smap && !explicit_with_ac {
                Some(Right::NotUser)
            } else if does == Does::Write && cpu.wp && !path.write {
                Some(Right::Write)
            } else {
                None
            }
        }
    }
}

/// Whether this entry by itself is why the path is as it is. That a path is the user's, no single entry is.
fn lacks(mode: &Mode, used: &Used, right: Right) -> bool {
    let alone = restrict(mode, Rights::ALL, used.level, used.raw);
    match right {
        Right::User => !alone.user,
        Right::Write => !alone.write,
        Right::Execute => !alone.execute,
        Right::NotUser => false,
    }
}

/// Whether the page's key bars the access: "Protection Keys".
fn bars(mode: &Mode, cpu: &Cpu, path: Rights, key: u8, does: Does, by: By) -> bool {
    if !matches!(mode, Mode::FourLevel(_) | Mode::FiveLevel(_)) || does == Does::Fetch {
        return false;
    }
    let register = match (path.user, cpu.pke, cpu.pks) {
        (true, true, _) => cpu.pkru,
        (false, _, true) => cpu.pkrs,
        _ => return false,
    };
    let access_disabled = register / 4_u32.pow(u32::from(key)) % 2 == 1;
    let write_disabled = register / 4_u32.pow(u32::from(key)) / 2 % 2 == 1;
    access_disabled || write_disabled && does == Does::Write && (by == By::User || cpu.wp)
}

fn key(mode: &Mode, raw: u64) -> u8 {
    match mode {
        Mode::FourLevel(_) | Mode::FiveLevel(_) => (raw / (1 << 59) % 16) as u8,
        _ => 0,
    }
}

fn memory_type(level: u8, raw: u64) -> u8 {
    let bit = |position: u32| (raw >> position) as u8 % 2;
    4 * bit(if level == 1 { 7 } else { 12 }) + 2 * bit(4) + bit(3)
}
