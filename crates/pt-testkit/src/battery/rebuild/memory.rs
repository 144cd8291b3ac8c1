//! Memories for what is rebuilt.

use pt_core::{Memory, MemoryMut, Unreadable};

use crate::naive::{Frames, Missing, Physical};

/// Any memory, as the oracle reads it.
#[derive(Debug)]
pub(super) struct Read<'a, M: ?Sized>(pub(super) &'a M);

impl<M: Memory + ?Sized> Physical for Read<'_, M> {
    fn bytes(&self, address: u64, len: u64) -> Result<Vec<u8>, Missing> {
        let mut bytes = vec![0; len as usize];
        match self.0.read(address, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(Unreadable::NotHeld) => Err(Missing::NotHeld),
            Err(_) => Err(Missing::Outside),
        }
    }
}

/// Memory that has what was written, frame by frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Grown {
    /// What was written.
    pub(super) frames: Frames,
    /// How many more writes there can be; no limit if none.
    pub(super) writes: Option<usize>,
    /// How many writes there were.
    pub(super) count: usize,
}

impl Memory for Grown {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let bytes = self.frames.bytes(address, into.len() as u64).map_err(|_| Unreadable::Outside)?;
        into.copy_from_slice(&bytes);
        Ok(())
    }
}

impl MemoryMut for Grown {
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        if let Some(writes) = &mut self.writes {
            *writes = writes.checked_sub(1).ok_or(Unreadable::Failed)?;
        }
        self.count += 1;
        self.frames.store(address, bytes);
        Ok(())
    }
}

/// Memory with bits of one byte changed.
#[derive(Debug)]
pub(super) struct Flipped<'a, M: ?Sized> {
    /// What is changed.
    pub(super) memory: &'a M,
    /// The physical address of the byte.
    pub(super) at: u64,
    /// Which bits of it.
    pub(super) bits: u8,
}

impl<M: Memory + ?Sized> Memory for Flipped<'_, M> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, into)?;
        let byte = self.at.checked_sub(address).and_then(|offset| into.get_mut(offset as usize));
        if let Some(byte) = byte {
            *byte ^= self.bits;
        }
        Ok(())
    }
}
