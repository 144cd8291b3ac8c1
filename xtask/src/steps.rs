//! The steps that are little more than one call of cargo.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::tools;
use crate::workspace::{MAIN, Package, packages};

pub(crate) fn fmt(sh: &Shell) -> Result<()> {
    tools::component(sh, "rustfmt", "fmt")?;
    cmd!(sh, "cargo fmt --all --check").run()?;
    for directory in ["xtask/no-std-proof", "fuzz", "conformance", "mutants"] {
        let _inside = sh.push_dir(directory);
        cmd!(sh, "cargo fmt --check").run()?;
    }
    Ok(())
}

/// All targets with all features; without default features the libraries alone, because tests bring features back in.
pub(crate) fn clippy(sh: &Shell) -> Result<()> {
    tools::component(sh, "clippy", "clippy")?;
    cmd!(sh, "cargo clippy --workspace --all-targets --all-features -- -D warnings").run()?;
    let packages = packages(sh, MAIN)?;
    let featured = arguments("-p", packages.iter().filter(|package| package.default_features));
    cmd!(sh, "cargo clippy {featured...} --lib --no-default-features -- -D warnings").run()?;
    Ok(())
}

/// What no default feature brings, and has tests.
const FEATURES: &str = "--features=pt-vcpu/kvm-bindings";

pub(crate) fn test_checked(sh: &Shell) -> Result<()> {
    let checks = ["--config=profile.dev.overflow-checks=true", "--config=profile.dev.debug-assertions=true"];
    cmd!(sh, "cargo test --workspace {FEATURES} --lib --bins --tests {checks...}").run()?;
    Ok(())
}

/// The optimised build is the one that users have, and arithmetic that overflows shows itself by wrong answers here. What
/// only the project itself runs is not built for that.
pub(crate) fn test_unchecked(sh: &Shell) -> Result<()> {
    let own = ["--workspace", "--exclude=xtask", "--exclude=pt-benches", FEATURES];
    unchecked(sh, &[&own[..], &["--lib", "--bins", "--tests"]].concat())
}

/// The part of [`test_unchecked`] that a guest would try first: tables that cost, that lie, and all that there are of a small format.
pub(crate) fn test_hostile(sh: &Shell) -> Result<()> {
    let tests =
        ["--test=bombs", "--test=rebuild_hostile", "--test=rebuild_toy", "--test=total", "--test=toy"];
    unchecked(sh, &[&["-p=pt-testkit"][..], &tests].concat())
}

fn unchecked(sh: &Shell, what: &[&str]) -> Result<()> {
    let checks =
        ["--config=profile.release.overflow-checks=false", "--config=profile.release.debug-assertions=false"];
    cmd!(sh, "cargo test {what...} --release {checks...}").run()?;
    Ok(())
}

pub(crate) fn doc_test(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo test --workspace --doc").run()?;
    Ok(())
}

pub(crate) fn doc(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(())
}

/// No architecture is favoured: every format compiles wherever `core` does.
pub(crate) fn targets(sh: &Shell) -> Result<()> {
    let packages = packages(sh, MAIN)?;
    let no_std = &arguments("-p", packages.iter().filter(|package| package.is_no_std(sh)));
    ensure!(!no_std.is_empty(), "no crate is no_std");
    for triple in ["x86_64-unknown-none", "i686-unknown-linux-gnu"] {
        tools::target(sh, triple)?;
        for features in [None, Some("--no-default-features")] {
            cmd!(sh, "cargo check {no_std...} --lib --target {triple} {features...}").run()?;
        }
    }
    Ok(())
}

/// All graphs of a few tables of the toy format: see the example's own description.
pub(crate) fn exhaust(sh: &Shell, arguments: &[&str]) -> Result<()> {
    cmd!(sh, "cargo run --release -p pt-testkit --example exhaust -- {arguments...}").run()?;
    Ok(())
}

/// Criterion takes `--test` to mean once and unmeasured, and so does the built-in harness. Built as the tests are, with what they
/// have built: nothing is measured.
pub(crate) fn bench_test(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo test --workspace {FEATURES} --bench * -- --test").run()?;
    Ok(())
}

/// Only what users build: tests and benches may need a newer Rust.
pub(crate) fn msrv(sh: &Shell) -> Result<()> {
    let packages = packages(sh, MAIN)?;
    let core = packages.iter().find(|package| package.name == "pt-core").context("there is no pt-core")?;
    let version = core.rust_version.as_deref().context("pt-core has no rust-version")?;
    let toolchain =
        if version.matches('.').count() == 1 { format!("{version}.0") } else { version.to_owned() };
    tools::toolchain(sh, &toolchain)?;
    let own = arguments("--exclude", packages.iter().filter(|package| !package.is_in("crates")));
    cmd!(sh, "cargo +{toolchain} check --workspace {own...}").run()?;
    Ok(())
}

/// `flag` before the name of every package.
pub(crate) fn arguments<'a>(flag: &'a str, packages: impl Iterator<Item = &'a Package>) -> Vec<&'a str> {
    packages.flat_map(|package| [flag, package.name.as_str()]).collect()
}
