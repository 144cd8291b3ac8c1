//! Memory without headers: layouts, regions of files, Firecracker's own order.

use std::path::Path;
use std::sync::OnceLock;

use pt_image::{Format, Image, Region};

use crate::choices::Choices;
use crate::files::Nameless;
use crate::image::{Stretch, check, options, reads};

/// The length of the files.
const LEN: usize = 0x1800;

/// The first byte says what the rest is: ranges of a layout, regions, a region's text, or a length.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    match choices.byte() & 3 {
        0 => layout(&mut choices),
        1 => regions(&mut choices),
        2 => text(choices.rest()),
        _ => {
            let len = choices.number(2) as usize;
            let opened = Image::from_bytes(
                "fuzz",
                content()[..len.min(LEN)].to_vec(),
                &options().format(Format::Firecracker),
            );
            check(opened, |_| Some(vec![(0, len.min(LEN) as u64, &content()[..len.min(LEN)])]));
        }
    }
}

fn layout(choices: &mut Choices<'_>) {
    let mut ranges = Vec::new();
    let mut left = LEN as u64;
    while !choices.is_empty() {
        let (start, len) = (choices.edge(), choices.number(2));
        let len = if choices.byte() == 0 { left } else { len };
        left = left.saturating_sub(len);
        ranges.push(start..start.wrapping_add(len));
    }
    let opened = Image::from_bytes("fuzz", content().to_vec(), &options().layout(ranges.clone()));
    check(opened, |_| {
        let mut at = 0;
        let stretch = |range: &std::ops::Range<u64>| {
            let len = range.end.saturating_sub(range.start);
            at += len as usize;
            (range.start, len, &content()[at - len as usize..at])
        };
        // Without ranges it is what Firecracker does by itself.
        (!ranges.is_empty()).then(|| ranges.iter().map(stretch).collect::<Vec<Stretch<'_>>>())
    });
}

fn regions(choices: &mut Choices<'_>) {
    let mut regions = Vec::new();
    while !choices.is_empty() {
        let region = Region::new(choices.edge(), path(choices.below(2)));
        let region = region.offset(choices.number(2));
        let len = choices.edge();
        regions.push(if len == 0 { region } else { region.len(len) });
    }
    check(Image::open_regions(&regions, &options()), |_| {
        let stretch = |region: &Region| {
            let offset = region.offset as usize;
            let len = region.len.unwrap_or((LEN - offset) as u64);
            (region.start, len, &content()[offset..offset + len as usize])
        };
        Some(regions.iter().map(stretch).collect())
    });
}

/// What is taken as a region is printed so that it is taken as the same.
fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Region>() {
        Ok(region) => {
            let place = region.len.map_or(String::new(), |len| format!("+{len:#x}"));
            let again = format!("{:#x}={}@{:#x}{place}", region.start, region.path.display(), region.offset);
            assert_eq!(again.parse().as_ref(), Ok(&region));
            assert!(!region.to_string().contains('\n'));
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}

fn content() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| (0..LEN).map(|at| (at / 7) as u8).collect())
}

/// Two files of the same content.
fn path(which: usize) -> &'static Path {
    static FILES: OnceLock<[Nameless; 2]> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let files = [(); 2].map(|()| Nameless::new(content()));
        reads(&Image::open(files[0].path(), &options()).expect("it is a raw file"), 1);
        files
    });
    files[which].path()
}
