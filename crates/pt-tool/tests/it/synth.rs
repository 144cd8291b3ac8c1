//! The hand-made cases, each against the manual and against four witnesses.
//!
//! The witnesses have known limits, and only those are allowed for:
//! - `gva2gpa`, `info tlb` and `info mem` ignore reserved bits, so that they say something where the hardware faults;
//! - Unicorn has a MAXPHYADDR of 40 (all cases are read with that), always has 1 GiB pages, and does not check the
//!   reserved bits of PAE PDPTEs.

use std::fs;

use pt_amd64::{Features, FiveLevel, FourLevel};
use pt_core::{Format, Permissions, TranslateError, Translation, translate};
use pt_i686::{Pae, PaeFeatures, TwoLevel, TwoLevelFeatures};

use crate::synth_case::{Case, MEMORY};
use crate::{corpus, printed};

/// One line of `synth-cases.txt`.
struct Line {
    mode: String,
    name: String,
    gva2gpa: String,
    tlb: String,
    mem: String,
    unicorn: String,
}

fn lines() -> Vec<Line> {
    let text = fs::read_to_string(corpus().join("synth-cases.txt")).expect("synth-cases.txt");
    let mut mode = String::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("=== ") {
            heading.split_whitespace().next().expect("a mode").clone_into(&mut mode);
        } else if line.contains(" | ") {
            let columns: Vec<_> = line.split(" | ").map(str::trim).map(str::to_owned).collect();
            let [name, gva2gpa, tlb, mem, unicorn, ..] = &columns[..] else { panic!("{line:?}") };
            let [name, gva2gpa, tlb, mem, unicorn] = [name, gva2gpa, tlb, mem, unicorn].map(Clone::clone);
            lines.push(Line { mode: mode.clone(), name, gva2gpa, tlb, mem, unicorn });
        }
    }
    lines
}

/// What the engine says of a case: the physical address, and the rights in ring 0 and ring 3.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Mapped(u64, [String; 2]),
    NotPresent,
    Reserved,
    Outside,
    NonCanonical,
}

/// As the CPU judges an access: the rights of the path, and what CR0.WP, SMEP and SMAP do to the supervisor's (SDM
/// "Determination of Access Rights").
fn rights<R: Permissions>(case: &Case, rights: R) -> [String; 2] {
    let machine = case.machine;
    let (user, writable, executable) = (rights.user(), rights.writable(), rights.executable());
    let kept = |has, letter| if has { letter } else { '-' };
    let data = !(machine.smap && user);
    let fetch = executable && !(machine.smep && user);
    let supervisor =
        [kept(data, 'r'), kept(data && (writable || !machine.write_protect), 'w'), kept(fetch, 'x')];
    [
        String::from_iter(supervisor),
        String::from_iter([kept(user, 'r'), kept(user && writable, 'w'), kept(user && executable, 'x')]),
    ]
}

fn read<F: Format>(format: &F, case: &Case) -> Reading {
    let mut memory = vec![0; MEMORY as usize];
    for &(address, raw) in &case.entries {
        let at = address as usize;
        memory[at..at + F::ENTRY_BYTES].copy_from_slice(&raw.to_le_bytes()[..F::ENTRY_BYTES]);
    }
    match translate(format, &memory, case.cr3, case.va) {
        Ok(Translation { pa, rights: path, .. }) => Reading::Mapped(pa, rights(case, path)),
        Err(TranslateError::NonCanonical { .. }) => Reading::NonCanonical,
        Err(TranslateError::NotPresent { .. }) => Reading::NotPresent,
        Err(TranslateError::Fault(pt_core::Cause::Malformed { .. })) => Reading::Reserved,
        Err(TranslateError::Fault(_)) => Reading::Outside,
        Err(other) => panic!("{other}"),
    }
}

fn reading(mode: &str, case: &Case, strict_pdpte: bool) -> Reading {
    let machine = case.machine;
    let features =
        Features { phys_bits: 40, nx: machine.nxe, gib_pages: machine.gib_pages, ..Features::default() };
    match mode {
        "4level" => read(&FourLevel::new(features), case),
        "5level" => read(&FiveLevel::new(features), case),
        "pae" => {
            let features =
                PaeFeatures { phys_bits: 40, nx: machine.nxe, strict_pdpte, ..PaeFeatures::default() };
            read(&Pae::new(features), case)
        }
        _ => {
            let features =
                TwoLevelFeatures { phys_bits: 40, pse: machine.pse, ..TwoLevelFeatures::default() };
            read(&TwoLevel::new(features), case)
        }
    }
}

/// The cases in which Unicorn is not the manual, and what the manual says (all reserved bits).
fn beyond_unicorn(line: &Line, strict_pdpte: bool) -> bool {
    let pdpte_bit = (line.mode == "pae").then(|| line.name.strip_prefix("pdpte bit ")).flatten();
    let reserved = match pdpte_bit.map(|bit| bit.parse().expect("a bit")) {
        Some(1 | 2 | 5 | 6 | 7 | 8) => strict_pdpte,
        Some(52 | 63) => true,
        _ => false,
    };
    reserved || line.name == "1G on CPU without pdpe1gb"
}

