//! An image with its frames: where they go, and what they hold there.

use pt_amd64::FourLevel;
use pt_core::{Memory, Permissions, TranslateError, translate};
use pt_image::Image;
use serde_json::Value;

use super::made::{
    self, A, B, DEVICE, DISTINCT_FRAMES, HELD_FRAMES, LARGE, LIKE_ALPHA, PAGES, PD, PDPT, PT, long,
};
use super::{Job, number, open, roots};
use crate::printed;

const PAGE: u64 = 0x1000;

/// All pages of both spaces, the large one in pieces.
fn addresses() -> impl Iterator<Item = u64> {
    PAGES.iter().map(|&(va, _)| va).chain((LARGE..2 * LARGE).step_by(PAGE as usize))
}

fn page(image: &Image, root: u64, va: u64) -> (u64, Vec<u8>, bool) {
    let page = translate(&FourLevel::default(), image, root, va).expect("mapped");
    let mut bytes = vec![0; PAGE as usize];
    let held = image.read(page.pa, &mut bytes);
    assert_eq!(held.is_err(), page.pa == DEVICE, "{va:#x}");
    (page.pa, bytes, page.rights.writable())
}

fn both_roots(job: &Job, more: &[&str]) -> Value {
    let named = ["--root", "0x11000", "--root", "0x12000"];
    let report = job.rebuild(&[&named, more].concat());
    job.assert_verifies();
    report
}

/// The new image holds that many pages, and the report and `pt info` say so.
fn assert_holds(job: &Job, report: &Value, pages: u64) {
    assert_eq!(report["bytes"]["written"], pages * PAGE);
    assert_eq!(open(&job.out()).held_bytes(), pages * PAGE);
}

#[test]
fn compacted_frames_hold_what_they_held() {
    let job = made::job(&[long(A)]);
    let old = open(&job.image);
    for (table_frames, of_tables) in [("data", 5), ("live", 4)] {
        let report = both_roots(&job, &["--frames", "compact", "--table-frames", table_frames]);
        let new = open(&job.out());
        assert_holds(&job, &report, HELD_FRAMES + of_tables);
        assert_eq!(report["frames"]["mapped"], HELD_FRAMES + 1);
        assert_eq!((&report["tables"]["old"], &report["tables"]["new"]), (&5.into(), &5.into()));
        let pairs = roots(&report);
        assert_eq!([pairs[0].0, pairs[1].0], [A, B]);
        let mut frames = Vec::new();
        for &(from, to) in &pairs {
            for va in addresses() {
                let (was, is) = (page(&old, from, va), page(&new, to, va));
                assert_eq!(was.2, is.2, "{va:#x}");
                if va != 0x5000 || table_frames == "data" {
                    assert_eq!(was.1, is.1, "{va:#x}");
                }
                frames.push(is.0);
            }
        }
        // What is mapped twice is one frame; the device is where it was.
        assert_eq!((frames[0], frames[6]), (frames[7], DEVICE));
        // The lowest addresses, in the order of first use; the large page where it fits.
        assert_eq!(frames[..5], [0, 0x1000, 0x2000, 0x3000, 0x4000]);
        assert_eq!(frames[8], LARGE);
        // The page of the PT shows the old one, or the new one.
        let table = translate(&FourLevel::default(), &new, pairs[0].1, 0).expect("mapped").entry & !0xfff;
        assert_eq!(frames[5] == table, table_frames == "live");
    }
}

#[test]
fn merged_frames_are_one_and_cannot_be_written() {
    let job = made::job(&[long(A)]);
    let old = open(&job.image);
    // The large page is split: one more table.
    for (table_frames, of_tables) in [("data", 6), ("live", 5)] {
        let report = both_roots(&job, &["--frames", "dedup", "--table-frames", table_frames]);
        let new = open(&job.out());
        assert_holds(&job, &report, DISTINCT_FRAMES + of_tables);
        assert_eq!(report["tables"]["new"], 6);
        // Alpha and its like, both betas, both pages of zeros.
        assert_eq!(report["frames"]["shared"], 6);
        for (from, to) in roots(&report) {
            for va in addresses().filter(|&va| va != 0x5000) {
                let (was, is) = (page(&old, from, va), page(&new, to, va));
                assert_eq!(was.1, is.1, "{va:#x}");
                let merged = [0, 0x1000, 0x2000, 0x3000, 0x4000, 0x7000, LIKE_ALPHA].contains(&va);
                assert_eq!(is.2, was.2 && !merged, "{va:#x}");
            }
            let frame = |va| page(&new, to, va).0;
            assert_eq!(
                [frame(0), frame(0x1000), frame(0x3000)],
                [frame(LIKE_ALPHA), frame(0x2000), frame(0x4000)]
            );
        }
    }
}

