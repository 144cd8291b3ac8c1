//! The picture itself, as SVG.
//!
//! ```text
//!             root root root …
//!  address    ┌──┐ ┌──┐ ┌──┐     filled: pages of its own, by rights
//!  stretch    │██│ │██│ │░░│     outlined: a shared table, owned by an earlier space;
//!    ⋮        │██●─┼──○─┼──○     ● its owner, ○ who links it
//!             └──┘ └──┘ └──┘
//! ```
#![expect(clippy::cast_precision_loss, reason = "columns and legend entries are few")]

use std::collections::BTreeMap;

use pt_core::{Format, Geometry};
use svg::Document;
use svg::node::element::{Circle, Line, Pattern, Rectangle, Text, Title};
use svg::node::{Text as Words, element::Definitions};

use super::axis::Axis;
use super::blocks::{Block, Kind, coarser};
use crate::guest::Guest;
use crate::show::{Size, Spaces};

const LEFT: f64 = 250.0;
/// Below the caption, the legend and the roots.
const TOP: f64 = 232.0;
const RIGHT: f64 = 30.0;
const BOTTOM: f64 = 20.0;
const LEGEND: f64 = 52.0;
const LEGEND_PITCH: f64 = 190.0;
/// How wide the columns are together, unless each would be too narrow or too wide.
const WIDTH: f64 = 1300.0;

/// All that is drawn.
pub(super) struct Picture<'a> {
    pub(super) columns: &'a [Vec<Block>],
    pub(super) axis: &'a Axis,
    pub(super) guest: &'a Guest,
}

/// Who owns a shared stretch (from, to), and who links it.
type Shares = BTreeMap<(u32, usize, usize), Vec<usize>>;

