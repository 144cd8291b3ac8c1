//! The tables of real guests.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use pt_core::{Event, Format, Geometry, Limits, Options, Walk};
use pt_image::Image;
use pt_vcpu::{Machine, Paging, Registers, with_format};
use pt_x86::Mode;
use rangemap::RangeInclusiveSet;
use serde_json::Value;

use super::{Job, number, open, roots};
use crate::oracle::{Guest, guests};
use crate::printed;

/// Addresses of user space alone: nothing there maps the tables.
fn user_space(guest: &Guest) -> (&'static str, RangeInclusive<u64>) {
    match guest.mode.as_str() {
        "2level" | "pae" => ("0x10000000..=0xbfffffff", 0x1000_0000..=0xbfff_ffff),
        _ => ("0x7f0000000000..=0x7fffffffffff", 0x7f00_0000_0000..=0x7fff_ffff_ffff),
    }
}

/// What pages show of old tables: where Xen's tables map themselves, a page and a link are one entry.
fn table_frames(guest: &Guest) -> &'static str {
    if guest.variant == "xen-dom0" { "live" } else { "data" }
}

/// Options that name all roots of a guest, and some more.
fn with_roots<'a>(guest: &'a Guest, more: &[&'a str]) -> Vec<&'a str> {
    let named = guest.roots.iter().flat_map(|root| ["--root", root]);
    named.chain(more.iter().copied()).collect()
}

fn paging(guest: &Guest, image: &Image) -> Paging {
    let mode: Mode = guest.mode.parse().expect("a mode");
    let machine = Machine { strict_pdpte: false, ..Machine::default() };
    Paging::of_mode(mode, &Registers::from(image.cpus()[0].control_registers()), &machine)
}

/// The memory of all tables below some roots, and what pages map.
fn met<F: Format>(
    format: F,
    image: &Image,
    roots: &[u64],
    range: RangeInclusive<u64>,
) -> (BTreeSet<(u64, usize)>, RangeInclusiveSet<u64>) {
    let options = Options { range, limits: Limits::NONE, ..Options::default() };
    let (mut tables, mut mapped) = (BTreeSet::new(), RangeInclusiveSet::new());
    for event in Walk::new(format, image, roots, options) {
        match event.expect("no limit") {
            Event::Table(table) => drop(tables.insert((table.address, F::table_bytes(table.level)))),
            Event::Leaf(leaf) => {
                let bytes = u64::from(leaf.pages) * F::entry_span(leaf.level);
                mapped.insert(leaf.pa..=leaf.pa + (bytes - 1));
            }
            _ => {}
        }
    }
    (tables, mapped)
}

/// Rebuilds, and compares what the tools say of old and new, that the tables are as many, and that no new space needs an
/// old table. Returns how many of the old tables that shows.
fn assert_rebuilt(guest: &Guest, range: Option<(&str, RangeInclusive<u64>)>) -> usize {
    let job = Job::of(&guest.image());
    let mut options = with_roots(guest, &["--table-frames", table_frames(guest)]);
    options.extend(range.iter().flat_map(|range| ["--range", range.0]));
    let report = job.rebuild(&options);
    let pairs = roots(&report);
    let name = &guest.variant;
    assert_eq!(pairs.len(), guest.roots.len(), "{name}");
    for ((old, _), listed) in pairs.iter().zip(&guest.roots) {
        assert_eq!(format!("{old:#x}"), *listed, "{name}");
    }

    let (old, new) = (open(&guest.image()), open(&job.out()));
    let sides: [Vec<u64>; 2] =
        [pairs.iter().map(|pair| pair.0).collect(), pairs.iter().map(|pair| pair.1).collect()];
    let span = range.map_or(0..=u64::MAX, |range| range.1);
    let [before, after] = with_format!(
        paging(guest, &old),
        |format| [met(format, &old, &sides[0], span.clone()), met(format, &new, &sides[1], span.clone())],
        unpaged => panic!("{name} has paging on"),
    );
    // Every frame is where it was; tables are as many, and elsewhere unless they live in frames.
    assert_eq!(before.1, after.1, "{name}");
    assert_eq!(before.0.len(), after.0.len(), "{name}");
    assert_eq!(report["tables"]["old"], before.0.len(), "{name}");
    assert_eq!(report["tables"]["new"], after.0.len(), "{name}");
    let (moved, live): (Vec<_>, Vec<_>) =
        after.0.iter().copied().partition(|table| !before.0.contains(table));
    assert!(live.iter().all(|(at, _)| after.1.contains(at)), "{name}: old tables are new ones");
    let memory: Vec<_> = old.ranges().map(|range| range.start..=range.start + (range.len - 1)).collect();
    for (at, bytes) in moved {
        let table = at..=at + (bytes as u64 - 1);
        assert!(!after.1.overlaps(&table), "{name}: {table:x?} is mapped");
        let inside =
            |range: &RangeInclusive<u64>| range.start() <= table.end() && table.start() <= range.end();
        assert!(!memory.iter().any(inside), "{name}: {table:x?} is the guest's memory");
    }

    // What is neither data nor live can hold anything.
    let poisoned: Vec<_> = before.0.iter().filter(|(at, _)| !after.1.contains(at)).collect();
    job.change_out(|address, into| {
        for &&(at, bytes) in &poisoned {
            let from = at.max(address);
            let to = (at + bytes as u64).min(address + into.len() as u64);
            if from < to {
                into[(from - address) as usize..(to - address) as usize].fill(0xa7);
            }
        }
    });
    job.assert_verifies();
    poisoned.len()
}

#[test]
fn tables_are_as_many_and_old_ones_are_needed_no_more() {
    for guest in guests() {
        assert_rebuilt(&guest, None);
        let poisoned = assert_rebuilt(&guest, Some(user_space(&guest)));
        assert!(poisoned > 0, "{}: no old table is out of sight", guest.variant);
    }
}

/// Each CPU's space and the totals, as the other commands read them.
#[test]
fn other_commands_read_the_new_image_as_the_old_one() {
    for guest in guests() {
        let job = Job::of(&guest.image());
        job.rebuild(&["--table-frames", table_frames(&guest)]);
        let name = &guest.variant;
        for command in ["tlb", "mem"] {
            let of = |image: &std::path::Path| {
                let text = printed([command.as_ref(), image.as_os_str()]);
                // Roots differ.
                text.lines()
                    .filter(|line| !line.starts_with("# root "))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert!(of(&guest.image()) == of(&job.out()), "{name}: {command}");
        }
        let total = |image: &std::path::Path| {
            let text =
                printed(["walk".as_ref(), image.as_os_str(), "--json".as_ref(), "--cpu-roots".as_ref()]);
            text.lines().last().expect("a total").to_owned()
        };
        assert_eq!(total(&guest.image()), total(&job.out()), "{name}");
    }
}

/// New spaces against QEMU's own reading of the old ones: as every frame stays, physical addresses are the same.
#[test]
fn new_spaces_are_as_qemu_read_the_old_ones() {
    let mut compared = 0;
    for guest in guests().iter().filter(|guest| guest.mode != "pae") {
        let job = Job::of(&guest.image());
        let report = job.rebuild(&with_roots(guest, &["--table-frames", table_frames(guest)]));
        for (old, new) in roots(&report) {
            let Some(theirs) = guest.witness("info-tlb", &format!("{old:#x}")) else { continue };
            let new = format!("{new:#x}");
            let ours = printed(["tlb".as_ref(), job.out().as_os_str(), "--root".as_ref(), new.as_ref()]);
            assert!(ours.lines().eq(theirs.lines()), "{} root {old:#x}", guest.variant);
            compared += theirs.lines().count();
        }
    }
    assert!(compared > 1_000_000, "only {compared} lines");
}

#[test]
fn pages_can_be_split_and_joined() {
    for guest in guests().iter().filter(|guest| guest.variant != "xen-dom0") {
        let job = Job::of(&guest.image());
        let of = |pages: &str| {
            let report = job.rebuild(&["--pages", pages]);
            job.assert_verifies();
            let sizes =
                printed(["walk".as_ref(), job.out().as_os_str(), "--json".as_ref(), "--cpu-roots".as_ref()]);
            let total: Value = serde_json::from_str(sizes.lines().last().expect("a total")).expect("JSON");
            let count = |what: &str| report["tables"][what].as_u64().expect("a count");
            (count("old"), count("new"), total["total"]["leaves"].as_u64().expect("a count"))
        };
        let (old, split, of_split) = of("split");
        let (_, joined, of_joined) = of("promote");
        assert!(joined <= old && old <= split, "{}: {joined}, {old}, {split}", guest.variant);
        assert!(of_joined <= of_split, "{}", guest.variant);
        // One has no large pages.
        assert_eq!(old == split, guest.variant == "i686-2level-nopse", "{}: {old}, {split}", guest.variant);
    }
}

#[test]
fn an_image_of_tables_alone_keeps_frames_and_says_so() {
    let guest = &guests()[1];
    let job = Job::of(&guest.image());
    for frames in ["keep", "compact", "dedup"] {
        let output = job.try_rebuild(&["--frames", frames]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("holds tables, but no frames that they map: frames stay where they are"),
            "{said}"
        );
        assert_eq!(said.contains("whatever --frames says"), frames != "keep", "{said}");
        let report: Value =
            serde_json::from_slice(&std::fs::read(job.report()).expect("a report")).expect("JSON");
        assert_eq!((&report["options"]["frames"], &report["frames"]["moved"]), (&"keep".into(), &0.into()));
        let stay = report["map"].as_array().expect("a map").iter().all(|moved| moved["first"] == moved["to"]);
        assert!(stay && number(&report["map"][0]["last"]) > 0);
        job.assert_verifies();
    }
}

#[test]
fn a_table_that_maps_itself_must_be_live() {
    let guest = guests().into_iter().find(|guest| guest.variant == "xen-dom0").expect("Xen");
    let job = Job::of(&guest.image());
    let fails = |options: &[&str], expected: [&str; 2]| {
        let output = job.try_rebuild(options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(said.lines().count() == 1 && expected.iter().all(|words| said.contains(words)), "{said}");
        assert!(!job.out().exists() && !job.report().exists());
    };
    fails(&["--table-frames", "data"], ["is read at level 4 and at level 1", "--table-frames live"]);
    // A large page is a small one, too, where its table is read as a page table.
    let split = ["--table-frames", "live", "--pages", "split"];
    fails(&split, ["is read at level 2 and at level 1", "--pages keep"]);
}
