//! The new memory without writing it.

use pt_core::{Memory, Unreadable};

use crate::frames::Stretch;
use crate::rebuilt::{NewTable, Rebuilt, at};

/// The new memory of rebuilt spaces: their tables, and the frames where they go, read from the old memory. Nothing else is
/// in it.
#[derive(Debug)]
pub struct View<'a, M: ?Sized> {
    rebuilt: &'a Rebuilt,
    old: &'a M,
}

impl<'a, M: Memory + ?Sized> View<'a, M> {
    pub(crate) fn new(rebuilt: &'a Rebuilt, old: &'a M) -> Self {
        Self { rebuilt, old }
    }

    fn table(&self, address: u64) -> Option<&'a NewTable> {
        at(self.rebuilt.tables(), address, |table| (table.address, table.last()))
    }

    fn frames(&self, address: u64) -> Option<&'a Stretch> {
        at(self.rebuilt.copies(), address, |frames| (frames.to.unwrap_or(0), frames.to_last().unwrap_or(0)))
    }

    /// How many of `len` bytes come before the next table.
    fn before_table(&self, address: u64, len: usize) -> usize {
        let tables = self.rebuilt.tables();
        let next = tables.get(tables.partition_point(|table| table.address <= address));
        next.map_or(len, |table| (table.address - address).min(len as u64) as usize)
    }
}

impl<M: Memory + ?Sized> Memory for View<'_, M> {
    type Buffer = [u8; 4096];

    fn read(&self, mut address: u64, mut into: &mut [u8]) -> Result<(), Unreadable> {
        while !into.is_empty() {
            let len = if let Some(table) = self.table(address) {
                let bytes = &table.bytes[(address - table.address) as usize..];
                let len = bytes.len().min(into.len());
                into[..len].copy_from_slice(&bytes[..len]);
                len
            } else {
                let frames = self.frames(address).ok_or(Unreadable::Outside)?;
                let offset = address - frames.to.unwrap_or(0);
                let left = frames.bytes() - offset;
                let len =
                    self.before_table(address, into.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
                self.old.read(frames.first + offset, &mut into[..len])?;
                len
            };
            into = &mut into[len..];
            if into.is_empty() {
                break;
            }
            address = address.checked_add(len as u64).ok_or(Unreadable::Outside)?;
        }
        Ok(())
    }

    fn lend(&self, address: u64, len: usize) -> Option<&[u8]> {
        if let Some(table) = self.table(address) {
            let offset = (address - table.address) as usize;
            return table.bytes.get(offset..offset.checked_add(len)?);
        }
        let frames = self.frames(address)?;
        let offset = address - frames.to?;
        let whole = frames.bytes() - offset >= len as u64 && self.before_table(address, len) == len;
        if whole { self.old.lend(frames.first + offset, len) } else { None }
    }

    fn next_readable(&self, address: u64) -> Option<u64> {
        let tables = self.rebuilt.tables();
        let table = tables.get(tables.partition_point(|table| table.last() < address));
        let copies = self.rebuilt.copies();
        let after = copies.partition_point(|frames| frames.to_last() < Some(address));
        // Frames that the old memory does not have follow one another no further than there are others.
        let frames = copies[after..].iter().find_map(|frames| {
            let to = frames.to?;
            let from = frames.first + address.saturating_sub(to);
            let next = self.old.next_readable(from).filter(|&next| next <= frames.last)?;
            Some(to + (next - frames.first))
        });
        table.map(|table| table.address.max(address)).into_iter().chain(frames).min()
    }
}
