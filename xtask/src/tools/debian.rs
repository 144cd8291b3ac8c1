//! Debian's packages, where `apt-get` is there to install them.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Installs a package. A machine that is new may never have fetched the lists of packages, or have old ones.
pub(super) fn install(sh: &Shell, package: &str) -> Result<()> {
    let install = || cmd!(sh, "apt-get install -y --no-install-recommends {package}").run();
    if install().is_err() {
        cmd!(sh, "apt-get update").run()?;
        install()?;
    }
    Ok(())
}

/// Installs a package from the backports of the release, whether or not they are among the machine's sources: they are
/// named for these calls alone.
pub(super) fn install_from_backports(sh: &Shell, package: &str) -> Result<()> {
    let system = sh.read_file("/etc/os-release")?;
    let codename = system.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("a Debian without a codename")?;
    cmd!(sh, "apt-get update").run()?;
    let policy = cmd!(sh, "apt-cache policy {package}").quiet().read()?;
    let mirror = mirror(&policy, codename).with_context(|| format!("no source has `{package}`"))?;

    let own = sh.read_file("/etc/apt/sources.list").unwrap_or_default();
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let sources = sh.current_dir().join("target/debian/sources.list");
    sh.write_file(&sources, format!("{own}\ndeb [signed-by={keys}] {mirror} {codename}-backports main\n"))?;
    let sources = format!("-oDir::Etc::SourceList={}", sources.display());
    cmd!(sh, "apt-get update {sources}").run()?;
    let release = format!("--target-release={codename}-backports");
    cmd!(sh, "apt-get install -y --no-install-recommends {sources} {release} {package}").run()?;
    Ok(())
}

/// Where the release itself comes from, of the lines that `apt-cache policy` prints: `PRIORITY URI SUITE/COMPONENT …`.
fn mirror<'a>(policy: &'a str, codename: &str) -> Option<&'a str> {
    policy.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| !word.contains("://"));
        let mirror = words.next()?;
        (words.next()?.strip_suffix("/main") == Some(codename)).then_some(mirror)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_release() {
        let policy = "qemu-system-x86:\n  Installed: (none)\n  Version table:\n     1:7.2 500\n        \
                      500 https://example.org/security bookworm-security/main amd64 Packages\n        \
                      500 https://example.org/debian bookworm/main amd64 Packages\n";
        assert_eq!(mirror(policy, "bookworm"), Some("https://example.org/debian"));
        assert_eq!(mirror(policy, "trixie"), None);
    }
}
