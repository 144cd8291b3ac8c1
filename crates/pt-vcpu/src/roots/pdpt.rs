//! Roots of four entries (PAE): anywhere at 32-byte steps, told by the directory that the fourth entry links.
//!
//! A kernel either links one directory from all its roots, or gives each root a copy of it. One entry of eight bytes is
//! little to tell a root by, so the others are looked at too: each is 0, or a link without reserved bits to memory that
//! exists. (What an allocator leaves in a freed root breaks that.)

use alloc::collections::BTreeMap;

use pt_core::{Entry, Format, Geometry, Memory, Unreadable};

use super::kernel::{Likeness, settled};
use super::pages::{Reader, entry};
use super::{Reason, RootsLimit, RootsLimits};

/// Bits 8:5 and 2:1 of a PDPTE are reserved; accessed and dirty are among them, but do not count: QEMU's TCG sets the former.
pub(super) const RESERVED: u64 = 0x1e6;
/// The widest address of a table.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// No table is there.
const NOWHERE: u64 = u64::MAX;

/// What the roots that are like a given one have as their fourth entry.
#[derive(Debug)]
pub(super) struct Fourth {
    like: u64,
    /// The entry, settled.
    expected: u64,
    directory: u64,
    /// The directory's content; none if it is empty or cannot be read.
    content: Option<Likeness>,
    /// Other directories that were compared.
    compared: BTreeMap<u64, bool>,
}

impl PartialEq for Fourth {
    fn eq(&self, other: &Self) -> bool {
        self.expected == other.expected
    }
}

/// The four tables of a root.
fn tables<F: Format>(format: &F, root: &[u8]) -> [u64; 4] {
    [0, 1, 2, 3].map(|slot| match format.decode(F::ROOT, settled::<F>(entry::<F>(root, slot))) {
        Entry::Table(address) => address,
        _ => NOWHERE,
    })
}

/// Whether four entries can be a root: what is not present is 0, what is present links memory of the guest.
fn is_root<F: Format, M: Memory + ?Sized>(format: &F, memory: &M, root: &[u8]) -> bool {
    (0..4).all(|slot| {
        let raw = settled::<F>(entry::<F>(root, slot));
        let Entry::Table(address) = format.decode(F::ROOT, raw) else { return raw == 0 };
        let exists = || memory.read_entry(address, F::ENTRY_BYTES) != Err(Unreadable::Outside);
        raw & RESERVED == 0 && exists()
    })
}

impl Fourth {
    /// Of the root whose bytes these are; none if its fourth entry links nothing.
    pub(super) fn of<F: Format, M: Memory + ?Sized>(
        format: &F,
        memory: &mut Reader<'_, M>,
        like: u64,
        root: &[u8],
    ) -> Option<Self> {
        let tables = tables(format, root);
        let directory = Some(tables[3]).filter(|&directory| directory != NOWHERE)?;
        let level = F::ROOT.below()?;
        let content = memory.bytes(directory, F::table_bytes(level));
        let content =
            content.and_then(|table| Likeness::of(format, level, 0..F::entries(level), table, &tables));
        let expected = settled::<F>(entry::<F>(root, 3));
        Some(Self { like, expected, directory, content, compared: BTreeMap::new() })
    }

    /// The roots among the 32-byte steps of a page.
    pub(super) fn search<F: Format, M: Memory + ?Sized>(
        &mut self,
        format: &F,
        directories: &mut Reader<'_, M>,
        page: (u64, &[u8]),
        limits: &RootsLimits,
        mut found: impl FnMut(u64, Reason) -> Result<(), RootsLimit>,
    ) -> Result<(), RootsLimit> {
        let bytes = F::table_bytes(F::ROOT);
        for (at, root) in (page.0..).step_by(bytes).zip(page.1.chunks_exact(bytes)) {
            let fourth = entry::<F>(root, 3);
            if settled::<F>(fourth ^ self.expected) & !ADDRESS != 0 {
                continue;
            }
            let like = self.like;
            if settled::<F>(fourth) == self.expected {
                if is_root(format, directories.memory(), root) {
                    found(at, Reason::SharedDirectory { like, directory: self.directory })?;
                }
            } else if is_root(format, directories.memory(), root)
                && let Some(directory) = self.copied(format, directories, at, root, limits)?
            {
                found(at, Reason::CopiedDirectory { like, directory })?;
            }
        }
        Ok(())
    }

    /// The root's fourth directory, if it has the same content.
    fn copied<F: Format, M: Memory + ?Sized>(
        &mut self,
        format: &F,
        directories: &mut Reader<'_, M>,
        at: u64,
        root: &[u8],
        limits: &RootsLimits,
    ) -> Result<Option<u64>, RootsLimit> {
        let tables = tables(format, root);
        let (directory, Some(content)) = (tables[3], &self.content) else { return Ok(None) };
        let alike = if let Some(&alike) = self.compared.get(&directory) {
            alike
        } else {
            let bytes = F::ROOT.below().map_or(0, F::table_bytes);
            let Some(table) = directories.bytes(directory, bytes) else { return Ok(None) };
            // What is rejected by a few entries is rejected as fast the next time.
            if !content.probe::<F>(table) {
                return Ok(None);
            }
            if self.compared.len() >= limits.directories {
                return Err(RootsLimit::TooManyDirectories { limit: limits.directories, at });
            }
            let alike = content.matches_elsewhere::<F>(table);
            self.compared.insert(directory, alike);
            alike
        };
        let memory = directories.memory();
        let own = |slot: usize| {
            memory.read_entry(directory.checked_add((slot * F::ENTRY_BYTES) as u64)?, F::ENTRY_BYTES).ok()
        };
        Ok((alike && content.matches_own(format, &tables, own)).then_some(directory))
    }
}