impl Picture<'_> {
    pub(super) fn svg<F: Format>(&self) -> String {
        let pitch = (WIDTH / self.columns.len().max(1) as f64).clamp(9.0, 90.0);
        let width = LEFT + pitch * self.columns.len() as f64 + RIGHT;
        let caption = self.caption();
        // A letter is less than 8 wide.
        let longest = caption.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        let width = width.max(4.0 * LEGEND_PITCH + RIGHT).max(8.0 * longest as f64);
        let height = TOP + self.axis.height() + BOTTOM;
        let mut document = Document::new()
            .set("viewBox", (0.0, 0.0, width, height))
            .set("width", width)
            .set("height", height)
            .set("font-family", "sans-serif")
            .set("font-size", 10)
            .add(hatching())
            .add(Rectangle::new().set("width", width).set("height", height).set("fill", "white"));
        for (line, y) in caption.into_iter().zip([18.0, 36.0]) {
            document = document.add(Text::new(line).set("x", 10).set("y", y).set("font-size", 13));
        }
        document = legend(document, LEGEND);
        document = self.axis_and_roots::<F>(document, pitch);
        let mut shares = Shares::new();
        for (space, column) in self.columns.iter().enumerate() {
            let left = LEFT + pitch * space as f64;
            for block in coarser(column, self.axis.grain) {
                let Some((from, to)) = self.axis.covered(&block) else { continue };
                if let Kind::Shared { owner } = block.kind {
                    shares.entry((owner, from, to)).or_default().push(space);
                }
                document = document.add(self.cell::<F>(space, &block, (from, to), left + 1.0, pitch - 2.0));
            }
        }
        self.links(document, &shares, pitch).to_string()
    }

    fn caption(&self) -> [String; 2] {
        let spaces = Spaces(self.columns.len() as u64);
        let (mode, grain) = (self.guest.paging.mode(), Size(self.axis.grain));
        let how = "Addresses ascend downwards, folded where no space has anything, rounded to";
        [format!("{}: {spaces}, {mode}", self.guest.image.path().display()), format!("{how} {grain}.")]
    }

    /// The addresses at the left, the roots above, the folded stretches across.
    fn axis_and_roots<F: Format>(&self, mut document: Document, pitch: f64) -> Document {
        let right = LEFT + pitch * self.columns.len() as f64;
        let mut lowest_label = f64::MIN;
        for stretch in &self.axis.stretches {
            let y = TOP + stretch.top;
            if !stretch.used {
                let fold = Line::new().set("x1", LEFT).set("x2", right).set("stroke", "#bbb");
                let y = y + stretch.height / 2.0;
                document = document.add(fold.set("y1", y).set("y2", y).set("stroke-dasharray", "1 3"));
            } else if y >= lowest_label + 10.0 {
                lowest_label = y;
                let address = format!("{:01$x}", F::canonical(stretch.first), address_digits::<F>());
                let size = about(stretch.last - stretch.first + 1);
                for (label, x) in [(address, LEFT - 66.0), (size, LEFT - 8.0)] {
                    let label = Text::new(label).set("x", x).set("y", y + 8.0).set("text-anchor", "end");
                    document = document.add(label.set("font-family", "monospace").set("font-size", 9));
                }
            }
        }
        for (space, root) in self.guest.roots.iter().enumerate() {
            let (x, y) = (LEFT + pitch * (space as f64 + 0.5) + 3.0, TOP - 6.0);
            let label =
                Text::new(format!("{root:#x}")).set("transform", format!("translate({x} {y}) rotate(-90)"));
            document = document.add(label.set("font-family", "monospace").set("font-size", pitch.min(10.0)));
        }
        document
    }

    fn cell<F: Format>(
        &self,
        space: usize,
        block: &Block,
        (from, to): (usize, usize),
        left: f64,
        width: f64,
    ) -> Rectangle {
        let (top, bottom) = (self.axis.stretches[from], self.axis.stretches[to]);
        let words = format!(
            "root {:#x}: {:0digits$x}..={:0digits$x}, {}",
            self.guest.roots[space],
            F::canonical(block.first),
            F::canonical(block.last),
            self.words(block.kind),
            digits = address_digits::<F>(),
        );
        Rectangle::new()
            .set("x", left)
            .set("y", TOP + top.top)
            .set("width", width)
            .set("height", bottom.top + bottom.height - top.top)
            .set("fill", fill(block.kind))
            .set("stroke", if matches!(block.kind, Kind::Shared { .. }) { "#9aa" } else { "none" })
            .set("stroke-width", 0.5)
            .add(Title::new("").add(Words::new(words)))
    }

    fn words(&self, kind: Kind) -> String {
        match kind {
            Kind::Shared { owner } => {
                format!("table(s) shared with root {:#x}", self.guest.roots[owner as usize])
            }
            Kind::Within => "table(s) that this space has elsewhere too".to_owned(),
            Kind::Fault => "cannot be followed".to_owned(),
            Kind::Pages { writable, executable, user } => {
                let letter = |has, letter| if has { letter } else { '-' };
                let whose = if user { "user" } else { "supervisor" };
                format!("r{}{} {whose}", letter(writable, 'w'), letter(executable, 'x'))
            }
        }
    }

    /// A line from the owner of each shared stretch to all who link it. Where several have owners of the same stretch, each
    /// has a line of its own.
    fn links(&self, mut document: Document, shares: &Shares, pitch: f64) -> Document {
        let mut owners: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for &(_, from, to) in shares.keys() {
            *owners.entry((from, to)).or_default() += 1;
        }
        let mut drawn: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (&(owner, from, to), spaces) in shares {
            let (top, bottom) = (self.axis.stretches[from], self.axis.stretches[to]);
            let line = drawn.entry((from, to)).or_default();
            *line += 1;
            let part = *line as f64 / (owners[&(from, to)] + 1) as f64;
            let y = TOP + top.top + (bottom.top + bottom.height - top.top) * part;
            let x = |space: usize| LEFT + pitch * (space as f64 + 0.5);
            let furthest = spaces.iter().copied().max().unwrap_or_default();
            let line =
                Line::new().set("x1", x(owner as usize)).set("x2", x(furthest)).set("y1", y).set("y2", y);
            document = document.add(line.set("stroke", "#345").set("stroke-width", 0.5));
            let dot = |space, fill| {
                let circle = Circle::new().set("cx", x(space)).set("cy", y).set("r", (pitch / 5.0).min(2.6));
                circle.set("fill", fill).set("stroke", "#345").set("stroke-width", 0.6)
            };
            document = document.add(dot(owner as usize, "#345"));
            for &space in spaces {
                document = document.add(dot(space, "white"));
            }
        }
        document
    }
}

