//! Broken input of every format: what can still be read, or one line that says which file and what is wrong with it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;

use crate::{corpus, pt};

/// The smallest guest: an ELF core with notes and tables, compressed with xz.
fn xz() -> Vec<u8> {
    fs::read(corpus().join("memtest-x64/tables.elf.xz")).expect("a guest")
}

fn core() -> Vec<u8> {
    let mut bytes = Vec::new();
    XzReader::new(&xz()[..], true).read_to_end(&mut bytes).expect("xz");
    bytes
}

/// Tables at 0x1000 and 0x2000.
fn memory() -> Vec<u8> {
    let mut memory = vec![0; 0x3000];
    memory[0x1000..0x1008].copy_from_slice(&0x2003_u64.to_le_bytes());
    memory[0x2000..0x2008].copy_from_slice(&0x83_u64.to_le_bytes());
    memory
}

/// The same as a kdump-compressed dump of version 6, with pages that are not compressed.
fn kdump() -> Vec<u8> {
    let memory = memory();
    let mut file = vec![0; 4 * 4096];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDUMP   ");
    // Version; block size, blocks of the sub-header and of bitmaps, pages.
    for (at, value) in [(8, 6_u32), (428, 4096), (432, 1), (436, 2), (440, 3)] {
        put(at, &value.to_le_bytes());
    }
    put(4096 + 96, &3_u64.to_le_bytes());
    put(2 * 4096, &[0b111]);
    put(3 * 4096, &[0b111]);
    let data = file.len() as u64 + 3 * 24;
    for page in 0..3 {
        file.extend((data + page * 4096).to_le_bytes());
        file.extend(4096_u32.to_le_bytes());
        file.extend([0; 12]);
    }
    file.extend(memory);
    file
}

fn flattened(file: &[u8]) -> Vec<u8> {
    let mut flat = b"makedumpfile\0\0\0\0".to_vec();
    flat.extend([1_i64, 1].iter().flat_map(|number| number.to_be_bytes()));
    flat.resize(4096, 0);
    flat.extend([0, file.len() as u64].iter().flat_map(|number| number.to_be_bytes()));
    flat.extend(file);
    flat.extend([-1_i64, -1].iter().flat_map(|number| number.to_be_bytes()));
    flat
}

fn lime() -> Vec<u8> {
    let mut file = Vec::new();
    for (start, bytes) in [(0_u64, &memory()[..]), (0x10_0000, &[7; 0x1000])] {
        file.extend(*b"EMiL");
        file.extend(1_u32.to_le_bytes());
        for field in [start, start + bytes.len() as u64 - 1, 0] {
            file.extend(field.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

/// What Cloud Hypervisor's `state.json` says of `ranges`.
fn state(ranges: &str) -> String {
    let data = format!("{{\"memory_ranges\":{{\"data\":{ranges}}},\"guest_ram_mappings\":[]}}");
    let data = serde_json::json!({ "snapshot_data": { "state": data } });
    serde_json::json!({ "snapshots": { "memory-manager": data } }).to_string()
}

/// Runs `pt` on an image; what it says is right in form, whatever was made of the image. Returns whether it was read.
fn holds(image: &Path, options: &[&str], what: &str) -> bool {
    let arguments = ["walk".as_ref(), image.as_os_str()].into_iter();
    let output = pt(arguments.chain(options.iter().map(AsRef::as_ref)));
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => assert!(errors.is_empty() && text.contains("leaves over all paths"), "{what}: {errors}"),
        Some(1) => {
            let named = errors.starts_with(&format!("pt: \"{}", image.display()))
                || errors.contains("/state.json\": ");
            assert!(errors.lines().count() == 1 && named && text.is_empty(), "{what}: {errors}{text}");
        }
        other => panic!("{what}: {other:?}: {errors}"),
    }
    output.status.success()
}

const ROOT: [&str; 4] = ["--mode", "4level", "--root", "0x1000"];

/// A whole file of each format, and how it is opened.
fn wholes() -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let mut wholes = vec![
        ("elf", core(), Vec::new()),
        ("kdump", kdump(), ROOT.to_vec()),
        ("flattened", flattened(&kdump()), ROOT.to_vec()),
        ("lime", lime(), ROOT.to_vec()),
        ("xz", xz(), Vec::new()),
    ];
    let layout = ["--layout", "0x0..=0x1fff", "--layout", "0x100000000..=0x100000fff"];
    wholes.push(("firecracker", memory(), [&ROOT[..], &layout].concat()));
    wholes
}

#[test]
fn cut_and_changed_files_of_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, whole, options) in wholes() {
        let path = folder.path().join(name);
        let holds = |bytes: &[u8], what: &str| {
            fs::write(&path, bytes).expect("a file");
            holds(&path, &options, &format!("{name} {what}"))
        };
        assert!(holds(&whole, "whole"));
        let cut = (0..16).map(|part| whole.len() * part / 16).chain([1, 3, 7, 8, 15, 31, 33, 63]);
        let read = cut.filter(|&len| holds(&whole[..len], &format!("cut to {len} bytes"))).count();
        // What is too short to be recognised is raw memory, and has no root.
        assert!(read < 16, "{name}: {read} of 24 are read");
        // The first bytes say most; then all over.
        for at in (0..64).step_by(4).chain((64..whole.len()).step_by(whole.len() / 24)) {
            for value in [0x00, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                holds(&changed, &format!("with {value:#x} at {at:#x}"));
            }
        }
    }
}

