//! The command line as a user meets it: what is printed, what is not, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::{corpus, printed, pt};

pub(crate) fn guest(name: &str) -> String {
    corpus().join(name).join("tables.elf.xz").to_str().expect("text").to_owned()
}

/// One line on standard error, exit status 1, nothing on standard output.
fn fails_with(arguments: &[&str], expected: &str) {
    let output = pt(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
    assert!(errors.contains(expected), "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn info_names_format_cpus_and_notes() {
    let text = printed(["info", &guest("amd64-smp4-pti")]);
    assert!(text.contains("ELF core"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("cpu ")).count(), 4, "{text}");
    assert!(text.contains("cpu 0: 4level") && text.contains("efer not recorded"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("note: \"QEMU\"")).count(), 4, "{text}");
}

#[test]
fn cpu_roots_are_each_walked_once() {
    let json = printed(["walk", "--json", "--cpu-roots", &guest("amd64-smp4-pti")]);
    let spaces: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // Two of the four CPUs run in the same space.
    let roots: Vec<_> = spaces.iter().filter_map(|line| line["root"].as_str()).collect();
    assert_eq!(roots, ["0x35ee000", "0x29f0000", "0x9610000"]);
    assert_eq!(spaces[3]["total"]["spaces"], 3);
}

#[test]
fn walk_events_show_tables_aliases_and_pages() {
    let text =
        printed(["walk", "--events", &guest("amd64-4level"), "--root", "0x6168000", "--root", "6036000"]);
    assert!(text.starts_with("space 0 root 0x6168000\n"), "{}", &text[..200]);
    assert!(text.contains("space 1 root 0x6036000\n"));
    assert!(text.contains("alias of PDPT #"), "shared kernel half");
    assert!(text.contains("which this space has at"), "espfix");
    assert!(!text.contains('\x1b'), "no colour in a pipe");
}

#[test]
fn ranges_cut_and_include_both_ends() {
    let of = |range: &str| printed(["tlb", &guest("amd64-4level"), "--range", range]);
    assert_eq!(of("0x401000..=0x402fff").lines().count(), 2);
    assert_eq!(of("0x401fff..=0x402000").lines().count(), 2);
    assert_eq!(of("0x401000..=0x401000").lines().count(), 1);
    assert_eq!(of("0x0..=0xfff").lines().count(), 0);
    // The hole between the halves has nothing, and does not stop a range that spans it.
    let whole = printed(["tlb", &guest("amd64-4level")]).lines().count();
    assert_eq!(of("..=").lines().count(), whole);
    assert_eq!(
        of("0x00007fffffffffff..=0xffffffffffffffff").lines().count()
            + of("0..=0x00007ffffffffffe").lines().count(),
        whole
    );
}

#[test]
fn translate_shows_every_level_and_what_fails() {
    let image = guest("amd64-4level");
    let text = printed(["translate", &image, "0x400123", "ffff888000000000", "0x1000000000000"]);
    assert!(text.contains("PML4E  at 0x6168000: 0x0000000006362067"), "{text}");
    assert!(text.contains("PTE    at 0x630f000: 0x8000000003307025"), "{text}");
    assert!(text.contains("maps to 0x3307123, 4 KiB page, r-- user"), "{text}");
    assert!(text.contains("the frame is outside the guest's memory"), "tables only: {text}");
    assert!(text.contains("not mapped: PML4E at 0x6168888 = 0x0 is not present"), "{text}");
    assert!(text.contains("not mapped: 0x1000000000000 is not canonical"), "{text}");
}

#[test]
fn translate_says_where_an_address_space_ends() {
    for name in ["i686-2level", "i686-pae"] {
        let text = printed(["translate", &guest(name), "0x100000000"]);
        let expected = "not mapped: 0x100000000 is past the end of the address space, 0xffffffff\n";
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn translate_names_reserved_bits_and_tables_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guest.raw");
    let mut memory = vec![0; 0x3000];
    memory[0x1000..0x1008].copy_from_slice(&0x8000_0000_0000_2007_u64.to_le_bytes());
    memory[0x1008..0x1010].copy_from_slice(&0x7000_u64.wrapping_add(7).to_le_bytes());
    fs::write(&path, memory).expect("a file");
    let image = path.to_str().expect("text");
    let arguments =
        ["translate", image, "--mode", "4level", "--root", "0x1000", "--no-nx", "0", "0x8000000000"];
    let text = printed(arguments);
    assert!(
        text.contains(
            "entry 0x8000000000002007 at 0x1000 (level 4) has reserved bits 0x8000000000000000 set"
        ),
        "{text}"
    );
    assert!(
        text.contains("the table at 0x7000 (level 3), linked by 0x7007, cannot be read: outside"),
        "{text}"
    );
    // The walk meets the same two, and goes on.
    let json = printed(["walk", "--json", image, "--mode", "4level", "--root", "0x1000", "--no-nx"]);
    assert!(json.contains("\"faults\":2"), "{json}");
}

#[test]
fn pae_roots_of_qemu_images_are_read_unless_strict() {
    let image = guest("i686-pae");
    assert!(printed(["tlb", &image]).lines().count() > 3_000);
    assert_eq!(printed(["tlb", &image, "--strict"]), "");
    assert!(
        printed(["walk", &image, "--strict"]).contains("reserved")
            || printed(["walk", "--events", &image, "--strict"]).contains("reserved bits 0x20 set")
    );
}

#[test]
fn share_counts_what_is_shared() {
    let text = printed(["share", "--cpu-roots", &guest("xen-dom0")]);
    assert!(text.contains("31 within one, 175 met again at another depth"), "{text}");
    let text = printed(["share", "--cpu-roots", &guest("amd64-smp4-pti")]);
    assert!(text.contains("2 other space(s): 0x29f0000 0x9610000"), "{text}");
}

#[test]
fn find_names_every_root_and_counts_the_other_paths() {
    let image = guest("amd64-4level");
    let find = |frames: &str| printed(["find", &image, "--root", "0x6168000", "--root", "0x6036000", frames]);
    assert_eq!(
        find("0x3307123"),
        "0x3307123\n  \
         root 0x6168000 ffff8ab683307123 -> 0x3307123, 1 x 4 KiB, rw- supervisor, and 1 more path\n  \
         root 0x6168000 ffffffff85f07123 -> 0x3307123, 1 x 4 KiB, rw- supervisor, and 1 more path\n  \
         root 0x6168000 0000000000400123 -> 0x3307123, 1 x 4 KiB, r-- user\n"
    );
    assert!(find("0xff0000000..=0xff0000fff").contains("not mapped by the 2 root(s)"));
    assert_eq!(pt(["find", &image, "5..=1"]).status.code(), Some(2));
}

#[test]
fn diff_of_two_roots_shows_the_user_half_and_skips_the_shared_kernel() {
    let image = guest("amd64-4level");
    let roots = ["--root", "0x6168000", "--root", "0x6036000"];
    let text = printed(["diff", &image].into_iter().chain(roots));
    assert!(text.lines().all(|line| line.starts_with("0000")), "{text}");
    assert!(
        text.contains(
            "0000000000401000..=0000000000401fff     4 KiB  moved    0x3306000 r-x user -> 0x3309000"
        )
    );
    assert!(text.contains("gone     0x3307000 r-- user"), "{text}");
    assert_eq!(printed(["diff", &image, "--root", "0x6168000", "--root", "0x6168000"]), "");
}

#[test]
fn diff_of_two_images_compares_the_cpus_spaces() {
    let (image, other) = (guest("i686-pae"), guest("i686-pae-nonx"));
    assert_eq!(printed(["diff", &image, &image]), "");
    let text = printed(["diff", &image, &other]);
    assert!(text.contains("rights   0xfec00000 rw- supervisor -> 0xfec00000 rwx supervisor"), "{text}");
    assert!(text.contains("appeared"), "{text}");
    fails_with(&["diff", &image, &guest("amd64-4level")], "is pae");
}

#[test]
fn pictures_show_every_root_and_are_written_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture.svg");
    for guest in crate::oracle::guests() {
        let mut arguments =
            vec!["picture".into(), guest.image().into_os_string(), "-o".into(), path.clone().into()];
        arguments.extend(guest.roots.iter().flat_map(|root| ["--root".into(), root.into()]));
        let said = printed(arguments);
        let spaces = if guest.roots.len() == 1 { "space" } else { "spaces" };
        assert!(said.ends_with(&format!(": {} {spaces}\n", guest.roots.len())), "{said}");
        let svg = fs::read_to_string(&path).expect("a picture");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{}", guest.variant);
        assert!(svg.len() < 4 << 20, "{}: {} bytes", guest.variant, svg.len());
        for root in &guest.roots {
            assert!(
                svg.contains(&format!("{root}\n</text>")) || svg.contains(&format!(">{root}<")),
                "{root}"
            );
        }
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing unfinished is left");
    // The user halves of many processes are shared over the same addresses, by different owners: each has its own line.
    printed(["picture".as_ref(), guest("amd64-smp4-pti").as_ref(), "-o".as_ref(), path.as_os_str()]);
    let svg = fs::read_to_string(&path).expect("a picture");
    let owners = svg.split("<circle ").skip(1).filter(|circle| circle.contains("fill=\"#345\""));
    let heights: Vec<_> =
        owners.filter_map(|circle| circle.split("cy=\"").nth(1)?.split('"').next()).collect();
    let mut distinct = heights.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(heights.len() > 30 && distinct.len() == heights.len(), "{} of {}", distinct.len(), heights.len());
    let nowhere = folder.path().join("nowhere/picture.svg");
    fails_with(
        &["picture", &guest("memtest-x64"), "-o", nowhere.to_str().expect("text")],
        "cannot create a file beside it",
    );
}

#[test]
fn help_completions_and_manual_know_every_command() {
    let help = printed(["--help"]);
    let commands =
        ["info", "walk", "tlb", "mem", "translate", "share", "find", "diff", "picture", "completions", "man"];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        assert!(printed([command, "--help"]).contains("Examples:\n  pt "), "{command}");
        assert!(printed(["man", command]).contains(&format!("pt\\-{command}")), "{command}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(printed(["completions", shell]).contains("translate"), "{shell}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(printed(["man"]).contains(&format!(".TH PT 1  \"pt {version}\" \"Page tables\"")));
    assert!(printed(["man", "walk"]).contains(&format!(".TH PT-WALK 1  \"pt {version}\" \"Page tables\"")));
    assert!(help.contains("Examples:\n  pt info guest.elf "), "{help}");
}

#[test]
fn an_image_can_be_parts_of_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("parts");
    // A PML4 in one part, a PDPT with a 1 GiB page in another: at 0x1000 and above 4 GiB.
    let mut file = vec![0; 0x2000];
    file[0x1000..0x1008].copy_from_slice(&0x1_0000_0003_u64.to_le_bytes());
    file[0x0000..0x0008].copy_from_slice(&0x83_u64.to_le_bytes());
    fs::write(&path, file).expect("a file");
    let path = path.to_str().expect("text");
    let regions = format!("0x1000={path}@0x1000+0x1000,0x100000000={path}@0+0x1000");
    let common = ["--mode", "4level", "--root", "0x1000"];
    let text = printed(["translate", &regions, "0x1234"].into_iter().chain(common));
    assert!(text.contains("maps to 0x1234, 1 GiB page"), "{text}");
    // The same file as Firecracker's, with the layout said.
    let layout =
        ["--format", "firecracker", "--layout", "0x100000000..=0x100000fff", "--layout", "0x1000..=0x1fff"];
    let arguments = || ["translate", path, "0x1234"].into_iter().chain(common).chain(layout);
    assert_eq!(printed(arguments()).replace(path, &regions), text);
    fails_with(&["info", &format!("0x1000={path}@0x1800+0x1000")], "parts");
    fails_with(&["info", &format!("zzz={path}")], "zzz");
}

#[test]
fn what_columns_cannot_show_is_said() {
    let strict = pt(["tlb", &guest("i686-pae"), "--strict"]);
    assert!(strict.status.success() && strict.stdout.is_empty());
    let said = String::from_utf8_lossy(&strict.stderr);
    assert!(
        said.contains("3 entries cannot be followed") && said.contains("reserved bits 0x20 set"),
        "{said}"
    );
    let image = guest("amd64-4level");
    for command in ["tlb", "mem"] {
        fails_with(
            &[command, &image, "--root", "0x7fffffff000"],
            "root 0x7fffffff000: outside the guest's memory",
        );
    }
    fails_with(&["diff", &image, "--root", "0x6168000", "--root", "0x7fffffff000"], "root 0x7fffffff000");
    fails_with(&["find", &image, "--root", "0x7fffffff000", "0"], "root 0x7fffffff000");
    let arguments = ["translate", &image, "0x400000", "0x401000", "--range", "0x401000..=0x401fff"];
    let text = printed(arguments);
    assert!(
        text.contains("0x400000 in root 0x6168000 (4level)\n  outside --range, not looked at\n"),
        "{text}"
    );
    assert!(text.contains("maps to 0x3306000"), "{text}");
    let part =
        printed(["diff", &image, "--root", "0x6168000", "--root", "0x6036000", "--range", "0..=0x401fff"]);
    assert_eq!(part.lines().count(), 2, "{part}");
}

#[cfg(unix)]
#[test]
fn pictures_go_where_they_are_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link) = (folder.path().join("file.svg"), folder.path().join("link.svg"));
    fs::write(&file, "old").expect("a file");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    printed(["picture".as_ref(), guest("memtest-x64").as_ref(), "-o".as_ref(), link.as_os_str()]);
    assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    assert!(fs::read_to_string(&file).expect("a picture").ends_with("</svg>"));
    let svg = printed(["picture", &guest("memtest-x64"), "-o", "/dev/stdout"]);
    assert!(svg.starts_with("<svg "), "{svg}");
}

#[test]
fn a_reader_that_stops_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pt"))
        .args(["tlb", &guest("xen-dom0")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pt starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    assert_eq!(first, "0000000000400000: 0000000013307000 XG--A--U-\n");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_pt"))
        .args(["info", &guest("memtest-x64")])
        .stdout(full)
        .output()
        .expect("pt starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
}

#[test]
fn wrong_usage_ends_with_2() {
    let image = guest("amd64-4level");
    for arguments in [
        &["walk"][..],
        &["frobnicate", "x"],
        &["walk", "x", "--root", "xyz"],
        &["walk", "x", "--range", "5..=1"],
        &["walk", "x", "--mode", "6level"],
        &["walk", "x", "--mode", "unpaged"],
        &["walk", "x", "--phys-bits", "60"],
        &["translate", "x"],
        &["walk", "x", "--events", "--json"],
        &["share", "x", "--root", "1000", "--cpu-roots"],
        &["man", "frobnicate"],
        &["diff", &image, "--root", "0x6168000"],
        &["roots", &image, "--range", "0..=1"],
        &["picture", &image, "-o", &image],
    ] {
        let output = pt(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn broken_input_is_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    fails_with(&["walk", "/nonexistent/image"], "/nonexistent/image");
    fails_with(&["walk", &file("empty", b"")], "empty");
    fails_with(&["info", &file("short.elf", b"\x7fELF\x02\x01\x01")], "short.elf");
    fails_with(&["walk", &file("raw", &[0; 8192])], "--mode");
    fails_with(&["walk", &file("raw", &[0; 8192]), "--mode", "4level"], "--root");
    let compressed = fs::read(guest("amd64-4level")).expect("a guest");
    fails_with(&["walk", &file("cut.xz", &compressed[..compressed.len() / 2])], "cut.xz");
    fails_with(&["walk", &guest("amd64-4level"), "--decode-limit", "1"], "limit");
}
