//! A file that is written but does not have its name yet.

use super::WriteError;
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Zeros of this length, at such an offset, are left out of the file.
const HOLE: usize = 4096;

/// A file that was written whole, under a temporary name. Dropped without [`Staged::commit`], it is removed.
///
/// An image can be read and written by its owner only, as memory holds secrets.
///
/// ```
/// use pt_image::Staged;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("report");
/// let staged = Staged::text(&path, b"as it was")?;
/// assert!(!path.exists());
/// staged.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"as it was");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "without a commit, the file is removed"]
pub struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// A file that is no image, such as a report about one. Whoever may read files that this process makes may read it.
    ///
    /// # Errors
    ///
    /// - [`WriteError::NotAFile`], [`WriteError::Create`]: the folder or the name is unusable;
    /// - [`WriteError::Write`]: the disk is full, for example.
    pub fn text(path: impl AsRef<Path>, text: &[u8]) -> Result<Self, WriteError> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut staged = Self::create(path.as_ref(), &mut builder)?;
        match staged.file.write_all(text) {
            Ok(()) => Ok(staged),
            Err(cause) => Err(WriteError::Write { path: staged.path, cause }),
        }
    }

    /// Makes a file beside `path`; beside what it points at, if it is a link.
    fn create(path: &Path, builder: &mut tempfile::Builder<'_, '_>) -> Result<Self, WriteError> {
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(WriteError::NotAFile { path: path.to_owned() });
        }
        let cannot_create = |cause| WriteError::Create { path: path.to_owned(), cause };
        let target =
            if path.is_symlink() { fs::canonicalize(path).map_err(cannot_create)? } else { path.to_owned() };
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let file = builder.prefix(".pt-").tempfile_in(folder).map_err(cannot_create)?;
        Ok(Self { file, path: target })
    }

    /// Where the file is until it is committed.
    pub fn temporary_path(&self) -> &Path {
        self.file.path()
    }

    /// Sees to it that the file can be read through a mapping, as [`Image::open`](crate::Image::open) does. On a tmpfs its holes
    /// need room for that, and where there is none, reading them ends the process (SIGBUS).
    ///
    /// # Errors
    ///
    /// [`WriteError::Write`]: there is no room.
    pub fn fill_holes(&self) -> Result<(), WriteError> {
        let filled = fill_holes(self.file.as_file());
        filled.map_err(|cause| WriteError::Write { path: self.path.clone(), cause })
    }

    /// Waits until the content is on the disk. [`commit`](Self::commit) does that, too: this is for whoever has something to
    /// do meanwhile, on another thread. It is to be asked once only: a disk says once that it failed.
    ///
    /// # Errors
    ///
    /// [`WriteError::Write`]: the content does not reach the disk.
    pub fn sync(&self) -> Result<(), WriteError> {
        let synced = self.file.as_file().sync_all();
        synced.map_err(|cause| WriteError::Write { path: self.path.clone(), cause })
    }

    /// Gives the file its name, in place of the one that had it, if there was one. The content reaches the disk first.
    ///
    /// # Errors
    ///
    /// - [`WriteError::Write`]: the content does not reach the disk;
    /// - [`WriteError::Rename`]: the name cannot be given.
    pub fn commit(self) -> Result<(), WriteError> {
        self.sync()?;
        let Self { file, path } = self;
        match file.persist(&path) {
            Ok(_) => Ok(()),
            Err(error) => Err(WriteError::Rename { path, cause: error.error }),
        }
    }
}

/// A file while it is being written, from its start on.
#[derive(Debug)]
pub(super) struct Output {
    staged: Staged,
    /// Where the next byte goes.
    at: u64,
    /// Where the file itself is.
    written: u64,
}

impl Output {
    /// Starts an image.
    pub(super) fn create(path: &Path) -> Result<Self, WriteError> {
        let staged = Staged::create(path, &mut tempfile::Builder::new())?;
        Ok(Self { staged, at: 0, written: 0 })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.staged.path.clone()
    }

    /// Leaves a hole up to `offset`, which is not before the place that was reached.
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.at = offset;
    }

    /// Writes `bytes`, but for pages of zeros.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            let (zeros, len) = run(self.at, bytes);
            let (run, rest) = bytes.split_at(len);
            if !zeros {
                self.put(run).map_err(|cause| WriteError::Write { path: self.path(), cause })?;
            }
            self.at += len as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.staged.file.as_file_mut();
        if self.written != self.at {
            file.seek(SeekFrom::Start(self.at))?;
        }
        file.write_all(bytes)?;
        self.written = self.at + bytes.len() as u64;
        Ok(())
    }

    /// The file, which ends at the place that was reached, be it a hole.
    pub(super) fn finish(self) -> Result<Staged, WriteError> {
        match self.staged.file.as_file().set_len(self.at) {
            Ok(()) => Ok(self.staged),
            Err(cause) => Err(WriteError::Write { path: self.path(), cause }),
        }
    }
}

#[cfg(target_os = "linux")]
fn fill_holes(file: &fs::File) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};

    let len = file.metadata()?.len();
    if len > 0 && on_tmpfs(file)? {
        fallocate(file, FallocateFlags::empty(), 0, len)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn on_tmpfs(file: &fs::File) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(file)?.f_type == 0x0102_1994)
}

#[cfg(not(target_os = "linux"))]
fn fill_holes(_: &fs::File) -> io::Result<()> {
    Ok(())
}

/// How many of `bytes`, which go to the offset `at`, come before the first page that differs from those before it in
/// whether it is zeros; and whether they are.
fn run(at: u64, bytes: &[u8]) -> (bool, usize) {
    let zeros = |page: &[u8]| *page == [0; HOLE][..page.len()];
    let to_boundary = HOLE - (at % HOLE as u64) as usize;
    let (first, rest) = bytes.split_at(to_boundary.min(bytes.len()));
    let first_zeros = zeros(first);
    let alike = rest.chunks(HOLE).take_while(|page| zeros(page) == first_zeros);
    (first_zeros, first.len() + alike.map(<[u8]>::len).sum::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there is a tmpfs, and it can be written.
    #[cfg(target_os = "linux")]
    #[test]
    fn on_a_tmpfs_holes_can_be_filled() {
        use std::os::unix::fs::MetadataExt;

        const LEN: u64 = 16 * HOLE as u64;
        let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
        let mut output = Output::create(&folder.path().join("image")).expect("creates");
        output.skip_to(LEN);
        if !on_tmpfs(output.staged.file.as_file()).expect("is there") {
            return;
        }
        let staged = output.finish().expect("is written");
        staged.fill_holes().expect("has room");
        let metadata = fs::metadata(staged.temporary_path()).expect("is there");
        assert_eq!((metadata.len(), metadata.blocks() * 512), (LEN, LEN));
    }

    #[test]
    fn runs_end_where_zeros_begin_or_end() {
        let mut bytes = vec![0; 4 * HOLE];
        bytes[HOLE..3 * HOLE].fill(1);
        assert_eq!(run(0, &bytes), (true, HOLE));
        assert_eq!(run(HOLE as u64, &bytes[HOLE..]), (false, 2 * HOLE));
        assert_eq!(run(0, &bytes[3 * HOLE..]), (true, HOLE));
        // Pages are those of the file: an odd start makes the first one short.
        assert_eq!(run(100, &bytes[HOLE - 1..2 * HOLE]), (false, HOLE + 1));
        assert_eq!(run(HOLE as u64 - 1, &bytes[HOLE - 1..2 * HOLE]), (true, 1));
        assert_eq!(run(5, &bytes[..10]), (true, 10));
    }
}
