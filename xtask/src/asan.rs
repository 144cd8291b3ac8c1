//! The raw interface's tests under `AddressSanitizer`: all `unsafe` that concerns tables is reached from there, and some of
//! their embedders have tables that are allocations behind pointers, so that an entry past a table's end is seen.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::tools;

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The tests: a package, and its test target.
const TESTS: [(&str, &str); 3] = [("pt-amd64", "raw"), ("pt-i686", "raw"), ("pt-testkit", "raw")];

/// Builds with nightly, apart from everything else, and runs.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    tools::toolchain(sh, "nightly")?;
    let _flags = sh.push_env("RUSTFLAGS", "-Zsanitizer=address");
    // Nothing is left behind: `Rc`s and boxes of a test that ends are seen too.
    let _options = sh.push_env("ASAN_OPTIONS", "detect_leaks=1");
    for (package, test) in TESTS {
        cmd!(sh, "cargo +nightly test -p {package} --test {test} --target {TRIPLE} --target-dir target/asan")
            .run()?;
    }
    Ok(())
}
