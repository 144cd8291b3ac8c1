//! Whether two images are of the same memory, page by page, whatever their formats.
//!
//! Run it with `cargo run -p pt-image --example same_memory -- IMAGE OTHER [PART...]`. It fails where a page differs, or is
//! in one of them and not zero, and where both record CPUs, but others. What is in one of them and zero is counted: dumps
//! leave it out.

#![forbid(unsafe_code)]

use pt_core::Memory;
use pt_image::{Cpu, Image, MemoryRange, OpenOptions};
use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::path::PathBuf;

const PAGE: u64 = 4096;

/// How many pages are of each kind.
#[derive(Debug, Default)]
struct Pages {
    equal: u64,
    /// Zero in one image, and not held by the other.
    left_out: u64,
    /// Where the first other page is.
    other: Option<u64>,
}

impl Pages {
    fn compare(image: &Image, other: &Image) -> Self {
        let pages = |range: MemoryRange| range.start / PAGE..(range.start + range.len).div_ceil(PAGE);
        let numbers: BTreeSet<u64> = image.ranges().chain(other.ranges()).flat_map(pages).collect();
        let mut counts = Self::default();
        for number in numbers {
            let bytes = |image: &Image| {
                let mut page = [0; PAGE as usize];
                image.read(number * PAGE, &mut page).ok().map(|()| page)
            };
            match (bytes(image), bytes(other)) {
                (one, other) if one == other => counts.equal += u64::from(one.is_some()),
                (None, Some(page)) | (Some(page), None) if page == [0; PAGE as usize] => counts.left_out += 1,
                _ => counts.other = counts.other.or(Some(number * PAGE)),
            }
        }
        counts
    }
}

/// The registers alone: where in an image they are noted may differ.
fn cpus(image: &Image) -> Vec<Cpu> {
    let mut cpus = image.cpus().to_vec();
    for cpu in &mut cpus {
        cpu.note = None;
    }
    cpus
}

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [image, other, parts @ ..] = &paths[..] else {
        return Err("usage: same_memory IMAGE OTHER [PART...]".into());
    };
    let options = OpenOptions::new();
    let image = Image::open(image, &options)?;
    let other = if parts.is_empty() {
        Image::open(other, &options)?
    } else {
        Image::open_parts(&paths[1..], &options)?
    };
    let pages = Pages::compare(&image, &other);
    println!("{} pages equal, {} left out as zero, {} CPUs", pages.equal, pages.left_out, image.cpus().len());
    if let Some(address) = pages.other {
        return Err(format!("the pages at {address:#x} differ").into());
    }
    let (ours, theirs) = (cpus(&image), cpus(&other));
    if ours != theirs && !ours.is_empty() && !theirs.is_empty() {
        return Err("the CPUs are others".into());
    }
    Ok(())
}