#[test]
fn agree_with_the_manual_and_with_unicorn() {
    let lines = lines();
    assert_eq!(lines.len(), 172);
    for line in &lines {
        let case = Case::new(&line.mode, &line.name);
        for strict_pdpte in [true, false] {
            let what = format!("{}: {} (strict {strict_pdpte})", line.mode, line.name);
            let ours = reading(&line.mode, &case, strict_pdpte);
            if beyond_unicorn(line, strict_pdpte) {
                assert_eq!(ours, Reading::Reserved, "{what}");
                continue;
            }
            let mut words = line.unicorn.split_whitespace();
            let rights = [words.next(), words.next()].map(|rights| rights.expect("rights").to_owned());
            let pa = words.next().expect("an address");
            match pa.strip_prefix("0x").map(|pa| u64::from_str_radix(pa, 16).expect("an address")) {
                Some(pa) => assert_eq!(ours, Reading::Mapped(pa, rights), "{what}"),
                None => assert!(!matches!(ours, Reading::Mapped(..)), "{what}: {ours:?}"),
            }
        }
    }
}

/// Faults are of the kind that the case is about, not just any.
#[test]
fn faults_are_of_the_right_kind() {
    for line in lines() {
        let case = Case::new(&line.mode, &line.name);
        let ours = reading(&line.mode, &case, true);
        let what = format!("{}: {}: {ours:?}", line.mode, line.name);
        if line.name.ends_with(" P=0") {
            assert_eq!(ours, Reading::NotPresent, "{what}");
        } else if line.name.contains("beyond RAM") && !line.name.starts_with("pte") {
            assert_eq!(ours, Reading::Outside, "{what}");
        } else if line.name.contains("noncanonical") {
            assert_eq!(ours, Reading::NonCanonical, "{what}");
        } else if !matches!(ours, Reading::Mapped(..)) {
            assert_eq!(ours, Reading::Reserved, "{what}");
        }
    }
}

#[test]
fn agree_with_gva2gpa() {
    let mut compared = 0;
    for line in lines() {
        let case = Case::new(&line.mode, &line.name);
        let what = format!("{}: {}", line.mode, line.name);
        match reading(&line.mode, &case, false) {
            Reading::Mapped(pa, _) => assert_eq!(line.gva2gpa, format!("{pa:#x}"), "{what}"),
            // It ignores reserved bits.
            Reading::Reserved => continue,
            _ => assert_eq!(line.gva2gpa, "unmapped", "{what}"),
        }
        compared += 1;
    }
    assert!(compared > 110, "only {compared}");
}

/// The text of an `info tlb` line without what QEMU prints wrongly: in PAE its mask leaves bits 63:52 in the address,
/// and it ignores PSE-36, for which `ours` stands in (`gva2gpa` knows it, and was compared).
fn mended_tlb(line: &Line, ours: u64) -> String {
    let mut text = line.tlb.clone();
    if text != "none" {
        let theirs = u64::from_str_radix(&text[18..34], 16).expect("an address");
        let pa = match line.mode.as_str() {
            "pae" => theirs & 0x000f_ffff_ffff_ffff,
            "2level" if line.name.contains("PSE36") => ours,
            _ => theirs,
        };
        text.replace_range(18..34, &format!("{pa:016x}"));
    }
    text
}

#[test]
fn tlb_and_mem_agree_with_the_monitor() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("case.raw");
    let mut compared = 0;
    for line in lines() {
        let case = Case::new(&line.mode, &line.name);
        let what = format!("{}: {}", line.mode, line.name);
        let ours = reading(&line.mode, &case, false);
        // The monitor ignores reserved bits.
        if ours == Reading::Reserved {
            continue;
        }
        case.write(&mut fs::File::create(&path).expect("a file")).expect("a guest");
        let cr3 = format!("{:#x}", case.cr3);
        let image = path.to_str().expect("text");
        let mut options = vec![image, "--mode", &line.mode, "--root", &cr3, "--phys-bits", "40", "--lenient"];
        options.extend((!case.machine.nxe).then_some("--no-nx"));
        options.extend((!case.machine.pse).then_some("--no-pse"));
        let of = |command: &str| printed([command].into_iter().chain(options.iter().copied()));

        let tlb = of("tlb");
        let page =
            tlb.lines().next().map_or(0, |line| u64::from_str_radix(&line[18..34], 16).expect("an address"));
        let expected = mended_tlb(&line, page);
        if line.name.starts_with("self-map") {
            assert!(tlb.lines().any(|line| line == expected), "{what}: {tlb}");
            let all: Vec<_> = of("mem").lines().map(str::to_owned).collect();
            let shown = line.mem.split("; ").filter(|_| line.mem != "-");
            shown.for_each(|range| assert!(all.iter().any(|line| line == range), "{what}: {all:?}"));
        } else {
            assert_eq!(if tlb.is_empty() { "none" } else { tlb.trim_end() }, expected, "{what}");
            if line.mem != "-" {
                let mem = of("mem");
                assert_eq!(if mem.is_empty() { "none" } else { mem.trim_end() }, line.mem, "{what}");
            }
        }
        compared += 1;
    }
    assert!(compared > 110, "only {compared}");
}
