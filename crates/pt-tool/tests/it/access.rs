//! `pt translate --access`: what the CPU makes of an access.

use std::fs;

use crate::{corpus, printed, pt};

#[test]
fn translate_judges_an_access() {
    let image = corpus().join("amd64-4level/tables.elf.xz");
    let image = image.to_str().expect("text");
    let of = |options: &[&str]| printed([&["translate", image, "0x400123"][..], options].concat());
    let text = of(&["--access", "w", "--user"]);
    assert!(text.contains("maps to 0x3307123, 4 KiB page, r-- user"), "{text}");
    assert!(text.ends_with("  #PF error 0x7: write, user, present: PTE at 0x630f000: R/W = 0\n"), "{text}");
    let text = of(&["--access", "r", "--user"]);
    assert!(text.ends_with("  read, user: permitted, PAT entry 0, protection key 0\n"), "{text}");
    // That guest has SMEP and SMAP on.
    let text = of(&["--access", "x"]);
    assert!(
        text.contains("#PF error 0x11: fetch, supervisor, present: PTE at 0x630f000: U/S = 1, SMEP"),
        "{text}"
    );
    let text = of(&["--access", "r"]);
    assert!(
        text.contains("#PF error 0x1: read, supervisor, present: PTE at 0x630f000: U/S = 1, SMAP"),
        "{text}"
    );
    assert!(!of(&["--access", "r", "--range", "0..=1"]).contains("#PF"), "not looked at");
    // Without CPU state: WP and NXE are on, the others off.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guest.raw");
    let mut memory = vec![0; 0x3000];
    memory[0x1000..0x1004].copy_from_slice(&0x85_u32.to_le_bytes());
    fs::write(&path, memory).expect("a file");
    let of = |options: &[&str]| {
        let image = [path.to_str().expect("text"), "--mode", "2level", "--root", "1000", "123"];
        printed([&["translate"], &image[..], options].concat())
    };
    assert!(
        of(&["--access", "w"]).contains("#PF error 0x3: write, supervisor, present: PDE at 0x1000: R/W = 0")
    );
    assert!(of(&["--access", "x"]).contains("fetch, supervisor: permitted"));
    // Who asks for nothing gets what there always was.
    assert!(of(&[]).ends_with("4 MiB page, r-x user\n"), "{}", of(&[]));
    let alone = pt(["translate", image, "0x400123", "--user"]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("--access"));
}
