//! docs/dependencies.md against the manifests: a line per dependency, no line without one, and the right users in it.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use crate::workspace::Package;

pub(super) const PAGE: &str = "docs/dependencies.md";

pub(super) fn check(packages: &[Package], page: &str, report: &mut Report) {
    let mut users = BTreeMap::<&str, BTreeSet<&str>>::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.local) {
            users.entry(&dependency.name).or_default().insert(&package.name);
        }
    }
    for (number, name, said, why) in lines(page) {
        let place = format!("{PAGE}:{number}");
        match users.remove(name) {
            None => {
                report.problem(&place, format!("nothing depends on {name} (any more, or it has two lines)"));
            }
            Some(users) if users != said.split(", ").collect() => {
                report.problem(&place, format!("{name} is used by {}", listed(&users)));
            }
            Some(_) if why.is_empty() => report.problem(&place, format!("does not say why {name} is used")),
            Some(_) => {}
        }
    }
    for (name, users) in users {
        report.problem(PAGE, format!("lacks a line: | {name} | {} | why |", listed(&users)));
    }
}

/// Line number, name, users and reason of each line of the table but its head.
fn lines(page: &str) -> impl Iterator<Item = (usize, &str, &str, &str)> {
    page.lines().enumerate().filter_map(|(index, line)| {
        let cells: Vec<_> =
            line.strip_prefix('|')?.trim_end().strip_suffix('|')?.split('|').map(str::trim).collect();
        match cells[..] {
            [name, users, why] if name != "name" && !name.starts_with("--") => {
                Some((index + 1, name, users, why))
            }
            _ => None,
        }
    })
}

fn listed(users: &BTreeSet<&str>) -> String {
    users.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn found(table: &str) -> Vec<String> {
        let package = |name: &str| Package {
            name: name.to_owned(),
            dependencies: vec![Dependency { name: "bitflags".to_owned(), dev: false, local: false }],
            ..Package::default()
        };
        let mut report = Report::default();
        let page = format!("# Dependencies\n\n| name | used by | why |\n|---|---|---|\n{table}");
        check(&[package("pt-core"), package("pt-x86")], &page, &mut report);
        report.problems
    }

    #[test]
    fn the_page_says_what_the_manifests_say() {
        assert!(found("| bitflags | pt-core, pt-x86 | named bits |\n").is_empty());
        assert!(found("| bitflags | pt-x86, pt-core | named bits |\n").is_empty());
        assert_eq!(found("| bitflags | pt-core | named bits |\n").len(), 1);
        assert_eq!(found("| bitflags | pt-core, pt-x86 | |\n").len(), 1);
        assert_eq!(found("").len(), 1);
        let line = "| bitflags | pt-core, pt-x86 | named bits |\n";
        assert!(found(&line.repeat(2))[0].starts_with("docs/dependencies.md:6: "));
        assert_eq!(found(&format!("{line}| libc | pt-core | calls |\n")).len(), 1);
    }
}