/// How many hexadecimal digits an address has.
fn address_digits<F: Format>() -> usize {
    if F::SIGN_EXTENDED { 16 } else { F::VA_BITS.div_ceil(4) as usize }
}

/// A size in the largest unit that it has one of, rounded.
fn about(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let (shift, unit) = units.into_iter().find(|(shift, _)| bytes >> shift != 0).unwrap_or((0, "B"));
    format!("{} {unit}", (bytes + (1 << shift >> 1)) >> shift)
}

fn fill(kind: Kind) -> &'static str {
    match kind {
        Kind::Shared { .. } => "#eef2f4",
        Kind::Within => "url(#within)",
        Kind::Fault => "#000",
        Kind::Pages { writable: true, executable: true, .. } => "#d62728",
        Kind::Pages { writable: true, user: true, .. } => "#6baed6",
        Kind::Pages { writable: true, user: false, .. } => "#2171b5",
        Kind::Pages { executable: true, user: true, .. } => "#a1d99b",
        Kind::Pages { executable: true, user: false, .. } => "#31a354",
        Kind::Pages { user: true, .. } => "#d9d9d9",
        Kind::Pages { user: false, .. } => "#969696",
    }
}

/// The pattern of tables that a space has in several places.
fn hatching() -> Definitions {
    let stroke = Line::new().set("x1", 0).set("y1", 0).set("x2", 0).set("y2", 5);
    let pattern = Pattern::new()
        .set("id", "within")
        .set("width", 5)
        .set("height", 5)
        .set("patternUnits", "userSpaceOnUse")
        .set("patternTransform", "rotate(45)")
        .add(Rectangle::new().set("width", 5).set("height", 5).set("fill", "#fff3d6"))
        .add(stroke.set("stroke", "#e6a700").set("stroke-width", 2));
    Definitions::new().add(pattern)
}

fn legend(mut document: Document, top: f64) -> Document {
    let pages = |writable, executable, user| Kind::Pages { writable, executable, user };
    let entries = [
        (pages(false, false, false), "r-- supervisor"),
        (pages(true, false, false), "rw- supervisor"),
        (pages(false, true, false), "r-x supervisor"),
        (pages(true, true, false), "writable and executable"),
        (pages(false, false, true), "r-- user"),
        (pages(true, false, true), "rw- user"),
        (pages(false, true, true), "r-x user"),
        (Kind::Fault, "cannot be followed"),
        (Kind::Shared { owner: 0 }, "shared: drawn where its owner (●) has it, linked here (○)"),
        (Kind::Within, "a table that the same space has elsewhere too"),
    ];
    for (index, (kind, words)) in entries.into_iter().enumerate() {
        let (x, y) = (10.0 + LEGEND_PITCH * (index % 4) as f64, top + 22.0 * (index / 4) as f64);
        // The last row has two long entries.
        let x = if index == 9 { 10.0 + 2.0 * LEGEND_PITCH } else { x };
        let swatch = Rectangle::new().set("x", x).set("y", y).set("width", 14).set("height", 12);
        document = document
            .add(swatch.set("fill", fill(kind)).set("stroke", "#9aa").set("stroke-width", 0.5))
            .add(Text::new(words).set("x", x + 20.0).set("y", y + 10.0));
    }
    document
}
