//! How costs grow with the number of spaces: a picture per pattern, both axes logarithmic.

use anyhow::Result;
use svg::Document;
use svg::node::element::{Circle, Line, Polyline, Rectangle, Text};
use xshell::Shell;

use super::results::Results;

/// Numbers of spaces, and the ones that have a tick.
const SPACES: [u32; 7] = [1, 4, 16, 64, 256, 1024, 4096];
/// What is drawn: name, function, colour.
const LINES: [(&str, &str, &str); 4] = [
    ("floor", "floor", "#777777"),
    ("ours, as runs", "runs", "#1b6ca8"),
    ("ours, each leaf", "fold", "#3a9d5d"),
    ("hyperlight-common 0.18", "hyperlight", "#c0392b"),
];

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

pub(super) fn write(sh: &Shell, results: &Results) -> Result<()> {
    for pattern in ["contiguous", "scattered"] {
        let mut series = Vec::new();
        for (name, function, colour) in LINES {
            let point = |&spaces: &u32| {
                let time = results.get(&format!("spaces-{pattern}/{function}/{spaces}")).ok()?;
                Some((f64::from(spaces), time.each()))
            };
            series.push(Series { name, colour, points: SPACES.iter().filter_map(point).collect() });
        }
        let title = format!("Time per distinct table, spaces that share 4 GiB, {pattern}");
        sh.write_file(format!("docs/spaces-{pattern}.svg"), format!("{}\n", draw(&title, &series)))?;
    }
    Ok(())
}

struct Series {
    name: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

/// Where on the paper something is, of the decades that are shown.
struct Scale {
    /// Exponents of ten.
    low: i32,
    high: i32,
}

impl Scale {
    fn of(series: &[Series]) -> Self {
        let all = || series.iter().flat_map(|series| &series.points).map(|(_, y)| y.log10());
        let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        if low > high {
            return Self { low: 0, high: 1 };
        }
        Self { low: low.floor() as i32, high: (high.floor() as i32 + 1).max(low.floor() as i32 + 1) }
    }

    fn x(spaces: f64) -> f64 {
        let share = spaces.log2() / f64::from(SPACES[SPACES.len() - 1]).log2();
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, time: f64) -> f64 {
        let share = (time.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}

fn draw(title: &str, series: &[Series]) -> Document {
    let scale = Scale::of(series);
    let mut picture = Document::new()
        .set("viewBox", (0, 0, WIDTH, HEIGHT))
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(Rectangle::new().set("width", WIDTH).set("height", HEIGHT).set("fill", "white"))
        .add(text(title, WIDTH / 2.0, TOP / 2.0, "middle"))
        .add(text("spaces", f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 12.0, "middle"))
        .add(text("ns", 14.0, TOP - 10.0, "start"));
    for spaces in SPACES {
        let x = Scale::x(f64::from(spaces));
        picture = picture.add(line((x, TOP), (x, HEIGHT - BOTTOM))).add(text(
            &spaces.to_string(),
            x,
            HEIGHT - BOTTOM + 18.0,
            "middle",
        ));
    }
    for decade in scale.low..=scale.high {
        let time = 10f64.powi(decade);
        let y = scale.y(time);
        picture = picture.add(line((LEFT, y), (WIDTH - RIGHT, y))).add(text(
            &time.to_string(),
            LEFT - 8.0,
            y + 4.0,
            "end",
        ));
    }
    // Names stand at the ends of their lines, moved down where two would meet.
    let mut ends: Vec<_> =
        series.iter().filter_map(|series| Some((series, *series.points.last()?))).collect();
    ends.sort_by(|(_, a), (_, b)| b.1.total_cmp(&a.1));
    let mut below = f64::NEG_INFINITY;
    for (series, end) in ends {
        let points = series.points.iter().map(|&(x, y)| format!("{:.1},{:.1}", Scale::x(x), scale.y(y)));
        let points: Vec<_> = points.collect();
        let drawn = Polyline::new().set("points", points.join(" ")).set("fill", "none");
        picture = picture.add(drawn.set("stroke", series.colour).set("stroke-width", 2));
        for &(x, y) in &series.points {
            let dot = Circle::new().set("cx", rounded(Scale::x(x))).set("cy", rounded(scale.y(y)));
            picture = picture.add(dot.set("r", 3).set("fill", series.colour));
        }
        below = (scale.y(end.1) + 4.0).max(below + 15.0);
        picture =
            picture.add(text(series.name, Scale::x(end.0) + 8.0, below, "start").set("fill", series.colour));
    }
    picture
}

fn text(content: &str, x: f64, y: f64, anchor: &str) -> Text {
    Text::new(content).set("x", rounded(x)).set("y", rounded(y)).set("text-anchor", anchor)
}

fn line(from: (f64, f64), to: (f64, f64)) -> Line {
    let line = Line::new().set("x1", rounded(from.0)).set("y1", rounded(from.1));
    line.set("x2", rounded(to.0)).set("y2", rounded(to.1)).set("stroke", "#dddddd")
}

/// A tenth of a pixel is exact enough.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_values_are() {
        let series = [
            Series { name: "a", colour: "red", points: vec![(1.0, 10.0), (4096.0, 100.0)] },
            Series { name: "b", colour: "blue", points: vec![(1.0, 1.0)] },
            Series { name: "none", colour: "black", points: Vec::new() },
        ];
        let scale = Scale::of(&series);
        assert_eq!((scale.low, scale.high), (0, 3));
        assert_eq!((Scale::x(1.0), Scale::x(64.0), Scale::x(4096.0)), (70.0, 270.0, 470.0));
        assert!((scale.y(1.0) - 310.0).abs() < 1e-9 && (scale.y(1000.0) - 40.0).abs() < 1e-9);
        let drawn = draw("A <title>", &series).to_string();
        assert!(drawn.contains("A &lt;title&gt;"));
        assert_eq!(drawn.matches("<circle").count(), 3);
        assert_eq!(drawn.matches("<polyline").count(), 2);
        assert!(drawn.contains("points=\"70.0,220.0 470.0,130.0\""), "{drawn}");
    }

    #[test]
    fn nothing_measured_is_an_empty_picture() {
        assert!(draw("", &[]).to_string().contains("4096"));
    }
}
