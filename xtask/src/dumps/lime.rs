//! A dump by `LiME` itself: its module, built for a kernel of Debian's, in a machine that boots that kernel.
//!
//! Nothing is installed: packages are downloaded and unpacked into `target/lime`, where they stay. `LiME` writes to a disk of the
//! machine's, whose file is then the dump; its end is where headers end.
//!
//! The machine goes on while `LiME` writes, so the memory is compared with what a reader of headers that is not pt-image's
//! makes of the same dump, byte by byte; and the roots with those in QEMU's own dump, which is
//! taken after that.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use xshell::{Shell, cmd};

use super::{Bench, initramfs};
use crate::qemu::{Qemu, escaped};
use crate::tools;

const MODULE: &str = "lime-forensics-dkms";
/// Of the kernel's own modules, what a disk needs.
const OF_DISK: [&str; 6] =
    ["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"];
/// In MiB. The disk is larger, as it has headers too.
const MEMORY: u64 = 96;
const DISK: u64 = 128 << 20;
/// How long a machine without acceleration may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The dump of one machine. Returns how many were compared.
pub(super) fn round_trip(sh: &Shell, bench: &Bench) -> Result<usize> {
    let unpacked = Unpacked::new(sh)?;
    println!("LiME: {}", unpacked.kernel);
    let (kernel, initial) = (unpacked.image(), bench.file("initramfs")?);
    std::fs::write(&initial, initramfs::of(&unpacked.files()?))?;
    let disk = bench.file("lime")?;
    File::create(&disk)?.set_len(DISK)?;
    let theirs = bench.file("theirs")?;
    boot(bench, &kernel, &initial, &disk)?.dump("elf", &theirs)?;

    let flat = bench.file("flat.raw")?;
    let ranges = flatten(&disk, &flat).context("LiME's dump")?;
    let ours = bench.core(&disk, "ours.raw")?;
    cmd!(sh, "cmp {flat} {ours}").quiet().run().context("memory is read differently")?;
    let expected = bench.roots(&theirs, &[])?;
    let first = expected.first().context("QEMU's dump has no root")?;
    let found = bench.roots(&disk, &["--mode", "4level", "--root", first])?;
    // Processes came and went in between; the kernel's own spaces and the first process did not.
    let common = found.iter().filter(|root| expected.contains(root)).count();
    ensure!(common > 2 && common * 2 > found.len(), "{found:?} are found, and in QEMU's dump {expected:?}");
    println!(
        "  LiME: {ranges} ranges, all bytes equal; {} roots, {common} of them in QEMU's later dump, too",
        found.len()
    );
    Ok(1)
}

