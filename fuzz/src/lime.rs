//! `LiME` dumps: files as they are, and headers that could be.

use pt_image::{Format, Image};

use crate::choices::Choices;
use crate::image::{Stretch, check, options};

/// The first byte says whether the rest is the file, or ranges to make one of.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let file = if choices.byte() & 1 == 0 { choices.rest().to_vec() } else { made(&mut choices) };
    let opened = Image::from_bytes("fuzz", file.clone(), &options().format(Format::Lime));
    check(opened, |_| Some(ranges(&file)));
}

/// Ranges of a few bytes at addresses that matter, one of whose headers may lie.
fn made(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    while !choices.is_empty() {
        let (start, len, lies) = (choices.edge(), choices.byte(), choices.byte());
        let last = if lies == 1 { choices.edge() } else { start.wrapping_add(u64::from(len)) };
        file.extend(*b"EMiL");
        file.extend([u8::from(lies != 2), 0, 0, 0]);
        file.extend([start, last, 0].iter().flat_map(|word| word.to_le_bytes()));
        let held = usize::from(len) + usize::from(lies != 3);
        file.extend((0..held).map(|at| at as u8 ^ len));
    }
    file
}

/// The memory of an accepted dump.
fn ranges(mut file: &[u8]) -> Vec<Stretch<'_>> {
    let mut ranges = Vec::new();
    while let Some((header, rest)) = file.split_first_chunk::<32>() {
        let [start, last] =
            [8, 16].map(|at| u64::from_le_bytes(*header[at..].first_chunk().expect("8 bytes")));
        let len = last - start + 1;
        let (bytes, rest) = rest.split_at(len as usize);
        ranges.push((start, len, bytes));
        file = rest;
    }
    ranges
}
