//! What is compared with what, and how far we want to be: the one list from which the table of goals is made.
//!
//! Results are named as criterion names their folders: group, then function, then parameter.

use std::path::Path;

use anyhow::{Context, Result};

/// What is wanted of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// Our time over the other's.
    AtMost(f64),
    /// The other's time over ours.
    AtLeast(f64),
}
use Goal::{AtLeast, AtMost};

/// Ahead of it.
const AHEAD: Goal = AtLeast(1.0);

/// One line of the table of goals: a work, ours, whom it is compared with (the fastest of several), and the goal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) ours: &'static str,
    pub(super) against: &'static [&'static str],
    /// What the other side is called.
    pub(super) who: &'static str,
    pub(super) goal: Goal,
}

const fn work(
    name: &'static str,
    ours: &'static str,
    against: &'static [&'static str],
    who: &'static str,
    goal: Goal,
) -> Work {
    Work { name, ours, against, who, goal }
}

macro_rules! group {
    ($group:literal: $($id:literal),+) => { &[$(concat!($group, "/", $id)),+] };
}

/// The goals. `{guest}` stands for the name of a whole image.
pub(super) const WORKS: &[Work] = &[
    work(
        "walk, contiguous, as runs",
        "walk-contiguous/runs",
        group!("walk-contiguous": "floor"),
        "the floor",
        AtMost(3.0),
    ),
    work(
        "walk, contiguous, as runs",
        "walk-contiguous/runs",
        group!("walk-contiguous": "hyperlight-pages", "page_table_multiarch", "page-table-generic", "memflow"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "walk, scattered, each leaf",
        "walk-scattered/fold",
        group!("walk-scattered": "hyperlight-pages", "page_table_multiarch", "page-table-generic", "memflow"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "walk, scattered, as runs",
        "walk-scattered/runs",
        group!("walk-scattered": "hyperlight-pages", "page_table_multiarch", "page-table-generic", "memflow"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "walk, 1 in 16 present, as runs",
        "walk-sparse/runs",
        group!("walk-sparse": "hyperlight-pages", "page_table_multiarch", "page-table-generic", "memflow"),
        "the fastest peer",
        AtMost(1.1),
    ),
    work(
        "walk, 1 in 16 present, each leaf",
        "walk-sparse/fold",
        group!("walk-sparse": "hyperlight-pages", "page_table_multiarch", "page-table-generic", "memflow"),
        "the fastest peer",
        AtMost(1.1),
    ),
    work(
        "walk, 2 MiB pages, as runs",
        "walk-large/runs",
        group!("walk-large": "page_table_multiarch", "page-table-generic", "memflow"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "every leaf, `fold`",
        "walk-contiguous/fold",
        group!("walk-contiguous": "hyperlight-pages", "page_table_multiarch", "page-table-generic", "memflow"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "every leaf, `next`",
        "walk-contiguous/next",
        group!("walk-contiguous": "hyperlight-pages"),
        "hyperlight's iterator",
        AHEAD,
    ),
    work(
        "1024 spaces, contiguous, per table",
        "spaces-contiguous/runs/1024",
        &["spaces-contiguous/runs/1"],
        "one space",
        AtMost(1.5),
    ),
    work(
        "1024 spaces, scattered, per table",
        "spaces-scattered/runs/1024",
        &["spaces-scattered/runs/1"],
        "one space",
        AtMost(1.5),
    ),
    work(
        "64 spaces, contiguous, as runs",
        "spaces-contiguous/runs/64",
        &["spaces-contiguous/hyperlight/64"],
        "hyperlight",
        AtLeast(500.0),
    ),
    work(
        "64 spaces, scattered, each leaf",
        "spaces-scattered/fold/64",
        &["spaces-scattered/hyperlight/64"],
        "hyperlight",
        AtLeast(300.0),
    ),
    work(
        "64 spaces, scattered, as runs",
        "spaces-scattered/runs/64",
        &["spaces-scattered/hyperlight/64"],
        "hyperlight",
        AtLeast(300.0),
    ),
    work(
        "raw `walk_va_spaces`, one root",
        "walk-contiguous/raw-walk",
        group!("walk-contiguous": "hyperlight-walk"),
        "hyperlight",
        AtLeast(1.5),
    ),
    work(
        "raw `walk_va_spaces`, scattered",
        "walk-scattered/raw-walk",
        group!("walk-scattered": "hyperlight-walk"),
        "hyperlight",
        AtLeast(1.5),
    ),
    work(
        "raw `virt_to_phys`",
        "walk-contiguous/raw-pages",
        group!("walk-contiguous": "hyperlight-pages"),
        "hyperlight",
        AHEAD,
    ),
    work(
        "translate, hot",
        "translate-hot/address",
        group!("translate-hot": "x86_64-translate_addr"),
        "`translate_addr`",
        AtMost(1.0),
    ),
    work(
        "translate, random over 4 GiB",
        "translate-random/address",
        group!("translate-random": "x86_64-translate_addr"),
        "`translate_addr`",
        AtMost(1.0),
    ),
    work(
        "translate, sorted batch",
        "translate-sorted/batch",
        group!("translate-sorted": "x86_64-translate_addr"),
        "`translate_addr`",
        AtMost(1.0),
    ),
    work(
        "translate, sorted batch",
        "translate-sorted/batch",
        group!("translate-sorted": "memflow"),
        "memflow's batch",
        AHEAD,
    ),
    work(
        "map 1 GiB of 4 KiB pages",
        "map-small/ours",
        group!("map-small": "floor"),
        "the floor",
        AtMost(1.0),
    ),
    work(
        "map 1 GiB of 4 KiB pages",
        "map-small/ours",
        group!("map-small": "hyperlight", "page_table_multiarch", "page-table-generic", "x86_64"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "unmap 1 GiB of 4 KiB pages",
        "unmap-small/ours",
        group!("unmap-small": "floor"),
        "the floor",
        AtMost(1.0),
    ),
    work(
        "unmap 1 GiB of 4 KiB pages",
        "unmap-small/ours",
        group!("unmap-small": "page_table_multiarch", "page-table-generic", "x86_64"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "protect 1 GiB of 4 KiB pages",
        "protect-small/ours",
        group!("protect-small": "floor"),
        "the floor",
        AtMost(1.0),
    ),
    work(
        "protect 1 GiB of 4 KiB pages",
        "protect-small/ours",
        group!("protect-small": "page_table_multiarch", "page-table-generic", "x86_64"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "map 1 GiB of 2 MiB pages",
        "map-large/ours",
        group!("map-large": "floor"),
        "the floor",
        AtMost(1.0),
    ),
    work(
        "map 1 GiB of 2 MiB pages",
        "map-large/ours",
        group!("map-large": "page_table_multiarch", "page-table-generic", "x86_64"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "unmap 1 GiB of 2 MiB pages",
        "unmap-large/ours",
        group!("unmap-large": "floor"),
        "the floor",
        AtMost(1.0),
    ),
    work(
        "unmap 1 GiB of 2 MiB pages",
        "unmap-large/ours",
        group!("unmap-large": "page_table_multiarch", "page-table-generic", "x86_64"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "protect 1 GiB of 2 MiB pages",
        "protect-large/ours",
        group!("protect-large": "floor"),
        "the floor",
        AtMost(1.0),
    ),
    work(
        "protect 1 GiB of 2 MiB pages",
        "protect-large/ours",
        group!("protect-large": "page_table_multiarch", "page-table-generic", "x86_64"),
        "the fastest peer",
        AHEAD,
    ),
    work(
        "map page by page, raw",
        "map-amd64/pages-new_ours",
        &["map-amd64/pages-new_hyperlight"],
        "hyperlight",
        AtLeast(4.0),
    ),
    work(
        "map page by page, `Editor`",
        "map-pages/ours",
        group!("map-pages": "hyperlight"),
        "hyperlight",
        AtLeast(4.0),
    ),
    work(
        "rebuild {guest}, compact",
        "rebuild-{guest}-compact/everything",
        &["rebuild-{guest}-compact/copy"],
        "a copy of the same bytes",
        AtMost(1.25),
    ),
    work(
        "tables of {guest}, compact",
        "rebuild-{guest}-compact/tables",
        &["rebuild-{guest}-compact/everything"],
        "all of it",
        AtMost(0.1),
    ),
    work(
        "rebuild {guest}, keep",
        "rebuild-{guest}-keep/everything",
        &["rebuild-{guest}-keep/copy"],
        "a copy of the same bytes",
        AtMost(1.25),
    ),
    work(
        "tables of {guest}, keep",
        "rebuild-{guest}-keep/tables",
        &["rebuild-{guest}-keep/everything"],
        "all of it",
        AtMost(0.1),
    ),
    work(
        "`pt walk`, {guest}",
        "process/{guest}/walk",
        &["process/{guest}/cat"],
        "`cat IMAGE > /dev/null`",
        AtMost(1.5),
    ),
    work(
        "`pt rebuild --frames compact`, {guest}",
        "process/{guest}/rebuild-compact",
        &["process/{guest}/cp"],
        "`cp IMAGE OUT`",
        AtMost(2.0),
    ),
    work(
        "through vm-memory, 1 region",
        "regions-1/runs-vm",
        &["regions-1/runs"],
        "the byte slice",
        AtMost(1.5),
    ),
    work(
        "through vm-memory, 2 regions",
        "regions-2/runs-vm",
        &["regions-2/runs"],
        "the byte slice",
        AtMost(1.5),
    ),
    work(
        "through vm-memory, 16 regions",
        "regions-16/runs-vm",
        &["regions-16/runs"],
        "the byte slice",
        AtMost(1.5),
    ),
];

/// What the results of a whole image are called: its name up to the first dot.
pub(super) fn guest(image: &Path) -> Result<String> {
    let name = image.file_name().and_then(|name| name.to_str()).context("an image has a name")?;
    Ok(name.split('.').next().unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_short_names() {
        assert_eq!(guest(Path::new("/images/amd64-4level.elf.xz")).unwrap(), "amd64-4level");
        assert!(guest(Path::new("/")).is_err());
    }
}
