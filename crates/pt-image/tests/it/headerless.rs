//! Memory without headers: explicit regions, Firecracker's layout, sparse files.

use proptest::prelude::*;
use pt_core::{Memory, Unreadable};
use pt_image::{Defect, Error, Format, Image, MemoryRange, OpenOptions, Region};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn files<const N: usize>(contents: [&[u8]; N]) -> (TempDir, [PathBuf; N]) {
    let dir = TempDir::new().unwrap();
    let mut index = 0;
    let paths = contents.map(|content| {
        let path = dir.path().join(format!("part{index}"));
        index += 1;
        fs::write(&path, content).unwrap();
        path
    });
    (dir, paths)
}

fn ranges(image: &Image) -> Vec<(u64, u64, u64)> {
    image.ranges().map(|MemoryRange { start, len, held, .. }| (start, len, held)).collect()
}

fn region(start: u64, path: &Path, offset: u64, len: u64) -> Region {
    Region::new(start, path).offset(offset).len(len)
}

#[test]
fn regions_go_where_they_are_put() {
    let low: Vec<u8> = (0..64).collect();
    let (_dir, [low, high]) = files([&low, &[9; 32]]);
    let regions = [Region::new(1 << 32, &high), region(0x1000, &low, 32, 16), region(0x1010, &low, 0, 32)];
    let image = Image::open_regions(&regions, &OpenOptions::new()).unwrap();
    assert_eq!(image.format(), Format::Regions);
    assert_eq!(ranges(&image), [(0x1000, 16, 16), (0x1010, 32, 32), (1 << 32, 32, 32)]);
    assert_eq!(image.read_entry(0x1000, 4), Ok(0x2322_2120));
    assert_eq!(image.read_entry(0x100c, 8), Ok(0x0302_0100_2f2e_2d2c));
    assert_eq!(image.lend(1 << 32, 32), Some(&[9; 32][..]));
    assert_eq!(image.read_entry(0x1030, 4), Err(Unreadable::Outside));
    assert!(image.is_mapped());
    image.check_unchanged().unwrap();
    fs::write(&low, [0; 65]).unwrap();
    assert!(matches!(image.check_unchanged(), Err(Error::Changed { path }) if path == low));
}

#[test]
fn parts_of_one_file_that_continue_each_other_are_lent_across() {
    let (_dir, [file]) = files([&[7; 64]]);
    let regions = [region(0x20, &file, 0x20, 0x20), region(0, &file, 0, 0x20)];
    let image = Image::open_regions(&regions, &OpenOptions::new()).unwrap();
    assert_eq!(image.lend(0, 64), Some(&[7; 64][..]));
    // The same numbers in two files do not.
    let (_dir, [other]) = files([&[8; 64]]);
    let regions = [region(0x20, &other, 0x20, 0x20), region(0, &file, 0, 0x20)];
    let image = Image::open_regions(&regions, &OpenOptions::new()).unwrap();
    assert_eq!((image.lend(0, 64), image.read_entry(0x1c, 8)), (None, Ok(0x0808_0808_0707_0707)));
}

#[test]
fn regions_that_cannot_be_are_named() {
    let (_dir, [file]) = files([&[7; 64]]);
    let fail = |regions: &[Region]| match Image::open_regions(regions, &OpenOptions::new()).unwrap_err() {
        error @ Error::Region { .. } => {
            assert!(!error.to_string().contains('\n'), "{error}");
            let Error::Region { region, defect } = error else { unreachable!() };
            (region, defect)
        }
        other => panic!("{other}"),
    };
    let good = region(0x100, &file, 0, 0x10);
    for bad in [
        region(0, &file, 0, 65),
        region(0, &file, 64, 1),
        region(0, &file, u64::MAX, 1),
        region(0, &file, 1, 1 << 51),
        Region::new(0, &file).offset(64),
    ] {
        let (named, defect) = fail(&[good.clone(), bad.clone()]);
        assert!(named == bad && matches!(defect, Defect::Truncated { .. }), "{defect}");
    }
    for start in [1 << 52, u64::MAX, (1 << 52) - 1] {
        let bad = region(start, &file, 0, 2);
        let (named, defect) = fail(&[bad.clone(), good.clone()]);
        assert!(named == bad && matches!(defect, Defect::AddressOverflow { .. }), "{defect}");
    }
    let bad = region(0x10f, &file, 0x20, 0x10);
    let (named, defect) = fail(&[bad.clone(), good.clone()]);
    assert_eq!(named, bad);
    assert_eq!(defect, Defect::Overlap { start: 0x10f, other_start: 0x100, other_last: 0x10f });

    let none = Image::open_regions(&[], &OpenOptions::new()).unwrap_err();
    assert!(matches!(none, Error::NoFiles));
    let missing = Image::open_regions(&[good, Region::new(0, "no such file")], &OpenOptions::new());
    assert!(matches!(missing, Err(Error::Open { .. })));
}

