//! Tools that steps need: installed where missing, or named in the error where that fails.

mod debian;

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::qemu;

/// A component of the toolchain in use, such as `clippy`, whose `program` answers `--version` once it is there.
pub(crate) fn component(sh: &Shell, component: &str, program: &str) -> Result<()> {
    if answers(sh, &["cargo", program, "--version"]) {
        return Ok(());
    }
    cmd!(sh, "rustup component add {component}")
        .run()
        .with_context(|| format!("the component `{component}` is missing and could not be installed"))
}

/// A toolchain beside the one in use, such as `nightly`.
pub(crate) fn toolchain(sh: &Shell, name: &str) -> Result<()> {
    if answers(sh, &["rustup", "run", name, "rustc", "--version"]) {
        return Ok(());
    }
    cmd!(sh, "rustup toolchain install --profile minimal {name}")
        .run()
        .with_context(|| format!("the toolchain `{name}` is missing and could not be installed"))
}

/// The core library of another target, for the toolchain in use.
pub(crate) fn target(sh: &Shell, triple: &str) -> Result<()> {
    let installed = cmd!(sh, "rustc --print target-libdir --target {triple}").quiet().read()?;
    if sh.path_exists(installed) {
        return Ok(());
    }
    cmd!(sh, "rustup target add {triple}")
        .run()
        .with_context(|| format!("the target `{triple}` is missing and could not be installed"))
}

/// A C++ compiler, from Debian's packages where `apt-get` is there to install it.
pub(crate) fn cxx(sh: &Shell) -> Result<()> {
    if ["c++", "g++", "clang++"].iter().any(|compiler| answers(sh, &[*compiler, "--version"])) {
        return Ok(());
    }
    debian::install(sh, "g++").context("a C++ compiler is missing and could not be installed")
}

/// The program `makedumpfile`, from Debian's packages where `apt-get` is there to install it.
pub(crate) fn makedumpfile(sh: &Shell) -> Result<PathBuf> {
    if !answers(sh, &["makedumpfile", "-v"]) {
        debian::install(sh, "makedumpfile")
            .context("`makedumpfile` is missing and could not be installed")?;
    }
    Ok("makedumpfile".into())
}

/// The program `valgrind`, from Debian's packages where `apt-get` is there to install it.
pub(crate) fn valgrind(sh: &Shell) -> Result<()> {
    if answers(sh, &["valgrind", "--version"]) {
        return Ok(());
    }
    debian::install(sh, "valgrind").context("`valgrind` is missing and could not be installed")
}

/// What a kernel module is built and taken apart with, from Debian's packages where `apt-get` is there to install it.
pub(crate) fn kernel_modules(sh: &Shell) -> Result<()> {
    for (program, package) in [("make", "make"), ("gcc", "gcc"), ("strip", "binutils")] {
        if !answers(sh, &[program, "--version"]) {
            debian::install(sh, package)
                .with_context(|| format!("`{program}` is missing and could not be installed"))?;
        }
    }
    Ok(())
}

/// What Python needs to make environments, from Debian's packages where `apt-get` is there to install it.
pub(crate) fn python_venv(sh: &Shell) -> Result<()> {
    if answers(sh, &["python3", "-m", "ensurepip", "--version"]) {
        return Ok(());
    }
    debian::install(sh, "python3-venv").context("Python's `venv` is missing and could not be installed")
}

/// GCC as a compiler for x86, 32 and 64 bits wide, from Debian's packages where `apt-get` is there to install it.
pub(crate) fn c_compiler(sh: &Shell) -> Result<&'static str> {
    let (compiler, package) = if cfg!(target_arch = "x86_64") {
        ("gcc", "gcc")
    } else {
        ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu")
    };
    if !answers(sh, &[compiler, "--version"]) {
        debian::install(sh, package)
            .with_context(|| format!("`{compiler}` is missing and could not be installed"))?;
    }
    Ok(compiler)
}

/// QEMU for x86, from Debian's packages where `apt-get` is there to install it.
///
/// All of QEMU's packages have one version: where another one came from backports, this one has to come from there too, or
/// apt would remove the other.
pub(crate) fn qemu(sh: &Shell) -> Result<()> {
    if answers(sh, &[qemu::PROGRAM, "--version"]) {
        return Ok(());
    }
    let utilities = cmd!(sh, "dpkg-query --show qemu-utils").quiet().ignore_stderr().read();
    let installed = if utilities.is_ok_and(|version| version.contains("~bpo")) {
        debian::install_from_backports(sh, "qemu-system-x86")
    } else {
        debian::install(sh, "qemu-system-x86")
    };
    installed.with_context(|| format!("`{}` is missing and could not be installed", qemu::PROGRAM))
}

/// What Unicorn is built with: `CMake`, a C compiler, and libclang for its bindings. `LIBCLANG_PATH` says where a libclang is
/// that no package brought.
pub(crate) fn unicorn(sh: &Shell) -> Result<()> {
    c_compiler(sh)?;
    if !answers(sh, &["cmake", "--version"]) {
        debian::install(sh, "cmake").context("`cmake` is missing and could not be installed")?;
    }
    if sh.var("LIBCLANG_PATH").is_ok() || answers(sh, &["dpkg-query", "--show", "libclang-dev"]) {
        return Ok(());
    }
    debian::install(sh, "libclang-dev")
        .context("libclang is missing (`LIBCLANG_PATH` is not set either) and could not be installed")
}

/// A cargo subcommand from the registry, such as `cargo-fuzz`.
pub(crate) fn subcommand(sh: &Shell, package: &str) -> Result<()> {
    install(sh, package, package)
}

/// The same, at a version that is known to build and to answer as expected; another that is there already is used.
pub(crate) fn pinned(sh: &Shell, (package, version): (&str, &str)) -> Result<()> {
    install(sh, package, &format!("{package}@{version}"))
}

fn install(sh: &Shell, package: &str, exactly: &str) -> Result<()> {
    let name = package.strip_prefix("cargo-").unwrap_or(package);
    if answers(sh, &["cargo", name, "--version"]) {
        return Ok(());
    }
    cmd!(sh, "cargo install --locked {exactly}")
        .run()
        .with_context(|| format!("`{package}` is missing and could not be installed"))
}

/// Whether a command can be run and succeeds.
fn answers(sh: &Shell, command: &[&str]) -> bool {
    let [program, arguments @ ..] = command else { return false };
    cmd!(sh, "{program} {arguments...}").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}
