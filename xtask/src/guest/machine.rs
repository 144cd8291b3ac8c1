//! A machine that runs the guest: booted, run to a place, dumped, and given memory and registers of another.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use super::core::Core;
use super::program::Program;
use crate::qemu::{Qemu, escaped};

/// Memory, in MiB.
const SIZE: u64 = 12;

/// Where it is: all but where the firmware lies over it.
const MEMORY: [(u64, u64); 2] = [(0, 0xf_0000), (0x10_0000, SIZE << 20)];

/// What memory holds where a core says nothing.
const POISON: u8 = 0xcc;

/// The guest has found something wrong, and said so.
#[derive(Debug)]
pub(super) struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest says {:?}", self.0)
    }
}

impl std::error::Error for Wrong {}

/// A machine in which the guest has been booted.
#[derive(Debug)]
pub(crate) struct Machine {
    qemu: Qemu,
    directory: TempDir,
    /// How many bytes of what the guest printed were asked for.
    heard: usize,
}

impl Machine {
    /// Boots the guest, and stops it before its first round.
    pub(super) fn boot(program: &Program) -> Result<Self> {
        let memory = format!("memory-backend-ram,id=memory,size={SIZE}M");
        Self::boot_with(program, SIZE, &memory)
    }

    /// The same with the bytes of a file as memory, which both can write. It has as many MiB.
    pub(crate) fn boot_in(program: &Program, file: &Path, size: u64) -> Result<Self> {
        let file = escaped(file)?;
        Self::boot_with(
            program,
            size,
            &format!("memory-backend-file,id=memory,size={size}M,mem-path={file},share=on"),
        )
    }

    /// The machine has no timer, no interrupts and no disks: nothing of the guest's state is outside its CPU and memory.
    fn boot_with(program: &Program, size: u64, memory: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let console = format!("file,id=console,path={}", escaped(&directory.path().join("console"))?);
        let machine = "microvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=off,memory-backend=memory";
        let kernel = program.path.to_str().context("a path that is not Unicode")?;
        let size = format!("{size}M");
        let of_machine = ["-machine", machine, "-cpu", "max", "-m", &size, "-no-reboot", "-kernel", kernel];
        let of_memory = ["-object", memory];
        let of_console = ["-chardev", &console, "-device", "isa-debugcon,chardev=console"];
        let of_end = ["-device", "isa-debug-exit,iobase=0xf4"];
        let of_devices = of_console.iter().chain(&of_end);
        let qemu = Qemu::start(of_machine.iter().chain(&of_memory).chain(of_devices))?;
        let mut machine = Self { qemu, directory, heard: 0 };
        machine.run_to(program.symbol("safe_between_rounds")?, 1).context("the guest does not boot")?;
        Ok(machine)
    }

    /// Lets the guest come to an address, as many times.
    pub(crate) fn run_to(&mut self, address: u64, times: usize) -> Result<()> {
        let done = (0..times).try_for_each(|_| self.qemu.gdb.run_to(address));
        done.or_else(|error| {
            let wrong = self.heard()?.into_iter().find(|line| line.starts_with("wrong: "));
            Err(wrong.map_or(error, |wrong| Wrong(wrong).into()))
        })
    }

    /// The lines that the guest has printed since this was last asked.
    pub(super) fn heard(&mut self) -> Result<Vec<String>> {
        let console = std::fs::read_to_string(self.directory.path().join("console"))?;
        let new = console.get(self.heard..).context("what was printed is gone")?;
        self.heard = console.len();
        Ok(new.lines().map(str::to_owned).collect())
    }

    /// Writes memory and registers to a file.
    pub(super) fn dump(&mut self, path: &Path) -> Result<()> {
        let path = path.to_str().context("a path that is not Unicode")?;
        let arguments = json!({ "paging": false, "protocol": format!("file:{path}") });
        self.qemu.monitor.execute("dump-guest-memory", &arguments)?;
        Ok(())
    }

    /// Replaces all memory, and all registers that a debugger can set. The others point to descriptors by addresses that
    /// are the same in every machine that has booted the guest: that it came to be the CPU of the core, a dump proves.
    ///
    /// Words of the guest have as many bytes.
    pub(super) fn load(&mut self, core: &Core, word: usize) -> Result<()> {
        let gdb = &mut self.qemu.gdb;
        for (start, end) in MEMORY {
            let mut memory = vec![POISON; usize::try_from(end - start)?];
            for (at, bytes) in core.parts(start, end) {
                memory[at..at + bytes.len()].copy_from_slice(bytes);
            }
            gdb.write_physical(start, &memory)?;
        }
        // Control registers come last in a note, and have to come first here: descriptors are read through tables.
        for (name, value) in core.registers()?.into_iter().rev() {
            if gdb.register(name)? != value {
                gdb.set_register(name, value)?;
            }
        }
        let path = self.directory.path().join("loaded");
        self.dump(&path)?;
        let loaded = Core::read(&path)?;
        loaded.has_cpu_of(core, word)?;
        MEMORY.into_iter().try_for_each(|(start, end)| loaded.has_memory_of(core, start, end))
    }

    /// Writes words of so many bytes where the CPU would.
    pub(super) fn write_words(&mut self, address: u64, words: &[u64], bytes: usize) -> Result<()> {
        let words: Vec<u8> =
            words.iter().flat_map(|word| word.to_le_bytes().into_iter().take(bytes)).collect();
        self.qemu.gdb.write(address, &words)
    }

    /// Reads a word of so many bytes where the CPU would.
    pub(super) fn read_word(&mut self, address: u64, bytes: usize) -> Result<u64> {
        let word: [u8; 8] = self.qemu.gdb.read(address)?;
        Ok(word.into_iter().take(bytes).rev().fold(0, |value, byte| value << 8 | u64::from(byte)))
    }
}
