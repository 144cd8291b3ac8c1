//! Files for what is not read from memory alone: in memory where the system has such a place, and without a name, so that
//! nothing is left of them.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that only this process can open, by a path that leads there.
pub(crate) struct Nameless {
    file: File,
    path: PathBuf,
}

impl Nameless {
    /// With these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let shared = PathBuf::from("/dev/shm");
        let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = folder.join(format!("pt-fuzz-{}-{number}", std::process::id()));
        let file = File::create(&name).expect("a file can be made");
        fs::remove_file(name).expect("it can be removed");
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let nameless = Self { file, path };
        nameless.write(bytes);
        nameless
    }

    /// Has these bytes from now on, instead of those it had.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let written = self.file.set_len(bytes.len() as u64).and_then(|()| self.file.write_all_at(bytes, 0));
        written.expect("a file can be written");
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
