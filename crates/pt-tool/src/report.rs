//! What a rebuild says of itself, in JSON: what became of what, and all that a proof needs.
//!
//! Addresses are strings in hexadecimal, as JSON's numbers lose bits above the 53rd in many readers.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Context;
use pt_rebuild::{BadStretch, FrameMap, NewRoot, Stretch};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::arguments::{self, Choices};
use crate::paging::Reading;
use crate::show::Quoted;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// In the order in which the roots were given.
    pub(crate) spaces: Vec<Space>,
    pub(crate) tables: Tables,
    pub(crate) frames: FrameCounts,
    pub(crate) bytes: Bytes,
    pub(crate) paging: Reading,
    pub(crate) options: Options,
    /// Where everything went that pages map, by old address.
    pub(crate) map: Vec<Moved>,
}

/// A root's register before and after.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Space {
    pub(crate) old_root: Hex,
    pub(crate) new_root: Hex,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Tables {
    pub(crate) old: u64,
    pub(crate) new: u64,
}

/// Old frames of 4 KiB that pages map, each counted once.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FrameCounts {
    pub(crate) mapped: u64,
    /// Of these: where they were.
    pub(crate) kept: u64,
    /// Of these: elsewhere.
    pub(crate) moved: u64,
    /// Of these, wherever they are: those that share their new frame with others.
    pub(crate) shared: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Bytes {
    /// What pages of the old spaces map, each byte counted once.
    pub(crate) mapped: u64,
    /// Of these: what the old image holds.
    pub(crate) held: u64,
    /// The new tables.
    pub(crate) tables: u64,
    /// All memory that the new image holds.
    pub(crate) written: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Options {
    #[serde(flatten)]
    pub(crate) choices: Choices,
    pub(crate) range: Range,
}

/// Frames that follow one another before and after.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Moved {
    first: Hex,
    last: Hex,
    /// Where the first one is now; nowhere if they were left out.
    to: Option<Hex>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
}

impl Report {
    /// Reads a report.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("{} cannot be read", Quoted(path)))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no report of a rebuild", Quoted(path)))
    }

    pub(crate) fn to_json(&self) -> anyhow::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        Ok(text)
    }

    pub(crate) fn roots(&self) -> Vec<NewRoot> {
        let root = |space: &Space| NewRoot { old: space.old_root.0, new: space.new_root.0 };
        self.spaces.iter().map(root).collect()
    }

    pub(crate) fn frame_map(&self) -> Result<FrameMap, BadStretch> {
        FrameMap::of(self.map.iter().map(|moved| Stretch {
            first: moved.first.0,
            last: moved.last.0,
            to: moved.to.map(|to| to.0),
            shared: moved.shared,
        }))
    }
}

impl From<&NewRoot> for Space {
    fn from(root: &NewRoot) -> Self {
        Self { old_root: Hex(root.old), new_root: Hex(root.new) }
    }
}

impl From<&Stretch> for Moved {
    fn from(stretch: &Stretch) -> Self {
        let &Stretch { first, last, to, shared } = stretch;
        Self { first: Hex(first), last: Hex(last), to: to.map(Hex), shared }
    }
}

impl FrameCounts {
    pub(crate) fn of(map: &FrameMap) -> Self {
        let mut counts = Self::default();
        for stretch in map.stretches() {
            let frames = stretch.bytes() / 4096;
            counts.mapped += frames;
            counts.shared += if stretch.shared { frames } else { 0 };
            match stretch.to {
                Some(to) if to == stretch.first => counts.kept += frames,
                Some(_) => counts.moved += frames,
                None => {}
            }
        }
        counts
    }
}

/// A number that is written as `0x` and hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) u64);

/// Virtual addresses, both ends included, as the command line has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range(pub(crate) RangeInclusive<u64>);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..={:#x}", self.0.start(), self.0.end())
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        arguments::hex(&String::deserialize(from)?).map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        arguments::range(&String::deserialize(from)?).map(Self).map_err(de::Error::custom)
    }
}
