//! An archive that a kernel takes for its first file system: cpio in its "newc" form (the kernel's
//! `driver-api/early-userspace/buffer-format.rst`).

use std::io::Write;

const FOLDER: u32 = 0o40_755;
const PROGRAM: u32 = 0o100_755;

/// These files in the root folder, all of them programs, and a folder for devices.
pub(super) fn of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    entry(&mut archive, "dev", FOLDER, &[]);
    for (name, bytes) in files {
        entry(&mut archive, name, PROGRAM, bytes);
    }
    entry(&mut archive, "TRAILER!!!", 0, &[]);
    archive
}

/// A header in hexadecimal digits, a name that ends with a zero byte, and the bytes, the last two padded to four bytes.
fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    // Number, mode, owner, group, links, time, size, device of the file and of what it stands for, length of the name, sum.
    let number = archive.len() as u32;
    let fields = [number, mode, 0, 0, 1, 0, bytes.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    archive.extend(b"070701");
    for field in fields {
        // Writing to memory does not fail.
        let _ = write!(archive, "{field:08X}");
    }
    for part in [format!("{name}\0").as_bytes(), bytes] {
        archive.extend(part);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_sized() {
        let archive = of(&[("init".to_owned(), b"#!/x".to_vec())]);
        assert_eq!(archive.len() % 4, 0);
        let at = archive.windows(4).position(|name| name == b"init").unwrap();
        assert_eq!(
            (&archive[at - 110..at - 104], &archive[at - 110 + 54..at - 110 + 62]),
            (&b"070701"[..], &b"00000004"[..])
        );
        // 110 bytes and a name of five make 115: one more, and then the bytes.
        assert_eq!(&archive[at + 6..at + 10], b"#!/x");
    }
}