#[test]
fn cut_and_changed_snapshots_of_cloud_hypervisor() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ranges, state_file) = (folder.path().join("memory-ranges"), folder.path().join("state.json"));
    let whole = state(r#"[{"gpa":0,"length":8192},{"gpa":8192,"length":4096}]"#);
    fs::write(&ranges, memory()).expect("a file");
    let with_state = |state: &str, what: &str| {
        fs::write(&state_file, state).expect("a file");
        holds(folder.path(), &ROOT, what)
    };
    // The image is named by the memory in it.
    let holds_whole = pt(["info".as_ref(), folder.path().as_os_str()]);
    assert!(!holds_whole.status.success(), "no state yet");
    for len in (0..whole.len()).step_by(7) {
        assert!(!with_state(&whole[..len], &format!("state of {len} bytes")));
    }
    for bad in [
        "[]",
        "null",
        r#"[{"gpa":0}]"#,
        r#"[{"gpa":0,"length":8192}]"#,
        r#"[{"gpa":-1,"length":12288}]"#,
        r#"[{"gpa":0,"length":8192},{"gpa":4096,"length":4096}]"#,
        r#"[{"gpa":18446744073709551615,"length":12288}]"#,
        r#"[{"gpa":0,"length":18446744073709551615},{"gpa":0,"length":12289}]"#,
    ] {
        let named =
            fs::write(&state_file, state(bad)).map(|()| pt(["info".as_ref(), folder.path().as_os_str()]));
        let output = named.expect("a file");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{bad}: {errors}");
        assert!(
            errors.starts_with("pt: \"") && errors.contains(folder.path().to_str().expect("text")),
            "{errors}"
        );
    }
    fs::write(&state_file, &whole).expect("a file");
    assert!(pt(["info".as_ref(), folder.path().as_os_str()]).status.success());
}

/// One line, which has these words; what is read of files says which.
fn fails(arguments: &[&str], words: &[&str]) {
    let output = pt(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{arguments:?}: {errors}");
    assert!(words.iter().all(|word| errors.contains(word)), "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| -> String {
        let path: PathBuf = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let with = |bytes: &[u8], at: usize, new: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + new.len()].copy_from_slice(new);
        bytes
    };
    let info = |name: &str, bytes: &[u8], words: &[&str]| fails(&["info", &file(name, bytes)], words);
    info("empty", b"", &["is empty"]);
    info("gzip", b"\x1f\x8b\x08\0", &["gzip", "decompress it first"]);
    info("avml", b"AVML\x02\0\0\0", &["AVML", "avml-convert"]);
    info("migration", b"QEVM\0\0\0\x03", &["migration stream", "dump-guest-memory"]);
    info("zstd", b"\x28\xb5\x2f\xfd\x00", &["bad zstd data"]);
    info("xz", &xz()[..100], &["bad xz data", "ends early"]);
    let elf = core();
    info("arm", &with(&elf, 18, &183_u16.to_le_bytes()), &["bad ELF core at offset 0x12", "ELF machine 183"]);
    info("executable", &with(&elf, 16, &2_u16.to_le_bytes()), &["ELF type 2 is not a core"]);
    info("short", &elf[..elf.len() - 1], &["ends past the end of the file"]);
    let kdump = kdump();
    info("pages", &with(&kdump, 4096 + 96, &[0xff; 8]), &["bad kdump-compressed dump", "more than the"]);
    info("blocks", &with(&kdump, 428, &8192_u32.to_le_bytes()), &["block size 8192"]);
    info("records", &with(&flattened(&kdump), 4096, &[0x80; 8]), &["of the flattened form is"]);
    let lime = lime();
    info("version", &with(&lime, 4, &[9]), &["bad LiME dump at offset 0x0", "version 9"]);
    info("range", &with(&lime, 16, &[0xff; 8]), &["bad LiME dump"]);
    let raw = file("raw", &memory());
    fails(&["info", &raw, "--layout", "0x0..=0xfff"], &["raw", "0x3000 bytes", "0x1000 bytes long"]);
    fails(&["info", &format!("0={raw}@0x4000")], &["region", "raw", "0x4000"]);
    fails(
        &["info", &format!("0={raw},0x1000={raw}")],
        &["region 0x1000=", "overlaps another one, which covers 0x0..=0x2fff"],
    );
    fails(&["info", &raw, "--format", "elf"], &["raw", "no ELF magic"]);
    let kdump = file("kdump", &kdump);
    fails(&["info", &kdump, "--part", &kdump], &["kdump", "this part starts at page 0x0"]);
    fails(&["info", &kdump, "--part", &raw], &["raw", "signature"]);
    fails(&["info", folder.path().to_str().expect("text")], &["is a directory"]);
    // A name with a line break is still one line.
    info("new\nline", b"", &["new\\nline\": is empty"]);
}
