//! No text of the repository names a path of the machine that it was written on.

use super::Report;

/// Where such paths start (spelled in halves, or this file would be the first to be found).
const STARTS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tmp/", "bash")];

pub(super) fn check(path: &str, text: &str, report: &mut Report) {
    for (index, line) in text.lines().enumerate() {
        if let Some(start) = STARTS.into_iter().find(|start| names(line, start)) {
            report
                .problem(format!("{path}:{}", index + 1), format!("names a path of one machine (`{start}`)"));
        }
    }
}

/// Whether an absolute path in `line` starts with `start`: one that goes on from a name is relative.
fn names(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || "_-.}".contains(char))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_found_and_relative_ones_are_not() {
        let found = |line: String| {
            let mut report = Report::default();
            check("README.md", &line, &mut report);
            !report.problems.is_empty()
        };
        for start in STARTS {
            assert!(found(format!("{start}x")));
            assert!(found(format!("see `{start}x`")));
            assert!(found(format!("file://{start}x")));
            assert!(!found(format!("crates/pt-core{start}x")));
            assert!(!found(format!("..{start}x")));
        }
        assert!(!found("pages and tables".to_owned()));
    }
}
