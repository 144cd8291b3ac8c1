//! Cores that `makedumpfile` converts: each compression, with zero pages and without, whole, in parts, flattened, as ELF.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

use super::Bench;
use crate::oracle::Guest;

/// What selects a compression, its name, and whether a build can be without it.
const COMPRESSIONS: [(Option<&str>, &str, bool); 5] = [
    (None, "uncompressed", false),
    (Some("-c"), "zlib", false),
    (Some("-l"), "lzo", true),
    (Some("-p"), "snappy", true),
    (Some("-z"), "zstd", true),
];

/// All pages, or only those that are not zero. To leave out more, `makedumpfile` has to know the kernel.
const LEVELS: [&str; 2] = ["0", "1"];

/// All that can be made of one image. Returns how many dumps were compared.
pub(super) fn round_trips(sh: &Shell, bench: &Bench, program: &Path, guest: &Guest) -> Result<usize> {
    // makedumpfile looks for program headers right behind the header, where newer versions of QEMU put a section.
    let image = guest.image.path();
    let core = bench.core(image, "core")?;
    bench.compare("our core", image, std::slice::from_ref(&core))?;
    let mut compared = 1;
    for (option, name, optional) in COMPRESSIONS {
        if optional && !knows(sh, program, name)? {
            println!("  {name}: this makedumpfile was built without it");
            continue;
        }
        for level in LEVELS {
            let what = format!("makedumpfile {name}, -d {level}");
            let whole = bench.file("whole")?;
            quiet(cmd!(sh, "{program} {option...} -d {level} {core} {whole}"))?;
            bench.compare(&what, &core, &[whole])?;

            let parts = ["part1", "part2", "part3"].map(|part| bench.file(part));
            let parts: &Vec<PathBuf> = &parts.into_iter().collect::<Result<_>>()?;
            quiet(cmd!(sh, "{program} --split {option...} -d {level} {core} {parts...}"))?;
            bench.compare(&format!("{what}, in three parts"), &core, parts)?;

            let flat = bench.file("flat")?;
            let bytes =
                cmd!(sh, "{program} -F {option...} -d {level} {core}").quiet().ignore_stderr().output()?;
            sh.write_file(&flat, bytes.stdout)?;
            bench.compare(&format!("{what}, flattened"), &core, &[flat])?;
            compared += 3;
        }
    }
    for level in LEVELS {
        let elf = bench.file("elf")?;
        quiet(cmd!(sh, "{program} -E -d {level} {core} {elf}"))?;
        bench.compare(&format!("makedumpfile ELF, -d {level}"), &core, &[elf])?;
        compared += 1;
    }
    Ok(compared)
}

fn quiet(command: xshell::Cmd<'_>) -> Result<()> {
    Ok(command.quiet().ignore_stdout().ignore_stderr().run()?)
}

/// Whether it was built with that compression.
fn knows(sh: &Shell, program: &Path, compression: &str) -> Result<bool> {
    let said = cmd!(sh, "{program} -v").quiet().output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(text.lines().any(|line| line.split_whitespace().eq([compression, "enabled"])))
}
