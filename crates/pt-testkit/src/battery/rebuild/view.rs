//! The view of what was rebuilt keeps what every memory promises.

use pt_core::Memory;
use pt_rebuild::Rebuilt;

const PAGE: u64 = 4096;

/// What it lends is what it reads, all of a table among it; and it passes over nothing that is readable. `old` lends, and
/// knows where it has bytes.
pub(super) fn check(rebuilt: &Rebuilt, old: &impl Memory) {
    let view = rebuilt.view(old);
    let readable = |address: u64| view.read(address, &mut [0]).is_ok();
    // Where anything readable can begin.
    let mut starts: Vec<u64> = rebuilt.tables().iter().map(|table| table.address).collect();
    for frames in rebuilt.copies() {
        let to = frames.to.expect("what is copied goes somewhere");
        starts.extend((0..frames.bytes().div_ceil(PAGE).min(16)).map(|page| to + page * PAGE));
    }
    starts.sort_unstable();
    for &start in &starts {
        for (at, len) in
            [(start, 8), (start, 4096), (start + 16, 4080), (start + 8, 4096), (start.saturating_sub(8), 16)]
        {
            let mut bytes = vec![0; len];
            let read = view.read(at, &mut bytes);
            if let Some(lent) = view.lend(at, len) {
                assert_eq!((read, lent), (Ok(()), &bytes[..]), "{len} bytes at {at:#x}");
            }
        }
    }
    for table in rebuilt.tables() {
        let half = table.bytes.len() / 2;
        let at = table.address + half as u64;
        assert_eq!(view.lend(table.address, table.bytes.len()), Some(&table.bytes[..]));
        assert_eq!(view.lend(at, half), Some(&table.bytes[half..]), "half a table");
    }
    // Large pages have more frames than are looked at here.
    if rebuilt.copies().iter().all(|frames| frames.bytes() <= 16 * PAGE) {
        let around = starts.iter().flat_map(|&start| [start.saturating_sub(1), start, start + 8]);
        for from in around.chain([0, u64::MAX]) {
            let expected = if readable(from) {
                Some(from)
            } else {
                starts.iter().copied().find(|&at| at > from && readable(at))
            };
            assert_eq!(view.next_readable(from), expected, "from {from:#x}");
        }
    }
}
