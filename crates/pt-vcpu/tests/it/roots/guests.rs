//! Every guest of the corpus: exactly the roots that its list has.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use pt_image::{Image, OpenOptions};
use pt_vcpu::{FoundRoot, Machine, Paging, Reason, Registers, RootsLimits, find_roots, with_format};
use pt_x86::Mode;

/// A guest of the corpus, and its list of roots.
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) image: Image,
    pub(crate) paging: Paging,
    /// Each with what it is.
    pub(crate) listed: Vec<(u64, String)>,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pt-testkit/corpus")
}

fn hex(word: &str) -> u64 {
    u64::from_str_radix(word.trim_start_matches("0x"), 16).expect("hexadecimal")
}

/// The words in quotes of a text.
fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

/// What stands after `"key":`, up to `end`.
fn value<'a>(json: &'a str, key: &str, end: char) -> &'a str {
    let after = json.split_once(&format!("\"{key}\":")).expect(key).1;
    after.split_once(end).expect(key).0
}

impl Guest {
    fn open(folder: &Path) -> Self {
        let json = std::fs::read_to_string(folder.join("roots.json")).expect("roots.json");
        let kinds = value(&json, "root_kind", ']');
        let listed = quoted(value(&json, "roots", ']')).into_iter().map(|root| {
            let kind = value(value(kinds, root, '}'), "kind", '\n');
            (hex(root), quoted(kind)[0].to_owned())
        });
        let mode: Mode = quoted(value(&json, "mode", ','))[0].parse().expect("a mode");
        // TCG sets the accessed bit of PAE PDPTEs.
        let machine = Machine { strict_pdpte: false, ..Machine::default() };
        let registers = Registers { cr4: 0x10, efer: 0x800, ..Registers::default() };
        Self {
            name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
            image: Image::open(folder.join("tables.elf.xz"), &OpenOptions::new()).expect("a guest"),
            paging: Paging::of_mode(mode, &registers, &machine),
            listed: listed.collect(),
        }
    }

    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let folders = corpus().read_dir().expect("the corpus").map(|entry| entry.expect("an entry").path());
        let mut folders: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
        folders.sort();
        assert_eq!(folders.len(), 11, "guests");
        folders.iter().map(|folder| Self::open(folder)).collect()
    }

    pub(crate) fn of_cpus(&self) -> Vec<u64> {
        self.image.cpus().iter().map(|cpu| cpu.cr3).collect()
    }

    pub(crate) fn ranges(&self) -> Vec<RangeInclusive<u64>> {
        self.image.ranges().map(|range| range.start..=range.start + (range.held - 1)).collect()
    }

    /// The listed roots of these kinds, in the order of the list.
    pub(crate) fn of_kinds(&self, kinds: &[&str]) -> Vec<u64> {
        let these = self.listed.iter().filter(|(_, kind)| kinds.contains(&kind.as_str()));
        these.map(|&(root, _)| root).collect()
    }

    pub(crate) fn find(&self, given: &[u64]) -> Vec<FoundRoot> {
        let found = with_format!(
            &self.paging,
            |format| find_roots(format, &self.image, self.ranges(), given, &RootsLimits::default()),
            unpaged => unreachable!(),
        );
        found.expect("within the limits")
    }
}

fn addresses(found: &[FoundRoot]) -> Vec<u64> {
    found.iter().map(|found| found.root).collect()
}

#[test]
fn the_roots_of_every_guest_are_those_of_its_list() {
    for guest in Guest::all() {
        let all = ["kernel-view", "user-view", "shared-kernel-pmd", "current"];
        let of_view = if guest.name == "xen-dom0" { &["pv-kernel"][..] } else { &all };
        let expected = guest.of_kinds(of_view);
        let found = guest.find(&guest.of_cpus());
        assert_eq!(addresses(&found), expected, "{}", guest.name);
        if guest.name != "xen-dom0" {
            assert_eq!(expected.len(), guest.listed.len(), "{}", guest.name);
        }
    }
}

#[test]
fn every_root_of_a_view_finds_the_same() {
    for guest in Guest::all() {
        let whole = addresses(&guest.find(&guest.of_cpus()));
        for (given, kind) in &guest.listed {
            let found = guest.find(&[*given]);
            let is_given = |found: &&FoundRoot| matches!(found.reason, Reason::Given | Reason::GivenEmpty);
            assert_eq!(found.iter().filter(is_given).count(), 1, "{} {given:#x}", guest.name);
            let expected = if guest.name == "xen-dom0" { guest.of_kinds(&[kind]) } else { whole.clone() };
            assert_eq!(addresses(&found), expected, "{} {given:#x}", guest.name);
        }
    }
}

#[test]
fn under_xen_roots_of_all_views_find_all() {
    let guest = Guest::all().into_iter().find(|guest| guest.name == "xen-dom0").expect("Xen");
    let views = ["pv-kernel", "pv-user", "idle"].map(|kind| guest.of_kinds(&[kind])[0]);
    let mut all: Vec<u64> = guest.listed.iter().map(|&(root, _)| root).collect();
    all.sort_unstable();
    assert_eq!(addresses(&guest.find(&views)), all);
}

#[test]
fn reasons_say_how_a_root_was_told() {
    for guest in Guest::all() {
        let cpus: Vec<u64> = guest.of_cpus().iter().filter_map(|&cr3| guest.paging.root(cr3)).collect();
        for found in guest.find(&guest.of_cpus()) {
            let kind = &guest.listed.iter().find(|(root, _)| *root == found.root).expect("listed").1;
            match found.reason {
                Reason::Given => assert!(cpus.contains(&found.root)),
                Reason::GivenEmpty => assert_eq!(guest.name, "memtest-x64"),
                Reason::KernelPart { like } => {
                    assert!(cpus.contains(&like) && (kind == "kernel-view" || kind == "pv-kernel"), "{kind}");
                }
                Reason::SharedDirectory { like, .. } => {
                    assert!(cpus.contains(&like) && kind == "shared-kernel-pmd", "{kind}");
                }
                Reason::UserHalf { kernel } => {
                    assert_eq!((kernel, kind.as_str()), (found.root - 0x1000, "user-view"));
                }
                other => panic!("{} {:#x}: {other}", guest.name, found.root),
            }
        }
    }
}
