//! What stands out where a person reads it.

use std::process::{Command, Stdio};

use crate::commands::guest;

/// What `pt` prints on a terminal, which `script` (of every Linux) pretends to be.
fn on_a_terminal(arguments: &[&str]) -> String {
    let call = [&[env!("CARGO_BIN_EXE_pt")], arguments].concat().join(" ");
    let mut script = Command::new("script");
    script
        .args(["-qec", &call, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    let output = script.output().expect("`script` of util-linux");
    assert!(output.status.success(), "{call}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn what_is_writable_and_executable_stands_out_on_a_terminal() {
    const DANGER: &str = "\x1b[1m\x1b[31m";
    let (memtest, pae, nonx) = (guest("memtest-x64"), guest("i686-pae"), guest("i686-pae-nonx"));
    // All of memtest86+ is; of a Linux guest without XD, what is appears in a comparison with one that has it.
    for arguments in [
        &["tlb", &memtest][..],
        &["mem", &memtest],
        &["translate", &memtest, "0"],
        &["find", &memtest, "0"],
        &["walk", &memtest, "--events"],
        &["diff", &pae, &nonx],
    ] {
        let text = on_a_terminal(arguments);
        assert!(text.contains(DANGER), "{arguments:?}: {}", &text[..text.len().min(300)]);
    }
    let text = on_a_terminal(&["diff", &pae, &nonx]);
    let marked = |line: &&str| line.starts_with(DANGER);
    assert!(text.lines().filter(marked).all(|line| line.contains("rwx")));
    let (_, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(marked);
    let now = |line: &str| line.rsplit("-> ").next().is_some_and(|now| now.contains("rwx"));
    assert!(rest.iter().all(|line| line.contains("gone") || !now(line)), "{rest:?}");
    assert!(
        !on_a_terminal(&["tlb", &guest("amd64-4level"), "--range", "0..=0x7fffffffffff"]).contains(DANGER)
    );
}
