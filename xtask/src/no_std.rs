//! The proof that the `no_std` crates need no std: two static binaries without it are built and run.
//!
//! `xtask/no-std-proof` is a workspace of its own, because features unify inside one: what one binary asks of pt-core
//! would be there for the other too. For the same reason each is built by its own call of cargo. That such a binary
//! compiles and links says that no panic handler, no allocator and no C library came with the crates; that it exits
//! with status 0 says that the answers were right.

use std::env::consts::{ARCH, OS};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::tools;

/// The directory of the binaries' workspace; its `.cargo/config.toml` holds the linker's options.
const DIRECTORY: &str = "xtask/no-std-proof";
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
const BINARIES: [&str; 2] = ["with-alloc", "without-alloc"];

pub(crate) fn run(sh: &Shell) -> Result<()> {
    ensure!(
        (ARCH, OS) == ("x86_64", "linux"),
        "the binaries start and exit as x86-64 Linux does, not {ARCH} {OS}"
    );
    tools::component(sh, "clippy", "clippy")?;
    let target = sh.current_dir().join("target/no-std-proof");
    let _inside = sh.push_dir(DIRECTORY);
    for name in BINARIES {
        cmd!(sh, "cargo clippy -p {name} --release --target {TRIPLE} --target-dir {target} -- -D warnings")
            .run()?;
        cmd!(sh, "cargo build -p {name} --release --target {TRIPLE} --target-dir {target}").run()?;
        let binary = target.join(TRIPLE).join("release").join(name);
        let loaded = dynamic_segments(&sh.read_binary_file(&binary)?).context("not an ELF executable")?;
        ensure!(loaded == 0, "{name} asks for a dynamic loader");
        cmd!(sh, "{binary}").quiet().run().with_context(|| format!("{name} got a wrong answer"))?;
    }
    Ok(())
}

/// How many program headers of a 64-bit little-endian ELF file are for a dynamic loader (`PT_DYNAMIC`, `PT_INTERP`).
fn dynamic_segments(file: &[u8]) -> Option<usize> {
    let field = |at: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(file.get(at..at.checked_add(len)?)?);
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    file.strip_prefix(b"\x7fELF\x02\x01")?;
    let (headers, size, count) = (field(32, 8)?, field(54, 2)?, field(56, 2)?);
    let types =
        (0..count).map(|index| field(headers.checked_add(index * size)?, 4)).collect::<Option<Vec<_>>>()?;
    Some(types.iter().filter(|&&kind| matches!(kind, 2 | 3)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_headers_tell_a_dynamic_executable() {
        let mut file = vec![0; 64 + 2 * 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[32], file[54], file[56]) = (64, 56, 2);
        (file[64], file[64 + 56]) = (1, 1);
        assert_eq!(dynamic_segments(&file), Some(0));
        file[64 + 56] = 3;
        assert_eq!(dynamic_segments(&file), Some(1));
        assert_eq!(dynamic_segments(&file[..100]), None);
        assert_eq!(dynamic_segments(b"#!/bin/sh"), None);
    }
}
