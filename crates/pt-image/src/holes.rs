//! Which stretches of a sparse file have content.
//!
//! Only the file system knows: a hole reads as zeros. It may also report zeros that were written as content, or (after
//! `cp --sparse=always`) content that was zero as a hole.

use std::fs::File;
use std::io;
use std::ops::Range;

/// The stretches of `file`, whose length is `len`, that are not holes, in ascending order.
#[cfg(target_os = "linux")]
pub(crate) fn content(file: &File, len: u64) -> io::Result<Vec<Range<u64>>> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;

    let mut content = Vec::new();
    let mut at = 0;
    while at < len {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // A hole up to the end.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        // The end of the file counts as a hole.
        at = seek(file, SeekFrom::Hole(start))?.min(len);
        if at <= start {
            break;
        }
        content.push(start..at);
    }
    seek(file, SeekFrom::Start(0))?;
    Ok(content)
}

/// Refuses: taking holes for zeros where the caller asked for the difference would be wrong.
#[cfg(not(target_os = "linux"))]
pub(crate) fn content(_: &File, _: u64) -> io::Result<Vec<Range<u64>>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "holes of files are told on Linux only"))
}
