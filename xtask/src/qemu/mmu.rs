//! QEMU as an MMU: a machine that is nothing but a CPU and flat memory from a file, asked how it reads page tables.
//!
//! The machine has no firmware and no holes, and executes nothing. Its control registers are set from outside, as a
//! kernel would set them; then the monitor prints every mapping.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Qemu, escaped};

/// CR0.PE and ET; CR0.PG, WP, PE and ET.
const PROTECTED: u64 = 0x11;
const PAGED: u64 = 0x8001_0011;

/// The bits of CR4 that decide how tables are read: PSE, PAE, PGE, LA57.
const CR4_PAGING: u64 = 1 << 4 | CR4_PAE | 1 << 7 | CR4_LA57;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;

const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;

/// A 64-bit code segment of privilege 0: type 0xa, S, P, L (SDM Vol. 3A, "Segment Descriptors").
const CODE_64: u64 = 0x0020_9a00_0000_0000;
const SELECTOR: u64 = 8;

/// The size of memory is a multiple of this.
pub(crate) const GRANULE: u64 = 1 << 20;

/// How tables are read. What else CR4 and EFER hold is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) cr4: u64,
    pub(crate) efer: u64,
}

impl Paging {
    fn is_long(self) -> bool {
        self.efer & EFER_LME != 0
    }

    /// Whether `info mem` can be asked: with five levels its tests for presence are the wrong way round, so that it
    /// reads what absent entries hold as tables, for hours.
    pub(crate) fn prints_mem(self) -> bool {
        self.cr4 & CR4_LA57 == 0
    }
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Mmu {
    qemu: Qemu,
}

impl Mmu {
    /// A machine whose memory, from address 0 on, is what the file holds. The file itself is left as it is.
    pub(crate) fn with_memory(raw: &Path, paging: Paging) -> Result<Self> {
        Self::of_machine("none", raw, paging)
    }

    /// The same, but with firmware in read-only memory below 4 GiB.
    pub(crate) fn with_firmware(raw: &Path, paging: Paging) -> Result<Self> {
        Self::of_machine("pc", raw, paging)
    }

    fn of_machine(kind: &str, raw: &Path, paging: Paging) -> Result<Self> {
        let bytes = raw.metadata().with_context(|| raw.display().to_string())?.len();
        ensure!(bytes > 0 && bytes % GRANULE == 0, "{}: not a multiple of 1 MiB", raw.display());
        let memory = format!(
            "memory-backend-file,id=memory,size={bytes},mem-path={},share=off,reserve=off",
            escaped(raw)?
        );
        let size = format!("{}M", bytes / GRANULE);
        let kind = format!("{kind},memory-backend=memory");
        let machine = ["-machine", &kind, "-cpu", "max,apic-id=0"];
        let qemu = Qemu::start(machine.iter().chain(&["-m", &size, "-object", &memory]))?;
        let mut mmu = Self { qemu };
        mmu.enable(paging)?;
        Ok(mmu)
    }

    /// Turns paging on, with a root that is never looked at.
    fn enable(&mut self, paging: Paging) -> Result<()> {
        let gdb = &mut self.qemu.gdb;
        gdb.set_register("cr0", PROTECTED)?;
        if paging.is_long() {
            // Else QEMU takes 32 bits of a root. CS becomes 64-bit if long mode is active when it is loaded, so that
            // is pretended for the moment; the descriptor is borrowed from memory, which is physical still.
            let held: [u8; 8] = gdb.read(SELECTOR)?;
            gdb.write(SELECTOR, &CODE_64.to_le_bytes())?;
            gdb.set_register("efer", EFER_LME | EFER_LMA)?;
            gdb.set_register("cs", SELECTOR)?;
            gdb.write(SELECTOR, &held)?;
        }
        let (cr4, efer) = (paging.cr4 & CR4_PAGING, paging.efer & (EFER_LME | EFER_NXE));
        gdb.set_register("cr4", cr4)?;
        gdb.set_register("efer", efer)?;
        gdb.set_register("cr0", PAGED)?;
        let active = if paging.is_long() { EFER_LMA } else { 0 };
        for (name, value) in [("cr0", PAGED), ("cr4", cr4), ("efer", efer | active)] {
            let has = gdb.register(name)?;
            ensure!(has == value, "{name} is {has:#x} after it was set to {value:#x}");
        }
        Ok(())
    }

    /// Goes over to another space.
    pub(crate) fn set_root(&mut self, cr3: u64) -> Result<()> {
        self.qemu.gdb.set_register("cr3", cr3)?;
        let has = self.qemu.gdb.register("cr3")?;
        ensure!(has == cr3, "cr3 is {has:#x} after it was set to {cr3:#x}");
        Ok(())
    }

    /// `info tlb`: a line per mapped page.
    pub(crate) fn info_tlb(&mut self) -> Result<String> {
        self.qemu.monitor.human("info tlb")
    }

    /// `info mem`: a line per range of equal rights.
    pub(crate) fn info_mem(&mut self) -> Result<String> {
        self.qemu.monitor.human("info mem")
    }

    /// The names of the formats that [`Self::dump`] was built with.
    pub(crate) fn dump_formats(&mut self) -> Result<Vec<String>> {
        let listed = self.qemu.monitor.execute("query-dump-guest-memory-capability", &json!({}))?;
        let formats = listed["formats"].as_array().context("no formats")?;
        Ok(formats.iter().filter_map(|format| format.as_str()).map(str::to_owned).collect())
    }

    /// Writes all memory, and the registers, to a file that is not there yet.
    pub(crate) fn dump(&mut self, format: &str, path: &Path) -> Result<()> {
        self.qemu.dump(format, path)
    }

    /// The physical address that a virtual one has, if any.
    pub(crate) fn translate(&mut self, address: u64) -> Result<Option<u64>> {
        physical(&self.qemu.monitor.human(&format!("gva2gpa {address:#x}"))?)
    }
}

fn physical(printed: &str) -> Result<Option<u64>> {
    let printed = printed.trim();
    if printed == "Unmapped" {
        return Ok(None);
    }
    let address = printed.strip_prefix("gpa: 0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Ok(Some(address.with_context(|| format!("gva2gpa prints {printed:?}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translations_are_understood() {
        assert_eq!(physical("gpa: 0x123456789123\n").expect("an address"), Some(0x1234_5678_9123));
        assert_eq!(physical("Unmapped\n").expect("none"), None);
        assert!(physical("No CPU available\n").is_err());
    }
}
