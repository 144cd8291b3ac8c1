//! `pt walk`: what each space has and shares, as a table for people or as JSON lines.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use pt_core::{Format, Geometry, Level, SpaceCounts, Total};
use serde::Serialize;

use crate::guest::Guest;
use crate::output::{Output, Tone};
use crate::show::{Size, page_size};

pub(super) fn print<F: Format>(
    _: F,
    guest: &Guest,
    spaces: &[SpaceCounts],
    out: &mut Output,
) -> anyhow::Result<()> {
    let sizes = page_sizes::<F>(spaces);
    let pages = columns(sizes.iter().map(|&level| page_size::<F>(level)));
    let heading = format!(
        "{:<18} {:>7} {:>7} {:>7} {:>7} {:>7}{pages} {:>20}",
        format!("root ({})", guest.paging.mode()),
        "owned",
        "shared",
        "links",
        "within",
        "faults",
        "mapped"
    );
    writeln!(out, "{}", out.tone(Tone::Heading, heading))?;
    for (root, space) in guest.roots.iter().zip(spaces) {
        let pages = columns(sizes.iter().map(|&level| leaves(space, level)));
        writeln!(
            out,
            "{:<18} {:>7} {:>7} {:>7} {:>7} {:>7}{pages} {:>20}",
            format!("{root:#x}"),
            space.tables_owned,
            space.tables_shared,
            space.another_space,
            space.same_space,
            space.faults_met,
            Size(space.reached.bytes::<F>()),
        )?;
    }
    let total: Total = spaces.iter().collect();
    writeln!(out)?;
    writeln!(
        out,
        "{} spaces: {} tables with {} leaves, each met once",
        total.spaces, total.tables, total.leaves_met
    )?;
    writeln!(
        out,
        "{} links to another space's tables and {} within a space ({} to tables without a leaf)",
        total.another_space, total.same_space, total.empty
    )?;
    writeln!(out, "{} leaves over all paths; {} faults", total.expanded_leaves, total.faults_met)?;
    Ok(())
}

fn columns<T: fmt::Display>(values: impl Iterator<Item = T>) -> String {
    values.fold(String::new(), |line, value| format!("{line} {value:>10}"))
}

/// The levels that have a page in any of the spaces, and level 1.
fn page_sizes<F: Format>(spaces: &[SpaceCounts]) -> Vec<Level> {
    let levels = (1..=F::LEVELS).filter_map(Level::new);
    levels
        .filter(|&level| level == Level::LEAF || spaces.iter().any(|space| leaves(space, level) != 0))
        .collect()
}

fn leaves(space: &SpaceCounts, level: Level) -> u64 {
    space.reached.leaves[level.number() as usize - 1]
}

#[derive(Serialize)]
struct SpaceLine {
    space: usize,
    root: String,
    mode: &'static str,
    tables_owned: u64,
    tables_shared: u64,
    another_space: u64,
    same_space: u64,
    empty_shared: u64,
    leaves_met: u64,
    faults: u64,
    /// Over all paths of the space, by page size in bytes.
    leaves: BTreeMap<u64, u64>,
    mapped_bytes: u64,
}

#[derive(Serialize)]
struct TotalLine {
    total: TotalCounts,
}

#[derive(Serialize)]
struct TotalCounts {
    spaces: u64,
    tables: u64,
    leaves: u64,
    another_space: u64,
    same_space: u64,
    faults: u64,
    expanded_leaves: u128,
}

pub(super) fn print_json<F: Format>(
    _: F,
    guest: &Guest,
    spaces: &[SpaceCounts],
    out: &mut Output,
) -> anyhow::Result<()> {
    let levels = page_sizes::<F>(spaces);
    for (space, (root, counts)) in guest.roots.iter().zip(spaces).enumerate() {
        let line = SpaceLine {
            space,
            root: format!("{root:#x}"),
            mode: guest.paging.mode().name(),
            tables_owned: counts.tables_owned,
            tables_shared: counts.tables_shared,
            another_space: counts.another_space,
            same_space: counts.same_space,
            empty_shared: counts.empty,
            leaves_met: counts.leaves_met,
            faults: counts.faults_met,
            leaves: levels.iter().map(|&level| (F::entry_span(level), leaves(counts, level))).collect(),
            mapped_bytes: counts.reached.bytes::<F>(),
        };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    let total: Total = spaces.iter().collect();
    let total = TotalCounts {
        spaces: total.spaces,
        tables: total.tables,
        leaves: total.leaves_met,
        another_space: total.another_space,
        same_space: total.same_space,
        faults: total.faults_met,
        expanded_leaves: total.expanded_leaves,
    };
    writeln!(out, "{}", serde_json::to_string(&TotalLine { total })?)?;
    Ok(())
}
