//! `pt rebuild`: the ways in which it is asked, and what it reports.

use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result};
use serde_json::Value;

use super::extents::Moved;
use super::frames::Moves;
use super::guest::hex;
use super::lockstep::Changes;

/// How an image is to be rebuilt: the options of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    frames: &'static str,
    table_frames: &'static str,
    pages: &'static str,
}

const fn request(frames: &'static str, table_frames: &'static str, pages: &'static str) -> Request {
    Request { frames, table_frames, pages }
}

/// For images that are tables only: there are no frames to move.
pub(super) const OF_TABLES: [Request; 2] = [request("keep", "data", "keep"), request("keep", "live", "keep")];

/// For whole memories.
pub(super) const OF_MEMORY: [Request; 7] = [
    request("keep", "data", "keep"),
    request("keep", "live", "keep"),
    request("compact", "data", "keep"),
    request("compact", "live", "keep"),
    request("compact", "data", "split"),
    request("compact", "data", "promote"),
    request("dedup", "data", "keep"),
];

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "frames {}, table frames {}, pages {}", self.frames, self.table_frames, self.pages)
    }
}

impl Request {
    pub(super) fn moves(self) -> Moves {
        match self.frames {
            "keep" => Moves::Kept,
            "compact" => Moves::Apart,
            _ => Moves::Merged,
        }
    }

    /// Merging splits large pages where their frames part.
    pub(super) fn changes(self) -> Changes {
        let merged = self.moves() == Moves::Merged;
        Changes { sizes: merged || self.pages != "keep", writable: merged }
    }

    pub(super) fn is_live(self) -> bool {
        self.table_frames == "live"
    }

    pub(super) fn arguments(self) -> [&'static str; 6] {
        ["--frames", self.frames, "--table-frames", self.table_frames, "--pages", self.pages]
    }
}

/// What the command reports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Old root and new root of each space.
    pub(super) spaces: Vec<[u64; 2]>,
    /// How many tables, old and new.
    pub(super) tables: [usize; 2],
    /// Where everything went that pages map.
    pub(super) moved: Vec<Moved>,
}

impl Report {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let report: Value = serde_json::from_str(text)?;
        let number = |of: &Value, name: &str| {
            hex(of[name].as_str().with_context(|| format!("`{name}` is missing in {of}"))?)
        };
        let spaces = report["spaces"].as_array().context("no `spaces`")?;
        let spaces = spaces.iter().map(|space| Ok([number(space, "old_root")?, number(space, "new_root")?]));
        let count = |name: &str| {
            let count = report["tables"][name].as_u64();
            Ok::<_, anyhow::Error>(count.with_context(|| format!("no `tables.{name}`"))? as usize)
        };
        let moved = report["map"].as_array().context("no `map`")?.iter().map(|stretch| {
            let (from, last) = (number(stretch, "first")?, number(stretch, "last")?);
            let more = last.checked_sub(from).with_context(|| format!("{stretch} ends before it begins"))?;
            Ok(Moved { from, to: number(stretch, "to")?, bytes: more + 1 })
        });
        let moved = moved.collect::<Result<_>>()?;
        Ok(Self { spaces: spaces.collect::<Result<_>>()?, tables: [count("old")?, count("new")?], moved })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let spaces = r#""spaces": [{ "old_root": "0x1000", "new_root": "0x2000" }]"#;
        let tables = r#""tables": { "old": 3, "new": 4 }"#;
        let map = r#""map": [{ "first": "0x5000", "last": "0x6fff", "to": "0x3000" }]"#;
        let parsed = |parts: [&str; 3]| Report::parse(&format!("{{{}}}", parts.join(",")));
        let moved = vec![Moved { from: 0x5000, to: 0x3000, bytes: 0x2000 }];
        let expected = Report { spaces: vec![[0x1000, 0x2000]], tables: [3, 4], moved };
        assert_eq!(parsed([spaces, tables, map]).expect("a report"), expected);
        for (part, less) in [(spaces, r#""spaces": [{}]"#), (tables, r#""tables": {}"#), (map, r#""map": 7"#)]
        {
            let parts = [spaces, tables, map].map(|other| if other == part { less } else { other });
            assert!(parsed(parts).is_err(), "{less}");
        }
    }
}
