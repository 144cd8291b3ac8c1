//! QEMU as a process that is talked to: started, asked, and ended with the value that stands for it.
//!
//! [`Qemu`] is any machine; [`Mmu`] is the one without a guest that only walks page tables. The machine is emulated (TCG),
//! so it is the same wherever this runs.

mod description;
mod gdb;
mod mmu;
mod monitor;
mod socket;

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tempfile::TempDir;

use gdb::Gdb;
pub(crate) use mmu::{GRANULE, Mmu, Paging};
use monitor::Monitor;
use socket::Socket;

/// The program, which answers for 32-bit and 64-bit modes alike.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running QEMU, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Qemu {
    child: Child,
    pub(crate) monitor: Monitor,
    pub(crate) gdb: Gdb,
    /// Where its sockets are.
    _directory: TempDir,
}

impl Qemu {
    /// Starts an emulated machine that is stopped before its first instruction, without devices other than those
    /// named in `arguments`.
    pub(crate) fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("qemu-").tempdir()?;
        let (qmp, gdb) = (directory.path().join("qmp"), directory.path().join("gdb"));
        let stderr = directory.path().join("stderr");
        let mut child = Command::new(PROGRAM)
            .args(["-S", "-accel", "tcg", "-display", "none", "-nodefaults", "-no-user-config"])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", escaped(&qmp)?)])
            .args(["-gdb", "chardev:gdb", "-chardev"])
            .arg(format!("socket,id=gdb,path={},server=on,wait=off", escaped(&gdb)?))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("{PROGRAM} cannot be started"))?;
        let connected = (|| {
            let monitor = Monitor::greeted(connect(&qmp, &mut child, &stderr)?)?;
            Ok((monitor, Gdb::attached(connect(&gdb, &mut child, &stderr)?)?))
        })();
        match connected {
            Ok((monitor, gdb)) => Ok(Self { child, monitor, gdb, _directory: directory }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }
}

impl Qemu {
    /// Writes all memory, and the registers, to a file that is not there yet.
    pub(crate) fn dump(&mut self, format: &str, path: &Path) -> Result<()> {
        let to = path.to_str().with_context(|| format!("{}: not Unicode", path.display()))?;
        let arguments = json!({ "paging": false, "protocol": format!("file:{to}"), "format": format });
        self.monitor.execute("dump-guest-memory", &arguments)?;
        Ok(())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends the process and waits until it is gone. One that has ended already is as good.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Connects to a socket of a process that may not have opened it yet.
fn connect(path: &Path, child: &mut Child, stderr: &Path) -> Result<Socket> {
    let start = Instant::now();
    loop {
        match Socket::connect(path) {
            Ok(socket) => return Ok(socket),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read_to_string(stderr).unwrap_or_default();
            bail!("{PROGRAM} ends at once ({status}): {}", said.trim());
        }
        ensure!(start.elapsed() < PATIENCE, "{PROGRAM} does not open {}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A path as a value within one of QEMU's options, where a comma is doubled.
pub(crate) fn escaped(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{}: not Unicode", path.display()))?;
    Ok(text.replace(',', ",,"))
}
