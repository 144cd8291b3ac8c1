//! The packages of a workspace, as `cargo metadata` describes them.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

/// The manifest of the main workspace.
pub(crate) const MAIN: &str = "Cargo.toml";
/// The manifest of the binaries that prove `no_std`.
pub(crate) const NO_STD_PROOF: &str = "xtask/no-std-proof/Cargo.toml";
/// The manifest of the fuzz targets.
pub(crate) const FUZZ: &str = "fuzz/Cargo.toml";
/// The manifest of the comparison with Unicorn.
pub(crate) const CONFORMANCE: &str = "conformance/Cargo.toml";
/// The manifest of what runs tests on mutants.
pub(crate) const MUTANTS: &str = "mutants/Cargo.toml";

/// One package; paths are relative to the repository's root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Whether it may be published.
    pub(crate) published: bool,
    /// The directory of its manifest.
    pub(crate) directory: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// The root files of its library and its binaries.
    pub(crate) roots: Vec<String>,
    /// Whether it has default features at all.
    pub(crate) default_features: bool,
    pub(crate) rust_version: Option<String>,
}

/// One line of a package's dependencies.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
    /// Whether it is part of this repository.
    pub(crate) local: bool,
}

impl Package {
    /// Whether it lies in that directory of the repository, at any depth.
    pub(crate) fn is_in(&self, directory: &str) -> bool {
        Path::new(&self.directory).starts_with(directory)
    }

    /// Whether others can depend on it.
    pub(crate) fn is_library(&self) -> bool {
        self.roots.iter().any(|root| root.ends_with("lib.rs"))
    }

    /// Whether its library does without std.
    pub(crate) fn is_no_std(&self, sh: &Shell) -> bool {
        let mut libraries = self.roots.iter().filter(|root| root.ends_with("lib.rs"));
        libraries.any(|root| sh.read_file(root).is_ok_and(|source| source.contains("#![no_std]")))
    }
}

/// The members of the workspace with this manifest.
pub(crate) fn packages(sh: &Shell, manifest: &str) -> Result<Vec<Package>> {
    let metadata =
        cmd!(sh, "cargo metadata --no-deps --format-version 1 --manifest-path {manifest}").quiet().read()?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let root = sh.current_dir().canonicalize()?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    packages.iter().map(|value| package(&root, value).context("cargo metadata has an unknown form")).collect()
}

fn package(root: &Path, value: &Value) -> Option<Package> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let relative =
        |value: &Value| Some(Path::new(value.as_str()?).strip_prefix(root).ok()?.to_str()?.to_owned());
    let manifest = relative(&value["manifest_path"])?;
    let is_root = |target: &&Value| {
        let kinds = target["kind"].as_array().into_iter().flatten();
        kinds.filter_map(Value::as_str).any(|kind| matches!(kind, "lib" | "bin" | "rlib" | "proc-macro"))
    };
    Some(Package {
        name: text(&value["name"])?,
        version: text(&value["version"])?,
        published: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        directory: Path::new(&manifest).parent()?.to_str()?.to_owned(),
        dependencies: value["dependencies"].as_array()?.iter().map(dependency).collect::<Option<_>>()?,
        roots: value["targets"]
            .as_array()?
            .iter()
            .filter(is_root)
            .map(|target| relative(&target["src_path"]))
            .collect::<Option<_>>()?,
        default_features: value["features"]["default"].as_array().is_some_and(|names| !names.is_empty()),
        rust_version: text(&value["rust_version"]),
    })
}

fn dependency(value: &Value) -> Option<Dependency> {
    Some(Dependency {
        name: value["name"].as_str()?.to_owned(),
        dev: value["kind"] == "dev",
        local: value.get("path").is_some_and(|path| !path.is_null()),
    })
}