/// A machine that has run until `LiME` was done, and stands still.
fn boot(bench: &Bench, kernel: &Path, initial: &Path, disk: &Path) -> Result<Qemu> {
    let console = bench.file("console")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not Unicode");
    let mut qemu = Qemu::start([
        "-cpu",
        "max",
        "-m",
        &MEMORY.to_string(),
        "-no-reboot",
        "-kernel",
        &text(kernel)?,
        "-initrd",
        &text(initial)?,
        "-append",
        "console=ttyS0 quiet panic=-1",
        "-serial",
        &format!("file:{}", text(&console)?),
        "-drive",
        &format!("if=virtio,format=raw,file={}", escaped(disk)?),
    ])?;
    qemu.monitor.execute("cont", &json!({}))?;
    let start = Instant::now();
    loop {
        let said = std::fs::read(&console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        if let Some(line) = said.lines().find(|line| line.starts_with("failed: ")) {
            bail!("in the machine: {line}");
        }
        if said.lines().any(|line| line == "done") {
            break;
        }
        let last = said.lines().last().unwrap_or("nothing");
        ensure!(
            start.elapsed() < PATIENCE,
            "LiME is not done after {PATIENCE:?}; the machine's last word: {last}"
        );
        sleep(Duration::from_millis(100));
    }
    qemu.monitor.execute("stop", &json!({}))?;
    Ok(qemu)
}

/// Lays a dump out as flat memory, and cuts the file where the dump ends. Returns how many ranges there are.
fn flatten(dump: &Path, flat: &Path) -> Result<usize> {
    let dump = File::options().read(true).write(true).open(dump)?;
    let flat = File::create(flat)?;
    let (mut at, mut ranges) = (0, 0);
    loop {
        let mut header = [0; 32];
        dump.read_exact_at(&mut header, at)?;
        if header == [0; 32] {
            break;
        }
        ensure!(header.starts_with(b"EMiL\x01\0\0\0"), "a header at {at:#x} is none: {header:x?}");
        let word = |at: usize| header[at..].first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
        let (first, last) = (word(8), word(16));
        ensure!(first <= last && last < DISK, "a range at {at:#x} is none: {first:#x}..={last:#x}");
        let mut bytes = vec![0; usize::try_from(last - first)? + 1];
        dump.read_exact_at(&mut bytes, at + 32)?;
        flat.write_all_at(&bytes, first)?;
        at += 32 + bytes.len() as u64;
        ranges += 1;
    }
    dump.set_len(at)?;
    ensure!(ranges > 0, "it has no ranges");
    Ok(ranges)
}

/// Packages of one kernel, unpacked.
struct Unpacked {
    kernel: String,
    folder: PathBuf,
}

impl Unpacked {
    fn new(sh: &Shell) -> Result<Self> {
        tools::kernel_modules(sh)?;
        let kernel = depends(sh, "linux-image-cloud-amd64", "linux-image-")?;
        let kernel =
            kernel.first().context("no kernel for clouds")?.trim_start_matches("linux-image-").to_owned();
        let folder = sh.current_dir().join("target/lime").join(&kernel);
        let unpacked = Self { kernel, folder };
        if !sh.path_exists(unpacked.module()) {
            unpacked.fetch(sh)?;
            unpacked.build(sh)?;
        }
        Ok(unpacked)
    }

    fn fetch(&self, sh: &Shell) -> Result<()> {
        let Self { kernel, folder } = self;
        let headers = format!("linux-headers-{kernel}");
        let mut packages = depends(sh, &headers, "linux-headers-")?;
        packages.extend(depends(sh, &headers, "linux-kbuild-")?);
        packages.extend([
            headers,
            format!("linux-image-{kernel}"),
            "busybox-static".to_owned(),
            MODULE.to_owned(),
        ]);
        sh.remove_path(folder)?;
        let _inside = sh.push_dir(sh.create_dir(folder.join("packages"))?);
        cmd!(sh, "apt-get download {packages...}").ignore_stderr().run()?;
        for package in sh.read_dir(".")? {
            cmd!(sh, "dpkg-deb --extract {package} ..").quiet().run()?;
        }
        Ok(())
    }

    /// Builds the module against headers that are not where they would be installed.
    fn build(&self, sh: &Shell) -> Result<()> {
        let headers = self.folder.join("usr/src").join(format!("linux-headers-{}", self.kernel));
        let makefile = sh.read_file(headers.join("Makefile"))?;
        let common =
            makefile.trim().strip_prefix("include /").context("the headers' Makefile includes nothing")?;
        sh.write_file(headers.join("Makefile"), format!("include {}\n", self.folder.join(common).display()))?;
        let source = self.source(sh)?;
        cmd!(sh, "make -s -C {headers} M={source} CC=gcc modules").run()?;
        let built = source.join("lime.ko");
        cmd!(sh, "strip --strip-debug {built}").run()?;
        sh.copy_file(built, self.module())?;
        Ok(())
    }

    fn source(&self, sh: &Shell) -> Result<PathBuf> {
        let sources = sh.read_dir(self.folder.join("usr/src"))?;
        let is_lime =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lime"));
        sources.into_iter().find(is_lime).with_context(|| format!("{MODULE} has no source"))
    }

    fn module(&self) -> PathBuf {
        self.folder.join("lime.ko")
    }

    fn image(&self) -> PathBuf {
        self.folder.join("boot").join(format!("vmlinuz-{}", self.kernel))
    }

    /// What the machine has instead of a file system.
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let drivers = self.folder.join("lib/modules").join(&self.kernel).join("kernel/drivers");
        let of_disk = OF_DISK.iter().map(|name| {
            let file = format!("{name}.ko");
            let folder = if *name == "virtio_blk" { "block" } else { "virtio" };
            (file.clone(), drivers.join(folder).join(file))
        });
        let others = [("lime.ko", self.module()), ("busybox", self.folder.join("bin/busybox"))];
        let paths = of_disk.chain(others.map(|(name, path)| (name.to_owned(), path)));
        let read = |(name, path): (String, PathBuf)| {
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            Ok((name, bytes))
        };
        let mut files: Vec<_> = paths.map(read).collect::<Result<_>>()?;
        files.push(("init".to_owned(), script().into_bytes()));
        Ok(files)
    }
}

/// What the machine does. Modules depend on each other, so that several rounds load them all.
fn script() -> String {
    let modules = OF_DISK.join(" ");
    format!(
        "#!/busybox sh\n\
         /busybox mount -t devtmpfs none /dev\n\
         for round in 1 2 3; do for name in {modules}; do /busybox insmod /$name.ko 2>/dev/null; done; done\n\
         [ -b /dev/vda ] || echo 'failed: there is no disk'\n\
         /busybox insmod /lime.ko path=/dev/vda format=lime || echo 'failed: LiME'\n\
         /busybox sync\n\
         echo done\n\
         /busybox sleep 100000\n"
    )
}

/// The packages that one depends on and whose names begin so.
fn depends(sh: &Shell, package: &str, prefix: &str) -> Result<Vec<String>> {
    let text = cmd!(sh, "apt-cache depends {package}").quiet().read()?;
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect())
}
