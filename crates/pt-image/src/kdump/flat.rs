//! The flattened form: what `makedumpfile -F` writes where it cannot seek, a pipe for example.
//!
//! ```text
//! 0      "makedumpfile", padded to 16 bytes; type and version, 1 each (i64, big-endian); zeros
//! 4096   records: where the bytes belong, how many they are (i64, big-endian), and the bytes
//!        the last record has -1 for both
//! ```
//!
//! The bytes are put where they belong in memory; `makedumpfile -R` does it on disk. Later records win, for the headers
//! are written again at the end.

use crate::error::{Checked, Defect};

pub(crate) const MAGIC: [u8; 16] = *b"makedumpfile\0\0\0\0";
const HEADER: usize = 4096;

/// Where the bytes of a flattened dump end once they are where they belong. Checks all records.
pub(crate) fn end(file: &[u8]) -> Checked<u64> {
    for (at, defect_of) in [(16, "type"), (24, "version")] {
        let found = number(file, at)?;
        if found != 1 {
            return Err((at as u64, Defect::Flattened { what: defect_of, found }));
        }
    }
    let mut end = 0;
    for record in records(file) {
        let (place, bytes) = record?;
        end = end.max(place + bytes.len() as u64);
    }
    Ok(end)
}

/// Fills `to`, whose length is at least what [`end`] said. What no record covers stays as it is.
pub(crate) fn fill(file: &[u8], to: &mut [u8]) {
    for (place, bytes) in records(file).map_while(Result::ok) {
        let place = place as usize;
        if let Some(to) = to.get_mut(place..place + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }
}

fn records(file: &[u8]) -> impl Iterator<Item = Checked<(u64, &[u8])>> {
    let mut next = Some(HEADER);
    std::iter::from_fn(move || {
        let at = next.take()?;
        match record(file, at) {
            Ok(Some((place, bytes))) => {
                next = Some(at + 16 + bytes.len());
                Some(Ok((place, bytes)))
            }
            Ok(None) => None,
            Err(fault) => Some(Err(fault)),
        }
    })
}

/// The record at `at`; none if it is the one that ends them.
fn record(file: &[u8], at: usize) -> Checked<Option<(u64, &[u8])>> {
    let (place, len) = (number(file, at)?, number(file, at + 8)?);
    if (place, len) == (-1, -1) {
        return Ok(None);
    }
    let lying = |what, found| (at as u64, Defect::Flattened { what, found });
    // Not even the sum may overflow.
    let start = u64::try_from(place).map_err(|_| lying("offset", place))?;
    let len = u64::try_from(len).ok().filter(|&len| len > 0).ok_or_else(|| lying("size", len))?;
    let bytes = usize::try_from(len).ok().and_then(|len| file.get(at + 16..)?.get(..len));
    let truncated = Defect::Truncated { what: "record", start: at as u64 + 16, len, file: file.len() as u64 };
    Ok(Some((start, bytes.ok_or((at as u64, truncated))?)))
}

fn number(file: &[u8], at: usize) -> Checked<i64> {
    let bytes = file.get(at..).and_then(|from| from.first_chunk());
    let truncated =
        Defect::Truncated { what: "record's header", start: at as u64, len: 8, file: file.len() as u64 };
    bytes.map(|&bytes| i64::from_be_bytes(bytes)).ok_or((at as u64, truncated))
}
