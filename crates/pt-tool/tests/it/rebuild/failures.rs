//! What goes wrong: it is said in one line, and what was there stays.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::made::{self, A, B, Cpu, DEVICE, PD, PT, left, long};
use super::{Job, number, roots};
use crate::pt;

/// Marks what is there, and checks that a failure leaves it alone.
fn assert_fails(job: &Job, options: &[&str], expected: &str) {
    fs::write(job.out(), "an old image").expect("a file");
    fs::write(job.report(), "an old report").expect("a file");
    let before = left(job);
    let output = job.try_rebuild(options);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{options:?}: {said}");
    assert!(said.lines().last().is_some_and(|line| line.contains(expected)), "{options:?}: {said}");
    assert!(output.stdout.is_empty());
    assert_eq!(left(job), before, "{options:?}");
}

#[test]
fn places_that_cannot_be_written() {
    let job = made::job(&[long(A)]);
    let image = job.image.to_str().expect("text");
    let folder = job.folder.path().to_str().expect("text");
    let nowhere = format!("{folder}/nowhere/file");
    let out = format!("{folder}/new.elf");
    for (out, report, expected) in [
        (&nowhere[..], "", "cannot create a file beside it"),
        (folder, "", "exists and is not a file"),
        (&out, &nowhere, "cannot create a file beside it"),
        (&out, folder, "is not a file"),
    ] {
        let mut arguments = vec!["rebuild", image, "-o", out];
        arguments.extend((!report.is_empty()).then_some(["--report", report]).into_iter().flatten());
        let output = pt(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(left(&job), [], "{arguments:?}");
    }
}

#[test]
fn files_that_would_replace_each_other() {
    let job = made::job(&[long(A)]);
    let image = job.image.to_str().expect("text");
    let (out, bytes) = (job.out(), fs::read(&job.image).expect("an image"));
    let out = out.to_str().expect("text");
    for arguments in [
        &["rebuild", image, "-o", image][..],
        &["rebuild", image, "-o", out, "--report", image],
        &["rebuild", image, "-o", out, "--report", out],
        &["rebuild", image],
        &["rebuild", image, "-o", out, "--frames", "shuffle"],
        &["verify", image, out],
    ] {
        let output = pt(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(left(&job), []);
    assert!(fs::read(&job.image).expect("an image") == bytes);
}

/// A disk that is full, as far as a process can tell.
#[cfg(unix)]
#[test]
fn a_full_disk() {
    let job = made::job(&[long(A)]);
    fs::write(job.out(), "an old image").expect("a file");
    fs::write(job.report(), "an old report").expect("a file");
    let before = left(&job);
    // In units of 512 or 1024 bytes: too few for the image.
    let script = "trap '' XFSZ; ulimit -f 1000; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_pt"), "rebuild"])
        .args([job.image.as_path(), "-o".as_ref(), &job.out(), "--report".as_ref(), &job.report()])
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().count() == 1 && said.contains("cannot write: File too large"), "{said}");
    assert_eq!(left(&job), before);
}

/// The image is changed while the new one is being written, which its temporary file shows.
#[test]
fn an_image_that_changes_meanwhile() {
    let mut memory = made::memory();
    memory.resize(96 << 20, 0x5a);
    let job = made::of_memory(&memory, &[long(A)]);
    fs::write(job.out(), "an old image").expect("a file");
    let before = left(&job);
    for _ in 0..20 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pt"))
            .args(["rebuild".as_ref(), job.image.as_os_str(), "-o".as_ref(), job.out().as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pt starts");
        let started = || job.folder.path().read_dir().expect("a folder").count() > before.len();
        while !started() && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        let file = fs::File::options().append(true).open(&job.image).expect("the image");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            assert!(said.lines().count() == 1 && said.contains("was modified while in use"), "{said}");
            assert_eq!(left(&job), before);
            return;
        }
        // It was too quick for this test, once.
        fs::write(job.out(), "an old image").expect("a file");
        file.set_modified(std::time::SystemTime::now()).expect("a time");
    }
    panic!("never changed in time");
}

