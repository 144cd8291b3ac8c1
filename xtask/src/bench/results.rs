//! What was measured: medians with their spread, in files, so that the page can be written again.
//!
//! Criterion keeps them in `target/criterion`, a folder per benchmark, in it one per [pass]. Of all passes the one counts
//! in which the benchmark was the quickest: whatever else a machine does makes things slower, and never quicker. What is measured
//! here goes to `target/bench` in the same form.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use xshell::Shell;

/// A median in nanoseconds, and the interval in which it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// How many elements it is for; 1 where nothing is said.
    pub(super) elements: f64,
}

impl Time {
    /// What one element takes.
    pub(super) fn each(&self) -> f64 {
        self.median / self.elements
    }

    /// How many times as long this takes for each element, with the ends of what that can be.
    pub(super) fn over(&self, other: &Self) -> Ratio {
        let elements = other.elements / self.elements;
        Ratio {
            median: self.median / other.median * elements,
            low: self.low / other.high * elements,
            high: self.high / other.low * elements,
        }
    }

    fn parse(estimates: &Value, benchmark: Option<&Value>) -> Option<Self> {
        let median = &estimates["median"];
        let interval = &median["confidence_interval"];
        let throughput = benchmark.map(|benchmark| &benchmark["throughput"]);
        let elements = throughput
            .and_then(|throughput| throughput["Elements"].as_f64().or_else(|| throughput["Bytes"].as_f64()));
        Some(Self {
            median: median["point_estimate"].as_f64()?,
            low: interval["lower_bound"].as_f64()?,
            high: interval["upper_bound"].as_f64()?,
            elements: elements.unwrap_or(1.0),
        })
    }
}

/// One time over another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// How often everything is measured.
pub(super) const PASSES: u32 = 2;

/// What a pass is called, from the first, 1, on.
pub(super) fn pass(number: u32) -> String {
    format!("pass-{number}")
}

/// Where results are.
#[derive(Debug)]
pub(super) struct Results {
    target: PathBuf,
}

impl Results {
    pub(super) fn of(sh: &Shell) -> Result<Self> {
        let metadata = xshell::cmd!(sh, "cargo metadata --no-deps --format-version 1").quiet().read()?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target")?;
        Ok(Self { target: target.into() })
    }

    /// Forgets what was measured before.
    pub(super) fn clear(&self) -> Result<()> {
        for folder in [self.criterion(), self.target.join("bench")] {
            if folder.exists() {
                std::fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }

    /// The result of `id`: a folder below `target/criterion`, or a file of our own.
    pub(super) fn get(&self, id: &str) -> Result<Time> {
        let unknown = || format!("what was measured for `{id}` has an unknown form");
        let own = self.own(id);
        if own.exists() {
            return Time::parse(&read(&own)?, None).with_context(unknown);
        }
        let mut quickest: Option<Time> = None;
        for number in 1..=PASSES {
            let folder = self.criterion().join(id).join(pass(number));
            let nothing = || format!("nothing was measured for `{id}`");
            let estimates = read(&folder.join("estimates.json")).with_context(nothing)?;
            let benchmark = read(&folder.join("benchmark.json")).with_context(nothing)?;
            let time = Time::parse(&estimates, Some(&benchmark)).with_context(unknown)?;
            quickest = quickest.filter(|other| other.median <= time.median).or(Some(time));
        }
        quickest.context("there is a pass")
    }

    fn criterion(&self) -> PathBuf {
        self.target.join("criterion")
    }

    /// The whole images that rebuilds were measured on.
    pub(super) fn guests(&self) -> Result<Vec<String>> {
        let mut guests = Vec::new();
        for folder in std::fs::read_dir(self.criterion()).context("nothing was measured")? {
            let name = folder?.file_name();
            let guest =
                name.to_str().and_then(|name| name.strip_prefix("rebuild-")?.strip_suffix("-compact"));
            guests.extend(guest.map(str::to_owned));
        }
        guests.sort();
        Ok(guests)
    }

    /// Keeps what was measured, in nanoseconds: the median, and the quartiles as its spread.
    pub(super) fn keep(&self, id: &str, mut measured: Vec<f64>) -> Result<()> {
        measured.sort_by(f64::total_cmp);
        let quartile = |number: usize| measured.get(measured.len() * number / 4).copied();
        let median = json!({
            "point_estimate": quartile(2),
            "confidence_interval": { "lower_bound": quartile(1), "upper_bound": quartile(3) },
        });
        let path = self.own(id);
        std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        Ok(std::fs::write(path, json!({ "median": median }).to_string())?)
    }

    fn own(&self, id: &str) -> PathBuf {
        self.target.join("bench").join(format!("{id}.json"))
    }
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criterion_s_files_are_understood() {
        let estimates = json!({ "median": {
            "confidence_interval": { "confidence_level": 0.95, "lower_bound": 90.0, "upper_bound": 120.0 },
            "point_estimate": 100.0, "standard_error": 1.0 } });
        let benchmark = json!({ "throughput": { "Elements": 50 } });
        let time = Time::parse(&estimates, Some(&benchmark)).unwrap();
        assert_eq!(time, Time { median: 100.0, low: 90.0, high: 120.0, elements: 50.0 });
        assert!((time.each() - 2.0).abs() < 1e-9);
        let ratio = time.over(&Time { median: 50.0, low: 40.0, high: 60.0, elements: 50.0 });
        assert_eq!(ratio, Ratio { median: 2.0, low: 1.5, high: 3.0 });
        let twice = time.over(&Time { median: 50.0, low: 40.0, high: 60.0, elements: 100.0 });
        assert_eq!(twice, Ratio { median: 4.0, low: 3.0, high: 6.0 });
        let whole = Time::parse(&estimates, Some(&json!({ "throughput": null }))).unwrap();
        assert_eq!(whole, Time { elements: 1.0, ..time });
        assert_eq!(Time::parse(&json!({}), None), None);
    }

    #[test]
    fn what_is_kept_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results { target: folder.path().to_owned() };
        results.keep("process/cat", vec![5.0, 1.0, 3.0, 2.0, 4.0]).unwrap();
        let time = results.get("process/cat").unwrap();
        assert_eq!(time, Time { median: 3.0, low: 2.0, high: 4.0, elements: 1.0 });
        assert!(results.get("process/cp").is_err());
        results.clear().unwrap();
        assert!(results.get("process/cat").is_err());
    }

    #[test]
    fn the_quickest_pass_counts() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results { target: folder.path().to_owned() };
        let add = |number: u32, median: f64| {
            let path = results.criterion().join("walk/fold").join(pass(number));
            std::fs::create_dir_all(&path).unwrap();
            let interval = json!({ "lower_bound": median - 1.0, "upper_bound": median + 1.0 });
            let estimates =
                json!({ "median": { "confidence_interval": interval, "point_estimate": median } });
            std::fs::write(path.join("estimates.json"), estimates.to_string()).unwrap();
            std::fs::write(path.join("benchmark.json"), r#"{ "throughput": null }"#).unwrap();
        };
        add(1, 20.0);
        assert!(results.get("walk/fold").is_err(), "a pass was not finished");
        add(2, 10.0);
        let quickest = Time { median: 10.0, low: 9.0, high: 11.0, elements: 1.0 };
        assert_eq!(results.get("walk/fold").unwrap(), quickest);
    }
}
