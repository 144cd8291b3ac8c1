//! The only `unsafe` of this crate: a file mapped into memory, read-only.
//!
//! Why not a crate that offers this as a safe function: those that lend `&[u8]` make the same promise on the caller's
//! behalf, unseen; those that keep the promise (volatile access) cannot lend, and lending is the point of mapping.
//! Reading the file into memory instead is [`OpenOptions::map(false)`](crate::OpenOptions::map).

use std::fs::File;
use std::io;

/// A whole file, mapped read-only.
pub(crate) type Mapping = memmap2::Mmap;

/// Maps all of `file`, which must not be empty.
///
/// # Safety argument
///
/// `memmap2::Mmap::map` asks that nobody modifies the file while it is mapped, because its bytes are lent as `&[u8]`.
///
/// 1. *Validity and lifetime.* The system chose the address range; the mapping owns it and unmaps it when dropped; every
///    slice borrows from the mapping. The length is the file's when it was mapped. So no slice dangles.
/// 2. *This process.* The mapping is read-only, nothing in this crate writes to the file, and no `&mut` to the mapping
///    exists. `u8` has no invalid values.
/// 3. *Other processes* can write to the file; no system that this crate supports lets us forbid it. This is the one
///    part that is not proved but required: the documentation of `Image::open` says so, and `Image::check_unchanged`
///    detects it afterwards. What limits the harm: offsets and lengths are taken from the bytes when opening, and after
///    that only for the pages of compressed dumps, each checked on each use; so a change makes page-table contents wrong, as a guest that runs while it is being dumped does.
/// 4. *Truncation* by another process removes pages from under the mapping. Touching one raises SIGBUS (an in-page
///    exception on Windows), which ends the process: no wrong byte is ever returned, and there is nothing to recover.
#[expect(unsafe_code, reason = "mapping a file is unsafe in every crate that is honest about it")]
pub(crate) fn map(file: &File) -> io::Result<Mapping> {
    // SAFETY: points 1 to 4 above; 3 is passed on to whoever opens an image.
    unsafe { memmap2::MmapOptions::new().map(file) }
}