#[test]
fn entries_that_cannot_be_followed() {
    let mut memory = made::memory();
    // A table where there is no memory, and a bit that is reserved.
    let mut put =
        |at: u64, raw: u64| memory[at as usize..at as usize + 8].copy_from_slice(&raw.to_le_bytes());
    let (missing, malformed) = (0x50_0000_u64 | 7, 0x80_2087_u64);
    put(PD + 16, missing);
    put(PD + 24, malformed);
    let job = made::of_memory(&memory, &[long(A)]);
    assert_fails(&job, &[], "--faults clear or keep goes on");
    for frames in ["keep", "compact"] {
        for (faults, expected) in [("clear", [0, 0]), ("keep", [missing, malformed])] {
            let report = job.rebuild(&["--faults", faults, "--frames", frames]);
            job.assert_verifies();
            let (_, root) = roots(&report)[0];
            let new = super::open(&job.out());
            let entry = |va: u64| {
                let mut last = None;
                let _ =
                    pt_core::trace(&pt_amd64::FourLevel::default(), &new, root, va, |step| last = Some(step));
                last.expect("an entry").raw
            };
            assert_eq!([entry(0x40_0000), entry(0x60_0000)], expected, "{faults} {frames}");
        }
    }
}

#[test]
fn cpus_that_cannot_come_along() {
    let pae = Cpu(0x8000_0011, 0x1_9000, 0x20, false);
    let job = made::job(&[long(A), pae]);
    assert_fails(&job, &[], "4level (CR3 0x11000 of cpu 0); pae (CR3 0x19000 of cpu 1)");
    let job = made::job(&[long(A), long(B)]);
    let options = ["--root", "0x11000", "--frames", "compact"];
    assert_fails(&job, &options, "cpu 1 is in space 0x12000, which would be left out");
    // Where old tables stay, so can its root.
    let output = job.try_rebuild(&options[..2]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cpu 1 is not in a space that is rebuilt: its CR3 0x12000 stays"), "{said}");
    assert_eq!(super::open(&job.out()).cpus()[1].cr3, B);
    job.assert_verifies();
}

#[test]
fn spaces_that_are_not_the_same_are_refuted() {
    let job = made::job(&[long(A)]);
    let report = job.rebuild(&["--frames", "compact", "--root", "0x11000", "--root", "0x12000"]);
    job.assert_verifies();
    let whole = fs::read(job.out()).expect("an image");
    let to = |old: u64| {
        let map = report["map"].as_array().expect("a map").iter();
        let mut places =
            map.map(|moved| (number(&moved["first"]), number(&moved["last"]), number(&moved["to"])));
        places
            .find(|(first, last, _)| (*first..=*last).contains(&old))
            .map(|(first, _, to)| to + (old - first))
    };
    let root = roots(&report)[0].1;
    let alpha = to(0x2_0000).expect("alpha");
    job.poke(alpha + 0xfff, &[0xab]);
    job.assert_refuted("bytes from 0x20000 on are not those from 0x0 on");
    fs::write(job.out(), &whole).expect("a file");
    job.poke(root, &[0]);
    job.assert_refuted(&format!("space 0x11000, now {root:#x}: 0x0: table 0x13000 (level 3) is gone"));
    fs::write(job.out(), &whole).expect("a file");
    // U/S of the second root's link goes.
    job.poke(roots(&report)[1].1, &[0x1]);
    job.assert_refuted("space 0x12000, now ");
    fs::write(job.out(), &whole).expect("a file");

    // The files are right, and the report is not.
    let refuted = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut other = report.clone();
        change(&mut other);
        fs::write(job.report(), other.to_string()).expect("a file");
        job.assert_refuted(expected);
    };
    refuted(
        &|report| report["spaces"][0]["new_root"] = report["spaces"][1]["new_root"].clone(),
        "out.elf\": space 0x11000, now ",
    );
    refuted(&|report| report["map"][0]["to"] = "0x7000".into(), "became");
    refuted(&|report| report["map"] = Value::Array(Vec::new()), "became");
    refuted(&|report| report["map"][1] = report["map"][0].clone(), "the report's map of frames");
    refuted(&|report| report["map"][0]["to"] = "0xffffffffffffffff".into(), "the report's map of frames");
    refuted(&|report| report["options"]["table_frames"] = "live".into(), "page that maps it shows");
    refuted(&|report| report["options"]["range"] = "5..=1".into(), "is no report of a rebuild");
    refuted(&|report| report["paging"]["mode"] = "6level".into(), "is no report of a rebuild");
    refuted(&|report| report["spaces"] = Value::Null, "is no report of a rebuild");
    refuted(
        &|report| {
            let spaces = report["spaces"].as_array_mut().expect("spaces");
            spaces.remove(0);
        },
        "CR3 of cpu 0 is",
    );
    fs::write(job.report(), "{").expect("a file");
    job.assert_refuted("is no report of a rebuild");
    fs::remove_file(job.report()).expect("a file");
    job.assert_refuted("report.json\" cannot be read");
    assert_eq!(to(DEVICE), Some(DEVICE));
    assert!(to(PT).is_some());
}
