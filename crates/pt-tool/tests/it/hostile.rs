//! Tables with more paths than there is time, and what `pt` does about them.

use std::fs;
use std::time::{Duration, Instant};

use crate::{printed, pt};

/// A raw memory of tables of 8-byte entries, from address 0 on.
fn memory(pages: usize, entry: impl Fn(usize, usize) -> u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let entries = (0..pages).flat_map(|page| (0..512).map(move |slot| (page, slot)));
    let bytes: Vec<u8> = entries.flat_map(|(page, slot)| entry(page, slot).to_le_bytes()).collect();
    fs::write(file.path(), bytes).expect("room");
    file
}

/// What is printed before the error, and the error.
fn stopped(arguments: &[&str]) -> (String, String) {
    let output = pt(arguments);
    let errors = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    (String::from_utf8(output.stdout).expect("text"), errors)
}

#[test]
fn a_table_of_links_to_itself_has_billions_of_pages_and_a_limit() {
    // The table at 0x1000 is its own table, 512 times at each level: 2^36 pages.
    let file = memory(2, |page, _| if page == 1 { 0x1067 } else { 0 });
    let image = file.path().to_str().expect("text");
    let of = |command, limit| [command, image, "--mode", "4level", "--root", "0x1000", "--max-pages", limit];
    let (lines, error) = stopped(&of("tlb", "1000"));
    assert_eq!(lines.lines().count(), 1000);
    assert!(
        lines.ends_with("00000000003e7000: 0000000000001000 ----A--UW\n".replace("----A", "---DA").as_str()),
        "{lines}"
    );
    assert_eq!(error, "pt: limit of 1000 pages reached at 0x3e8000 in root 0x1000 (--max-pages)\n");
    let (lines, error) = stopped(&of("mem", "4096"));
    assert_eq!(lines, "0000000000000000-0000000001000000 0000000001000000 urw\n");
    assert!(error.contains("limit of 4096 pages reached at 0x1000000"), "{error}");
    // What meets each table once has no need of one.
    let start = Instant::now();
    let summary = printed(["walk", image, "--mode", "4level", "--root", "0x1000"]);
    assert!(summary.contains("68719476736 leaves over all paths"), "{summary}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn spaces_with_more_pairs_of_tables_than_time_are_compared_up_to_a_limit() {
    // Slot n of each page links page n at random; any page can stand beside any other, with any rights.
    let link = |page: usize, slot: usize| {
        let next = 1 + (page * 31 + slot * 7 + page * slot) % 60;
        (next as u64) << 12 | 0x61 | (slot as u64 % 4) << 1
    };
    let file = memory(61, |page, slot| if page == 0 { 0 } else { link(page, slot) });
    let image = file.path().to_str().expect("text");
    let arguments =
        ["diff", image, "--mode", "4level", "--root", "0x1000", "--root", "0x2000", "--max-tables", "1000"];
    let (_, error) = stopped(&arguments);
    assert!(
        error.starts_with("pt: the rest was not compared (--max-tables): limit of 1000 tables reached at 0x"),
        "{error}"
    );
}

#[test]
fn attributes_alone_are_a_difference_but_for_what_the_hardware_writes() {
    // Pages 1 to 4 are one space's tables, from the root down, and pages 5 to 8 another's.
    let before = [0x10067, 0x11067, 0x12167, 0x13067, 0x14067, 0x15067];
    let after = [0x10007, 0x11077, 0x12077, 3 << 59 | 0x13067, 0x14065, 0x25077];
    let file = memory(9, |page, slot| match page {
        4 => before.get(slot).copied().unwrap_or(0),
        8 => after.get(slot).copied().unwrap_or(0),
        1.. if slot == 0 => (page as u64 + 1) << 12 | 0x67,
        _ => 0,
    });
    let image = file.path().to_str().expect("text");
    let text = printed(["diff", image, "--mode", "4level", "--root", "0x1000", "--root", "0x5000"]);
    let of = |page: u64, line: &str| {
        format!("{:016x}..={:016x}     4 KiB  {line}\n", page << 12, page << 12 | 0xfff)
    };
    let expected = [
        of(1, "attributes 0x11000 rwx user: none -> PCD"),
        of(2, "attributes 0x12000 rwx user: G -> PCD"),
        of(3, "attributes 0x13000 rwx user: none -> key 3"),
        of(4, "rights   0x14000 rwx user -> 0x14000 r-x user"),
        of(5, "moved    0x15000 rwx user -> 0x25000 rwx user; none -> PCD"),
    ];
    assert_eq!(text, expected.concat());
}
