//! Every command on every guest.

use std::collections::BTreeMap;
use std::path::Path;

use crate::oracle::{Guest, guests};
use crate::{printed, pt};

/// What a command is called with, after its name; and what it says of that guest, wherever it says it. Empty: nothing at all.
type Case = (Vec<String>, String);

fn cases(guest: &Guest, folder: &Path) -> BTreeMap<&'static str, Vec<Case>> {
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    let image = guest.image().to_str().expect("text").to_owned();
    let (svg, new, report) = (path("guest.svg"), path("new.elf"), path("report.json"));
    let (mode, count) = (guest.mode.as_str(), guest.roots.len());
    let listed = guest.roots.iter().flat_map(|root| ["--root".to_owned(), root.clone()]);
    let with = |options: &[&str]| -> Vec<String> {
        let options = options.iter().map(|&option| option.to_owned());
        std::iter::once(image.clone()).chain(options).collect()
    };
    // All roots of the list: Xen's are not all of one kernel part.
    let with_all =
        |options: &[&str]| -> Vec<String> { with(options).into_iter().chain(listed.clone()).collect() };
    let last = guest.roots.last().expect("a root").clone();
    // A page of the last root, as the command that lists pages has it.
    let page = printed(["tlb", &image, "--root", &last]).lines().last().expect("a page").to_owned();
    let (va, pa) = (&page[..16], &page[18..34]);
    let pa = u64::from_str_radix(pa, 16).expect("an address") & 0x000f_ffff_ffff_ffff;
    BTreeMap::from([
        ("info", vec![(with(&[]), format!("cpu 0: {mode}"))]),
        (
            "walk",
            vec![
                (with_all(&[]), format!("{count} space")),
                (with_all(&["--events"]), format!("space {} root {last}", count - 1)),
                (with_all(&["--json"]), format!("\"spaces\":{count}")),
            ],
        ),
        ("roots", vec![(with(&[]), format!(" {mode} CR3 of cpu 0"))]),
        ("tlb", vec![(with(&["--root", &last]), page.clone())]),
        ("mem", vec![(with(&["--root", &last]), " -r".to_owned())]),
        ("translate", vec![(with(&["--root", &last, va]), format!("maps to {pa:#x}, "))]),
        ("share", vec![(with_all(&[]), " within one, ".to_owned())]),
        ("find", vec![(with_all(&[&format!("{pa:#x}")]), format!("-> {pa:#x}"))]),
        (
            "diff",
            vec![
                (with(&[&image]), String::new()),
                (
                    with(&["--root", &guest.roots[0], "--root", &guest.roots[count / 2]]),
                    if count > 1 { "..=".to_owned() } else { String::new() },
                ),
            ],
        ),
        ("picture", vec![(with_all(&["-o", &svg]), format!("{svg}: {count} space"))]),
        (
            "rebuild",
            vec![(
                with_all(&["--table-frames", "live", "-o", &new, "--report", &report]),
                format!("{count} space"),
            )],
        ),
        ("verify", vec![(with(&[&new, "--report", &report]), format!("{count} space"))]),
        // What has nothing to do with an image.
        ("completions", vec![(vec!["bash".to_owned()], "_pt()".to_owned())]),
        ("man", vec![(Vec::new(), ".TH PT 1".to_owned())]),
    ])
}

/// The commands that there are.
fn commands() -> Vec<String> {
    let help = printed(["--help"]);
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn every_command_on_every_guest() {
    let commands = commands();
    for guest in guests() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cases = cases(&guest, folder.path());
        // In the order of the list, which has what is rebuilt before it is verified. None is missing here.
        for command in &commands {
            let of_command = cases.remove(command.as_str());
            let of_command = of_command.unwrap_or_else(|| panic!("{command}: a command without a case"));
            for (arguments, says) in of_command {
                let output = pt(std::iter::once(command).chain(&arguments));
                let what = format!("{}: {command} {arguments:?}", guest.variant);
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{what}: {errors}");
                // What is a guest's tables alone cannot be rebuilt in all ways, and that is said.
                assert!(
                    errors.is_empty() || command == "rebuild" && errors.lines().count() == 1,
                    "{what}: {errors}"
                );
                let text = String::from_utf8(output.stdout).expect("text");
                assert!(text.contains(&says), "{what} does not say {says:?}");
                assert_eq!(text.is_empty(), says.is_empty(), "{what}");
            }
        }
        assert!(cases.is_empty(), "no such command: {cases:?}");
    }
}
