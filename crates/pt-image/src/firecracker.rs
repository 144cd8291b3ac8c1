//! Firecracker's memory files: the guest's regions one after the other, without any header.
//!
//! The regions are recorded in the snapshot's state file, in an encoding that changes with each version and is not read
//! here. On x86 they follow from the size alone, unless memory was hot-plugged: two gaps are left for devices.
//!
//! ```text
//! 0 ......... 3 GiB |  gap  | 4 GiB ......... 256 GiB |   gap   | 512 GiB ...
//! ```
//!
//! Versions before the second gap existed (1.12 and older) agree up to 255 GiB of memory.

use crate::error::{Checked, Defect};
use crate::headerless::{self, Stretch};
use crate::image::Contents;
use crate::source::Source;
use std::ops::Range;

const GIB: u64 = 1 << 30;

/// Where memory is, but for its last byte, which is where the file ends.
const REGIONS: [Range<u64>; 3] = [0..3 * GIB, 4 * GIB..256 * GIB, 512 * GIB..u64::MAX];

/// Takes a file as regions of `layout`, or of the x86 default where that is empty.
pub(crate) fn parse(source: &Source, layout: &[Range<u64>]) -> Checked<Contents> {
    let stretches = if layout.is_empty() { default_layout(source.len()) } else { given(source, layout)? };
    headerless::parse(&stretches, std::slice::from_ref(source))
}

fn default_layout(mut left: u64) -> Vec<Stretch> {
    let ranges = REGIONS.iter().map(|region| {
        let len = left.min(region.end - region.start);
        left -= len;
        (region.start, len)
    });
    headerless::in_order(ranges)
}

fn given(source: &Source, layout: &[Range<u64>]) -> Checked<Vec<Stretch>> {
    let lens = layout.iter().map(|range| range.end.saturating_sub(range.start));
    let total = lens.fold(0, u64::saturating_add);
    if total != source.len() {
        return Err((0, Defect::LayoutLength { layout: total, file: source.len() }));
    }
    Ok(headerless::in_order(layout.iter().map(|range| (range.start, range.end.saturating_sub(range.start)))))
}