#[test]
fn kept_memory_stays_whole_and_a_range_is_all_that_is_mapped() {
    let job = made::job(&[long(A)]);
    let report = both_roots(&job, &["--range", "0x1000..=0x2fff"]);
    let (old, new) = (made::memory(), open(&job.out()));
    let mut bytes = vec![0; old.len()];
    new.read(0, &mut bytes).expect("all memory");
    assert!(bytes == old);
    assert_holds(&job, &report, old.len() as u64 / PAGE + 5);
    for (_, root) in roots(&report) {
        assert!(root >= old.len() as u64);
        for va in addresses() {
            let mapped = translate(&FourLevel::default(), &new, root, va);
            match va {
                0x1000 | 0x2000 => assert!(mapped.is_ok(), "{va:#x}: {mapped:?}"),
                _ => assert!(matches!(mapped, Err(TranslateError::NotPresent { .. })), "{va:#x}: {mapped:?}"),
            }
        }
    }
}

#[test]
fn pages_are_split_and_joined_again() {
    let job = made::job(&[long(A)]);
    let report = both_roots(&job, &["--frames", "compact", "--pages", "split"]);
    assert_eq!(report["tables"]["new"], 6);
    assert!(!printed(["tlb".as_ref(), job.out().as_os_str()]).contains("P-"), "large pages are left");
    // What was split can be joined, as its frames follow one another.
    let mut split = made::memory();
    let place = |at: u64| at as usize..at as usize + 8;
    split[place(PD + 8)].copy_from_slice(&(0x1_6000_u64 | 7).to_le_bytes());
    for piece in 0..512 {
        let raw = (LARGE + piece * PAGE) | 7;
        split[place(0x1_6000 + piece * 8)].copy_from_slice(&raw.to_le_bytes());
    }
    let job = made::of_memory(&split, &[long(A)]);
    let report = both_roots(&job, &["--pages", "promote"]);
    assert_eq!((&report["tables"]["old"], &report["tables"]["new"]), (&6.into(), &5.into()));
    let new = open(&job.out());
    let (_, root) = roots(&report)[0];
    let page = translate(&FourLevel::default(), &new, root, LARGE + 0x1234).expect("mapped");
    assert_eq!((page.pa, page.level.number()), (LARGE + 0x1234, 2));
}

#[test]
fn cpus_are_in_the_new_spaces() {
    // With a PCID, and one that has paging off.
    let off = made::Cpu(0x11, 0x1234, 0, false);
    let job = made::job(&[long(A), long(B | 5), off]);
    for frames in ["keep", "compact"] {
        let report = job.rebuild(&["--frames", frames, "--cpu-roots"]);
        job.assert_verifies();
        let pairs = roots(&report);
        let new = open(&job.out());
        let registers: Vec<_> = new.cpus().iter().map(|cpu| cpu.cr3).collect();
        assert_eq!(registers, [pairs[0].1, pairs[1].1 & !0xfff | 5, 0x1234]);
        assert!(pairs[0].1 != A && pairs[1].1 & !0xfff != B);
        assert_eq!(new.notes().next().expect("a note").name, b"VMCOREINFO");
    }
}

#[test]
fn reports_say_where_everything_went() {
    let job = made::job(&[long(A)]);
    let report = both_roots(&job, &["--frames", "compact"]);
    let map = report["map"].as_array().expect("a map");
    let mut bytes = 0;
    for moved in map {
        let (first, last, to) = (number(&moved["first"]), number(&moved["last"]), number(&moved["to"]));
        bytes += last - first + 1;
        assert!(first != DEVICE || to == DEVICE);
    }
    assert_eq!(report["bytes"]["mapped"], bytes);
    assert_eq!(report["bytes"]["held"], bytes - PAGE);
    assert_eq!(report["bytes"]["tables"], 5 * PAGE);
    let frames = &report["frames"];
    let count = |what: &str| frames[what].as_u64().expect("a count");
    assert_eq!(count("kept") + count("moved"), count("mapped"));
    assert_eq!(report["options"]["range"], "0x0..=0xffffffffffffffff");
    assert_eq!(report["paging"]["mode"], "4level");
    assert!([PDPT, PD, PT].iter().all(|&table| number(&report["spaces"][0]["new_root"]) != table));
}
