//! Rules for crates: where dependencies point, what directories are called, and who may be `unsafe` at all.

use super::Report;
use super::code::code_only;
use crate::workspace::Package;

/// The published crates. A dependency only ever points from a later one to an earlier one.
const ORDER: [&str; 9] = [
    "pt-core",
    "pt-x86",
    "pt-amd64",
    "pt-i686",
    "pt-vcpu",
    "pt-rebuild",
    "pt-image",
    "pt-vm-memory",
    "pt-tool",
];

/// Crates that support the others: they may depend on any of those, and nothing but tests and benches on them.
const TESTKIT: &str = "pt-testkit";
const BENCHES: &str = "pt-benches";

/// Crates with modules that may be `unsafe`: the raw interface, the embedders that it is tested with, the one that maps
/// files, and those that implement the traits of peers. They deny it elsewhere; all others forbid it.
const WITH_UNSAFE: [&str; 6] = ["pt-core", "pt-amd64", "pt-i686", "pt-image", "pt-testkit", BENCHES];

pub(super) fn check(packages: &[Package], report: &mut Report) {
    let place = |name: &str| ORDER.iter().position(|&crate_| crate_ == name);
    for package in packages {
        let Package { name, directory, .. } = package;
        let own = directory.rsplit('/').next().unwrap_or_default();
        if name != own && (package.is_in("crates") || *name != format!("pt-{own}")) {
            report.problem(directory, format!("its crate is called {name}"));
        }
        if package.is_in("crates") && name != TESTKIT && place(name).is_none() {
            report.problem(directory, "has no place in ORDER (xtask/src/tidy/crates.rs)");
        }
        for dependency in package.dependencies.iter().filter(|dependency| dependency.local && !dependency.dev)
        {
            let to = dependency.name.as_str();
            let allowed = match (place(name), place(to)) {
                (Some(from), Some(to)) => to < from,
                (None, Some(_)) => name != "xtask",
                (_, None) => name == BENCHES && to == TESTKIT,
            };
            if !allowed {
                report.problem(directory, format!("{name} may not depend on {to}, other than in its tests"));
            }
        }
    }
}

/// `root` is the file in which a library or a binary of the crate begins.
pub(super) fn check_root(name: &str, root: &str, text: &str, report: &mut Report) {
    let code = code_only(text);
    let denies = WITH_UNSAFE.contains(&name) && code.contains("#![deny(unsafe_code)]");
    if !denies && !code.contains("#![forbid(unsafe_code)]") {
        report.problem(root, "does not say `#![forbid(unsafe_code)]`");
    }
}

pub(super) fn check_manifest(path: &str, text: &str, report: &mut Report) {
    if !text.contains("[lints]\nworkspace = true") {
        report.problem(path, "does not take the lints of the workspace");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, directory: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependencies =
            dependencies.iter().map(|&(name, dev)| Dependency { name: name.to_owned(), dev, local: true });
        Package {
            name: name.to_owned(),
            directory: directory.to_owned(),
            dependencies: dependencies.collect(),
            ..Package::default()
        }
    }

    fn found(name: &str, directory: &str, dependencies: &[(&str, bool)]) -> usize {
        let mut report = Report::default();
        check(&[package(name, directory, dependencies)], &mut report);
        report.problems.len()
    }

    #[test]
    fn dependencies_point_upwards() {
        let (normal, dev) = (false, true);
        assert_eq!(found("pt-amd64", "crates/pt-amd64", &[("pt-core", normal), ("pt-x86", normal)]), 0);
        assert_eq!(found("pt-core", "crates/pt-core", &[("pt-amd64", normal)]), 1);
        assert_eq!(found("pt-core", "crates/pt-core", &[("pt-amd64", dev), ("pt-testkit", dev)]), 0);
        assert_eq!(found("pt-tool", "crates/pt-tool", &[("pt-testkit", normal)]), 1);
        assert_eq!(found("pt-testkit", "crates/pt-testkit", &[("pt-core", normal)]), 0);
        assert_eq!(found("pt-benches", "benches", &[("pt-testkit", normal), ("pt-core", normal)]), 0);
        assert_eq!(found("xtask", "xtask", &[("pt-core", normal)]), 1);
    }

    #[test]
    fn directories_are_named_after_crates() {
        assert_eq!(found("pt-core", "crates/core", &[]), 1);
        assert_eq!(found("pt-benches", "benches", &[]), 0);
        assert_eq!(found("other", "benches", &[]), 1);
        assert_eq!(found("pt-new", "crates/pt-new", &[]), 1);
    }

    #[test]
    fn roots_forbid_unsafe() {
        let found = |name, text| {
            let mut report = Report::default();
            check_root(name, "src/lib.rs", text, &mut report);
            report.problems.len()
        };
        assert_eq!(found("pt-x86", "#![forbid(unsafe_code)]"), 0);
        assert_eq!(found("pt-x86", "#![deny(unsafe_code)]"), 1);
        assert_eq!(found("pt-core", "#![deny(unsafe_code)]"), 0);
        assert_eq!(found("pt-core", "// #![deny(unsafe_code)]"), 1);
    }

    #[test]
    fn lints_are_the_workspace_s() {
        let mut report = Report::default();
        check_manifest("Cargo.toml", "[dependencies]\n\n[lints]\nworkspace = true\n", &mut report);
        assert!(report.problems.is_empty());
        check_manifest("Cargo.toml", "[dependencies]\n", &mut report);
        assert_eq!(report.problems.len(), 1);
    }
}
