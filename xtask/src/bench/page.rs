//! docs/performance.md: the tables between its markers are written, all else is left as it is.
//!
//! ```text
//! <!-- measured: goals -->
//! (a table)
//! <!-- end -->
//! ```

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use super::figures::{FIGURES, Figures};
use super::results::{Ratio, Results, Time};
use super::works::{Goal, WORKS, Work};
use super::{instructions, machine, plot};

const PAGE: &str = "docs/performance.md";

pub(super) fn write(sh: &Shell) -> Result<()> {
    let results = Results::of(sh)?;
    let mut page = sh.read_file(PAGE)?;
    let mut put = |name: &str, text: String| -> Result<()> {
        page = replaced(&page, name, &text)?;
        Ok(())
    };
    put("machine", format!("{}.\n", machine::describe(sh)?))?;
    put("goals", goals(&results)?)?;
    for table in FIGURES {
        put(table.name, figures(&results, table)?)?;
    }
    put("instructions", counts(&instructions::on_record(sh)?))?;
    sh.write_file(PAGE, page)?;
    plot::write(sh, &results)
}

/// Each work, whom it is compared with, the ratio and its spread, and whether that is what is wanted.
fn goals(results: &Results) -> Result<String> {
    let mut table = String::from("| work | beside | | measured | goal | met |\n|---|---|---|---|---|---|\n");
    for work in WORKS {
        for guest in results.guests()? {
            let named = |text: &str| text.replace("{guest}", &guest);
            let others: Result<Vec<_>> = work.against.iter().map(|id| results.get(&named(id))).collect();
            match (results.get(&named(work.ours)), others) {
                (Ok(ours), Ok(others)) => {
                    let _ = writeln!(table, "{}", goal(&named(work.name), work, &ours, &others)?);
                }
                (Err(error), _) | (_, Err(error)) => println!("{}: left out: {error:#}", named(work.name)),
            }
            if !work.ours.contains("{guest}") {
                break;
            }
        }
    }
    Ok(table)
}

fn goal(name: &str, work: &Work, ours: &Time, others: &[Time]) -> Result<String> {
    let fastest =
        others.iter().min_by(|a, b| a.each().total_cmp(&b.each())).context("there is another side")?;
    let (ratio, said, wanted, met) = match work.goal {
        Goal::AtMost(most) => {
            let ratio = ours.over(fastest);
            (ratio, "our time over its", format!("≤ {most}"), ratio.median <= most)
        }
        Goal::AtLeast(least) => {
            let ratio = fastest.over(ours);
            (ratio, "its time over ours", format!("≥ {least}"), ratio.median >= least)
        }
    };
    let met = if met { "yes" } else { "**no**" };
    Ok(format!("| {name} | {} | {said} | {} | {wanted} | {met} |", work.who, shown(&ratio)))
}

/// One kind of work, all sides. What a side cannot do is left empty.
fn figures(results: &Results, table: &Figures) -> Result<String> {
    let heads: Vec<_> = table.columns.iter().map(|(head, _)| *head).collect();
    let mut text =
        format!("| {} | {} |\n|---|{}\n", table.what, heads.join(" | "), "---|".repeat(heads.len()));
    let mut found = 0;
    for (name, line) in table.lines {
        let cells = table.columns.iter().map(|(_, column)| {
            let time = results.get(&Figures::id(column, line)).ok();
            found += usize::from(time.is_some());
            time.map_or_else(String::new, |time| digits(time.each()))
        });
        let cells: Vec<_> = cells.collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    ensure!(found > 0, "nothing was measured for the table `{}`", table.name);
    Ok(text)
}

fn counts(loops: &[(String, u32)]) -> String {
    let mut text = String::from("| loop | instructions per element |\n|---|---|\n");
    for (name, count) in loops {
        let _ = writeln!(text, "| {name} | {} |", digits(f64::from(*count) / 1000.0));
    }
    text
}

fn shown(ratio: &Ratio) -> String {
    format!("{} ({} to {})", digits(ratio.median), digits(ratio.low), digits(ratio.high))
}

/// Two digits at least, and all before the point.
fn digits(number: f64) -> String {
    let places = if number >= 9.95 {
        0
    } else if number >= 0.995 {
        1
    } else if number >= 0.0995 {
        2
    } else {
        3
    };
    format!("{number:.places$}")
}

/// The page with another text between the markers of that name.
fn replaced(page: &str, name: &str, text: &str) -> Result<String> {
    let (start, end) = (format!("<!-- measured: {name} -->\n"), "<!-- end -->");
    let (before, rest) =
        page.split_once(&start).with_context(|| format!("{PAGE} has no `{}`", start.trim()))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("`{}` has no `{end}`", start.trim()))?;
    Ok(format!("{before}{start}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Time = Time { median: 100.0, low: 90.0, high: 110.0, elements: 10.0 };

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let page = "a\n<!-- measured: x -->\nold\n<!-- end -->\nb\n<!-- measured: y -->\n<!-- end -->\n";
        let new = replaced(page, "x", "new\n").unwrap();
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(replaced(&new, "y", "z\n").unwrap(), new.replace("y -->\n", "y -->\nz\n"));
        assert!(replaced(page, "z", "").is_err());
        assert!(replaced("<!-- measured: x -->\n", "x", "").is_err());
    }

    #[test]
    fn goals_are_met_or_not() {
        let slower = Time { median: 300.0, low: 290.0, high: 310.0, elements: 10.0 };
        let of = |goal| Work { name: "", ours: "", against: &[], who: "it", goal };
        let said = |goal, others: &[Time]| super::goal("work", &of(goal), &TIME, others).unwrap();
        let line = said(Goal::AtLeast(2.0), &[slower, slower]);
        assert_eq!(line, "| work | it | its time over ours | 3.0 (2.6 to 3.4) | ≥ 2 | yes |");
        // The fastest of them counts.
        assert!(said(Goal::AtLeast(2.0), &[slower, TIME]).ends_with("| 1.0 (0.82 to 1.2) | ≥ 2 | **no** |"));
        assert!(said(Goal::AtMost(0.4), &[slower]).ends_with("| 0.33 (0.29 to 0.38) | ≤ 0.4 | yes |"));
        assert!(said(Goal::AtMost(0.3), &[slower]).ends_with("| **no** |"));
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let shown: Vec<_> = [1234.5, 12.34, 9.96, 1.25, 0.997, 0.123, 0.0123].map(digits).into();
        assert_eq!(shown, ["1234", "12", "10", "1.2", "1.0", "0.12", "0.012"]);
    }

    #[test]
    fn every_table_has_its_place() {
        let page = include_str!("../../../docs/performance.md");
        for name in FIGURES.iter().map(|table| table.name).chain(["machine", "goals", "instructions"]) {
            assert!(replaced(page, name, "").is_ok(), "{name}");
        }
    }
}