#[test]
fn the_syntax_of_regions() {
    let parse = |text: &str| text.parse::<Region>();
    assert_eq!(parse("0x1000=a@0x20+16"), Ok(Region::new(0x1000, "a").offset(0x20).len(16)));
    assert_eq!(parse("4096=a=b@5"), Ok(Region::new(4096, "a=b").offset(5)));
    assert_eq!(parse("0=me@home"), Ok(Region::new(0, "me@home")));
    assert_eq!(parse("0=me@home@0"), Ok(Region::new(0, "me@home")));
    assert_eq!(parse("0XFFFFFFFFFFFFFFFF=a"), Ok(Region::new(u64::MAX, "a")));
    for text in [
        "",
        "a",
        "=a",
        "0=",
        "0=@0",
        "x=a",
        "0x=a",
        "-1=a",
        "+1=a",
        "0x+1=a",
        "0=a@0x",
        "0=a@1+",
        "0=a@1+0",
        "0=a@1+2+3",
        "0=a@1x",
        "0x10000000000000000=a",
        "0=a@99999999999999999999",
        " 0=a",
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
    }
    for text in ["0x1000=\"a\"@0x20+0x10", "0x0=\"b\"@0x0"] {
        let region = parse(&text.replace('"', "")).unwrap();
        assert_eq!(region.to_string(), text);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_region_or_an_error(text in "[0-9a-fx=@+ \\PC]{0,24}") {
        match text.parse::<Region>() {
            Ok(region) => prop_assert!(!region.path.as_os_str().is_empty() && region.len != Some(0)),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }
}

#[test]
fn firecrackers_gaps() {
    const GIB: u64 = 1 << 30;
    for (len, expected) in [
        (4096, vec![(0, 4096, 4096)]),
        (3 * GIB, vec![(0, 3 * GIB, 3 * GIB)]),
        (3 * GIB + 4096, vec![(0, 3 * GIB, 3 * GIB), (4 * GIB, 4096, 4096)]),
        (256 * GIB, vec![(0, 3 * GIB, 3 * GIB), (4 * GIB, 252 * GIB, 252 * GIB), (512 * GIB, GIB, GIB)]),
    ] {
        let (_dir, [path]) = files([&[]]);
        // Sparse: costs nothing.
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
        let image = Image::open(&path, &OpenOptions::new().format(Format::Firecracker)).unwrap();
        assert_eq!((image.format(), ranges(&image)), (Format::Firecracker, expected));
    }
}

#[test]
fn a_layout_that_is_given_must_fit() {
    let file: Vec<u8> = (0..96).collect();
    let open = |layout: &[std::ops::Range<u64>]| {
        Image::from_bytes("test", file.clone(), &OpenOptions::new().layout(layout))
    };
    let image = open(&[0x1000..0x1020, 0x4000..0x4040]).unwrap();
    assert_eq!(ranges(&image), [(0x1000, 0x20, 0x20), (0x4000, 0x40, 0x40)]);
    assert_eq!(image.read_entry(0x4000, 4), Ok(0x2322_2120));
    for layout in
        [&[0..32, 32..95][..], &[0..96, 96..97], &[0..64, 0x100..0x180], &[0..u64::MAX, 0..u64::MAX]]
    {
        let error = open(layout).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { defect: Defect::LayoutLength { file: 96, .. }, .. }),
            "{error}"
        );
    }
    let error = open(&[0..64, 32..64]).unwrap_err();
    assert!(matches!(error, Error::Malformed { defect: Defect::Overlap { .. }, .. }), "{error}");
}

/// Writes `blocks` of 64 KiB: content where there is one, holes elsewhere. `None` if the file system has no holes.
#[cfg(target_os = "linux")]
fn sparse(path: &Path, blocks: &[Option<u8>]) -> Option<()> {
    use std::os::unix::fs::{FileExt, MetadataExt};
    const BLOCK: u64 = 1 << 16;
    let file = fs::File::create(path).unwrap();
    file.set_len(blocks.len() as u64 * BLOCK).unwrap();
    for (index, value) in blocks.iter().enumerate() {
        if let &Some(value) = value {
            file.write_all_at(&vec![value; BLOCK as usize], index as u64 * BLOCK).unwrap();
        }
    }
    let held = blocks.iter().flatten().count() as u64 * BLOCK;
    (file.metadata().unwrap().blocks() * 512 <= held).then_some(())
}

#[cfg(target_os = "linux")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Holes are missing if that is asked for, whatever the layout cuts through them.
    #[test]
    fn holes_are_missing_on_request(
        blocks in prop::collection::vec(prop::option::of(1_u8..), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("diff");
        if sparse(&path, &blocks).is_none() {
            return Ok(());
        }
        let len = (blocks.len() as u64) << 16;
        let cut = cut.index(len as usize + 1) as u64;
        let high = 1 << 32;
        let options = OpenOptions::new().layout([0..cut, high..high + len - cut]);
        for (options, holes) in [(options.clone(), Ok(0)), (options.holes_missing(true), Err(Unreadable::NotHeld))] {
            let image = Image::open(&path, &options).unwrap();
            prop_assert_eq!(image.memory_bytes(), len);
            for (index, block) in blocks.iter().enumerate() {
                for at in [index << 16, (index << 16) + 0xffff] {
                    let address = if (at as u64) < cut { at as u64 } else { high + at as u64 - cut };
                    let mut byte = [0];
                    let read = image.read(address, &mut byte).map(|()| byte[0]);
                    prop_assert_eq!(read, block.map_or(holes, Ok));
                }
            }
        }
    }
}
