//! Mutants that change nothing that anyone could see, with the reason: `docs/equivalent-mutants.md`, as people read it.
//!
//! In its blocks of code each of them is what cargo-mutants calls it, without line and column, and below that the line of
//! the source, with what is replaced in «these»; where that is more than one line, there is none. So a list goes on holding while
//! sources move, and says when it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::list::Mutant;

/// Where they are listed.
const LIST: &str = "docs/equivalent-mutants.md";

/// What a mutant is, wherever it stands: its name, and its line of the source.
type Known = (String, Option<String>);

/// The numbers, counted from 1, of those of `mutants` that are listed. What is listed of their crates has to be among them.
pub(crate) fn numbers(root: &Path, mutants: &[Mutant]) -> Result<BTreeSet<u32>> {
    let list = std::fs::read_to_string(root.join(LIST)).with_context(|| format!("{LIST} cannot be read"))?;
    let mut texts = BTreeMap::new();
    let mut numbers: BTreeMap<Known, Vec<u32>> = BTreeMap::new();
    for (number, mutant) in (1..).zip(mutants) {
        if !texts.contains_key(&mutant.file) {
            texts.insert(&mutant.file, std::fs::read_to_string(root.join(&mutant.file))?);
        }
        numbers.entry(known(mutant, &texts[&mutant.file])).or_default().push(number);
    }
    let crates: BTreeSet<String> =
        mutants.iter().map(|mutant| format!("crates/{}/", mutant.package)).collect();
    let mut listed = BTreeSet::new();
    for entry in entries(&list) {
        let found = numbers.get(&entry);
        let concerned = crates.iter().any(|path| entry.0.starts_with(path));
        ensure!(found.is_some() || !concerned, "{LIST} lists what is no mutant any more: {entry:#?}");
        listed.extend(found.into_iter().flatten());
    }
    Ok(listed)
}

fn entries(list: &str) -> Vec<Known> {
    let mut entries: Vec<Known> = Vec::new();
    let mut inside = false;
    for line in list.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside && line.starts_with("crates/") {
            entries.push((line.to_owned(), None));
        } else if let (true, Some(last)) = (inside && !line.trim().is_empty(), entries.last_mut()) {
            last.1 = Some(line.trim().to_owned());
        }
    }
    entries
}

fn known(mutant: &Mutant, text: &str) -> Known {
    // File, line, column, and what is done.
    let done = mutant.name.splitn(4, ':').nth(3).unwrap_or_default();
    let name = format!("{}:{done}", mutant.file);
    let (start, end) = (mutant.span.start, mutant.span.end);
    let line = text.lines().nth(start.line - 1).filter(|_| start.line == end.line);
    let marked = line.map(|line| {
        let characters: Vec<char> = line.chars().collect();
        let part =
            |from: usize, to: usize| characters[from.min(characters.len())..to.min(characters.len())].iter();
        let (start, end) = (start.column - 1, end.column - 1);
        let marked = part(0, start).chain(&['«']).chain(part(start, end)).chain(&['»']);
        marked.chain(part(end, characters.len())).collect::<String>().trim().to_owned()
    });
    (name, marked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{Genre, Position, Span};

    #[test]
    fn a_listed_mutant_is_known_wherever_it_stands() {
        let at = |line, column| Position { line, column };
        let mutant = Mutant {
            name: "crates/pt-x/src/lib.rs:2:7: replace | with ^ in f".to_owned(),
            package: "pt-x".to_owned(),
            file: "crates/pt-x/src/lib.rs".to_owned(),
            function: None,
            span: Span { start: at(2, 7), end: at(2, 8) },
            replacement: "^".to_owned(),
            genre: Genre::BinaryOperator,
        };
        let text = "fn f() {\n    π | b\n}\n";
        let list = "why\n```text\ncrates/pt-x/src/lib.rs: replace | with ^ in f\n    π «|» b\n```\nmore\n";
        assert_eq!(entries(list), [known(&mutant, text)]);
    }
}
