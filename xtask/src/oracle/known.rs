//! The witness itself, on a few entries whose reading is known: should it fail here, nothing that it says of images counts.
//!
//! The tables of the 64-bit modes lie above 4 GiB, where a root needs all of its register.

use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use crate::qemu::{Mmu, Paging};

/// Where the long modes' tables are, and how much memory that takes.
const HIGH: u64 = 2 << 32;
const MEMORY: u64 = HIGH + (1 << 20);

/// One page in one space.
struct Case {
    mode: &'static str,
    paging: Paging,
    root: u64,
    /// Where each entry is, and what it holds; in 2-level paging the upper half is the next entry, which is absent.
    entries: &'static [(u64, u64)],
    tlb: &'static str,
    mem: &'static str,
    /// A virtual address and its physical one.
    address: (u64, u64),
}

const CASES: [Case; 4] = [
    Case {
        mode: "2level",
        paging: Paging { cr4: 0x10, efer: 0 },
        root: 0x1000,
        entries: &[(0x1000 + 4 * 0x300, 0x0080_01a1)],
        tlb: "00000000c0000000: 0000000000800000 -GP-A----\n",
        mem: "00000000c0000000-00000000c0400000 0000000000400000 -r-\n",
        address: (0xc012_3456, 0x0092_3456),
    },
    Case {
        mode: "pae",
        paging: Paging { cr4: 0x20, efer: 0x800 },
        root: 0x1020,
        entries: &[(0x1038, 0x2001), (0x2ff8, 0x3003), (0x3ff8, 0x12_3456_7003)],
        tlb: "00000000fffff000: 0000001234567000 --------W\n",
        mem: "00000000fffff000-0000000100000000 0000000000001000 -rw\n",
        address: (0xffff_f123, 0x12_3456_7123),
    },
    Case {
        mode: "4level",
        paging: Paging { cr4: 0xa0, efer: 0x900 },
        root: HIGH,
        entries: &[
            (HIGH + 0x800, HIGH + 0x1007),
            (HIGH + 0x1000, HIGH + 0x2007),
            (HIGH + 0x2008, 0x12_3440_0087),
        ],
        tlb: "ffff800000200000: 0000001234400000 --P----UW\n",
        mem: "ffff800000200000-ffff800000400000 0000000000200000 urw\n",
        address: (0xffff_8000_0023_4567, 0x12_3443_4567),
    },
    Case {
        mode: "5level",
        paging: Paging { cr4: 0x1020, efer: 0x900 },
        root: HIGH,
        entries: &[
            (HIGH + 0xff8, HIGH + 0x1007),
            (HIGH + 0x1ff8, HIGH + 0x2007),
            (HIGH + 0x2ff8, 0x40_0000_0083),
        ],
        tlb: "ffffffffc0000000: 0000004000000000 --P-----W\n",
        mem: "",
        address: (u64::MAX, 0x40_3fff_ffff),
    },
];

/// Asks all that is known.
pub(super) fn check() -> Result<()> {
    CASES.iter().try_for_each(|case| case.check().with_context(|| format!("a known page, {}", case.mode)))
}

impl Case {
    fn check(&self) -> Result<()> {
        let raw = NamedTempFile::new()?;
        raw.as_file().set_len(MEMORY)?;
        for &(address, entry) in self.entries {
            raw.as_file().write_all_at(&entry.to_le_bytes(), address)?;
        }
        let mut mmu = Mmu::with_memory(raw.path(), self.paging)?;
        mmu.set_root(self.root)?;
        let tlb = mmu.info_tlb()?;
        ensure!(tlb == self.tlb, "info tlb prints {tlb:?}, not {:?}", self.tlb);
        if self.paging.prints_mem() {
            let mem = mmu.info_mem()?;
            ensure!(mem == self.mem, "info mem prints {mem:?}, not {:?}", self.mem);
        }
        let (va, pa) = self.address;
        let translated = mmu.translate(va)?;
        ensure!(translated == Some(pa), "gva2gpa {va:#x} is {translated:x?}, not {pa:#x}");
        let absent = mmu.translate(0x1000)?;
        ensure!(absent.is_none(), "gva2gpa 0x1000 is {absent:x?}, where nothing is");
        Ok(())
    }
}
