//! The guest as an ELF file, compiled from guest/ for a paging mode, and what its symbols are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol};
use xshell::{Shell, cmd};

use crate::tools;

/// Where its source is, from the repository's root.
const SOURCE: &str = "guest";

/// For every width. Nothing may be there that a host has and a machine without an operating system has not: a C library,
/// its start files, its stack protection, vector registers, position-independent code.
const FLAGS: [&str; 14] = [
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-fno-asynchronous-unwind-tables",
    "-fno-pic",
    "-fno-stack-protector",
    "-fno-tree-loop-distribute-patterns",
    "-fcf-protection=none",
    "-mgeneral-regs-only",
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none,-z,max-page-size=4096",
];

/// The compiled guest.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) path: PathBuf,
    symbols: BTreeMap<String, u64>,
}

impl Program {
    /// Compiles the program `name` into a directory.
    pub(crate) fn build(sh: &Shell, name: &str, levels: u32, into: &Path) -> Result<Self> {
        let compiler = tools::c_compiler(sh)?;
        let width: &[&str] = if levels > 3 { &["-m64", "-mno-red-zone"] } else { &["-m32", "-mregparm=3"] };
        let mut sources = sh.read_dir(SOURCE)?;
        sources.extend(sh.read_dir(format!("{SOURCE}/{name}"))?);
        sources.retain(|path| path.extension().is_some_and(|kind| kind == "c" || kind == "S"));
        let path = into.join(format!("{name}-{levels}.elf"));
        let mode = format!("-DLEVELS={levels}");
        let (include, script) = (format!("-I{SOURCE}"), format!("-Wl,-T,{SOURCE}/guest.ld"));
        cmd!(sh, "{compiler} {FLAGS...} {width...} {mode} {include} {script} {sources...} -o {path}")
            .quiet()
            .run()
            .context("the guest cannot be compiled")?;
        let bytes = sh.read_binary_file(&path)?;
        let file = object::File::parse(&*bytes)?;
        let symbols = file.symbols();
        let symbols =
            symbols.filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address()))).collect();
        Ok(Self { path, symbols })
    }

    /// The virtual address of a symbol.
    pub(crate) fn symbol(&self, name: &str) -> Result<u64> {
        self.symbols.get(name).copied().with_context(|| format!("the guest has no symbol {name}"))
    }
}
