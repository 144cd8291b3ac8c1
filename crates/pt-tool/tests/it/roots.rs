//! `pt roots`, and the roots that other commands take when none is named.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pt_core::Memory;
use pt_image::{Image, OpenOptions};

use crate::oracle::{Guest, guests};
use crate::printed;

/// The first words of lines.
fn first_words(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn every_guest_has_the_roots_of_its_list() {
    for guest in guests() {
        let text = printed(["roots".as_ref(), guest.image().as_os_str()]);
        let mode = format!(" {} ", guest.mode);
        assert!(text.lines().all(|line| line.contains(&mode)), "{text}");
        if guest.variant == "xen-dom0" {
            // Of 40: those of the PV kernel, whose view is current.
            assert_eq!(text.lines().count(), 24);
            assert!(first_words(&text).iter().all(|root| guest.roots.iter().any(|listed| listed == root)));
        } else {
            assert_eq!(first_words(&text), guest.roots, "{}", guest.variant);
        }
    }
}

#[test]
fn lines_say_what_tells_a_root() {
    let of = |name: &str| {
        let guest = guests().into_iter().find(|guest| guest.variant == name).expect("a guest");
        printed(["roots".as_ref(), guest.image().as_os_str()])
    };
    let text = of("amd64-smp4-pti");
    for line in [
        "0x9c000 4level kernel part as 0x35ee000",
        "0x35ee000 4level CR3 of cpu 0",
        "0x35ef000 4level user half of the pair with 0x35ee000",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}: {text}");
    }
    // Two CPUs are idle, in the same space.
    assert_eq!(text.lines().filter(|line| line.contains("CR3 of cpu")).count(), 3);
    assert!(
        text.lines().any(|line| line.starts_with("0x9610000 4level CR3 of cpu ") && line.contains(", ")),
        "{text}"
    );
    assert!(of("i686-pae").contains("0x5e98000 pae fourth directory 0x5e94000 as 0x1219840\n"));
    assert_eq!(
        of("memtest-x64"),
        "0x11c000 4level CR3 of cpu 0; its kernel part is empty, others cannot be told by it\n"
    );
}

#[test]
fn walk_takes_all_roots_and_finds_what_the_list_has() {
    for guest in guests().into_iter().filter(|guest| guest.variant != "xen-dom0") {
        let of_list = |command: &str| {
            let image = guest.image();
            let image = image.to_str().expect("text");
            let mut arguments = vec![command, image];
            arguments.extend(guest.roots.iter().flat_map(|root| ["--root", root]));
            printed(arguments)
        };
        for command in ["walk", "share"] {
            let all = printed([command.as_ref(), guest.image().as_os_str()]);
            assert_eq!(all, of_list(command), "{} {command}", guest.variant);
        }
    }
}

/// A raw file of a guest's tables at their addresses, with holes between.
fn raw(guest: &Guest, folder: &Path) -> PathBuf {
    let image = Image::open(guest.image(), &OpenOptions::new()).expect("a guest");
    let path = folder.join(&guest.variant);
    let mut file = File::create(&path).expect("a file");
    for range in image.ranges() {
        file.seek(SeekFrom::Start(range.start)).expect("a place");
        let mut bytes = vec![0; usize::try_from(range.held).expect("small")];
        image.read(range.start, &mut bytes).expect("held");
        file.write_all(&bytes).expect("written");
    }
    path
}

#[test]
fn without_registers_candidates_are_ranked_and_one_finds_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    for guest in
        guests().iter().filter(|guest| ["amd64-4level", "i686-pae", "memtest-x64"].contains(&&*guest.variant))
    {
        let path = raw(guest, folder.path());
        let path = path.to_str().expect("text");
        let ranked = printed(["roots", path]);
        let best: Vec<&str> = ranked.lines().take(guest.roots.len()).collect();
        let of_mode = format!(" {} candidate: links ", guest.mode);
        assert!(best.iter().all(|line| line.contains(&of_mode)), "{ranked}");
        let mut roots = first_words(&ranked)[..guest.roots.len()].to_vec();
        let found = printed(["roots", path, "--mode", &guest.mode, "--root", roots[0]]);
        assert_eq!(first_words(&found), guest.roots);
        roots.sort_by_key(|root| guest.roots.iter().position(|listed| listed == root));
        assert_eq!(roots, guest.roots);
        // Of one mode, and of a few.
        let ranked = printed(["roots", path, "--mode", &guest.mode, "--candidates", "3"]);
        assert!(
            ranked.lines().count() <= 3 && ranked.lines().all(|line| line.contains(&of_mode)),
            "{ranked}"
        );
    }
    let empty = folder.path().join("empty");
    std::fs::write(&empty, [0; 0x3000]).expect("a file");
    let output = crate::pt(["roots".as_ref(), empty.as_os_str()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no page makes sense as a root"));
}

/// Read whole, it would take minutes.
#[cfg(target_os = "linux")]
#[test]
fn a_terabyte_of_holes_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let guests = guests();
    let guest = guests.iter().find(|guest| guest.variant == "amd64-4level").expect("a guest");
    let path = raw(guest, folder.path());
    File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let path = path.to_str().expect("text");
    let start = std::time::Instant::now();
    let found = printed(["roots", path, "--mode", "4level", "--root", &guest.roots[0]]);
    assert_eq!(first_words(&found), guest.roots);
    let ranked = printed(["roots", path, "--candidates", "25"]);
    assert!(
        first_words(&ranked).iter().all(|root| guest.roots.iter().any(|listed| listed == root)),
        "{ranked}"
    );
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn of_too_many_roots_the_first_are_printed_and_what_was_reached() {
    let guest = &guests()[0];
    let output =
        crate::pt(["roots".as_ref(), guest.image().as_os_str(), "--max-roots".as_ref(), "3".as_ref()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("more than 3 roots: the next is at 0x2738000"), "{errors}");
    // The CPU's root is known before any is found.
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(first_words(&text), ["0x9c000", "0x105c000", "0x1062000", "0x27c2000"]);
}
