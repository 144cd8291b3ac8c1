//! Physical memory that has holes.

use std::collections::BTreeMap;
use std::fmt;

/// Why bytes cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The guest has no memory there.
    Outside,
    /// The guest has memory there that the image does not hold.
    NotHeld,
}

/// What the oracle reads tables from: [`Frames`], or a closure over anything else.
pub trait Physical {
    /// The `len` bytes at physical `address`.
    ///
    /// # Errors
    ///
    /// Why not all of them can be had.
    fn bytes(&self, address: u64, len: u64) -> Result<Vec<u8>, Missing>;

    /// The little-endian entries of a table of `count` entries of `width` bytes at physical `address`.
    ///
    /// # Errors
    ///
    /// Why not all of them can be read.
    fn table(&self, address: u64, count: u64, width: u64) -> Result<Vec<u64>, Missing> {
        let bytes = self.bytes(address, count * width)?;
        let entry = |entry: &[u8]| match *entry {
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => unreachable!("entries have 4 or 8 bytes"),
        };
        Ok(bytes.chunks(width as usize).map(entry).collect())
    }
}

impl<F: Fn(u64, u64) -> Result<Vec<u8>, Missing>> Physical for F {
    fn bytes(&self, address: u64, len: u64) -> Result<Vec<u8>, Missing> {
        self(address, len)
    }
}

/// Memory frame by frame. A frame that was never mentioned is outside.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frames {
    frames: BTreeMap<u64, Option<Vec<u8>>>,
}

impl Frames {
    /// The size of a frame in bytes.
    pub const SIZE: u64 = 4096;

    /// Memory that has nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a frame of zeros at `address`, which is aligned to 4 KiB, unless there is one.
    pub fn add(&mut self, address: u64) {
        assert_eq!(address % Self::SIZE, 0);
        let frame = self.frames.entry(address).or_insert(None);
        frame.get_or_insert_with(|| vec![0; Self::SIZE as usize]);
    }

    /// Says that the guest has a frame at `address` that is not held.
    pub fn add_not_held(&mut self, address: u64) {
        assert_eq!(address % Self::SIZE, 0);
        self.frames.entry(address).or_insert(None);
    }

    /// Writes an entry of `width` bytes. Returns whether there is a frame that holds it.
    pub fn write(&mut self, address: u64, width: u64, raw: u64) -> bool {
        let within = (address % Self::SIZE) as usize;
        match self.frames.get_mut(&(address - within as u64)) {
            Some(Some(frame)) => {
                frame[within..within + width as usize].copy_from_slice(&raw.to_le_bytes()[..width as usize]);
                true
            }
            _ => false,
        }
    }

    /// Stores bytes, in frames that are added where there are none.
    pub fn store(&mut self, address: u64, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() {
            let at = address + (bytes.len() - left.len()) as u64;
            let within = at % Self::SIZE;
            self.add(at - within);
            let (now, later) = left.split_at(left.len().min((Self::SIZE - within) as usize));
            if let Some(Some(frame)) = self.frames.get_mut(&(at - within)) {
                frame[within as usize..][..now.len()].copy_from_slice(now);
            }
            left = later;
        }
    }

    /// Every frame in ascending order with its bytes, none where it is not held.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
        self.frames.iter().map(|(&address, bytes)| (address, bytes.as_deref()))
    }

    /// All of it as one slice from address 0, where that is what it is: frames from 0 on without a gap, all held.
    pub fn dense(&self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for (address, bytes) in self.iter() {
            if address != whole.len() as u64 {
                return None;
            }
            whole.extend_from_slice(bytes?);
        }
        Some(whole)
    }
}

impl Physical for Frames {
    fn bytes(&self, address: u64, len: u64) -> Result<Vec<u8>, Missing> {
        let mut bytes = Vec::new();
        let mut at = address;
        while (bytes.len() as u64) < len {
            let within = at % Self::SIZE;
            let frame = self.frames.get(&(at - within)).ok_or(Missing::Outside)?;
            let frame = &frame.as_ref().ok_or(Missing::NotHeld)?[within as usize..];
            let wanted = (len as usize - bytes.len()).min(frame.len());
            bytes.extend_from_slice(&frame[..wanted]);
            at = at.wrapping_add(wanted as u64);
        }
        Ok(bytes)
    }
}

/// The words that are not zero, a line per frame.
impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (address, bytes) in self.iter() {
            write!(f, "\n  {address:#x}:")?;
            let Some(bytes) = bytes else {
                write!(f, " not held")?;
                continue;
            };
            for (index, word) in bytes.chunks_exact(8).enumerate() {
                let word = u64::from_le_bytes(word.try_into().expect("chunks of 8"));
                if word != 0 {
                    write!(f, " [{:#x}]={word:#x}", index * 8)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_stored_across_frames() {
        let mut memory = Frames::new();
        memory.store(0xffe, &[1, 2, 3, 4]);
        assert_eq!(memory.bytes(0xffd, 6), Ok(vec![0, 1, 2, 3, 4, 0]));
        assert_eq!(memory.iter().count(), 2);
    }

    #[test]
    fn holes_are_told_apart() {
        let mut memory = Frames::new();
        memory.add(0);
        memory.add_not_held(0x1000);
        assert!(memory.write(0xffc, 4, 0x1234_5678_9abc_def0));
        assert!(!memory.write(0x1000, 4, 1));
        assert_eq!(memory.table(0xff8, 2, 4), Ok(vec![0, 0x9abc_def0]));
        assert_eq!(memory.table(0xff8, 2, 8), Err(Missing::NotHeld));
        assert_eq!(memory.table(0x2000, 1, 8), Err(Missing::Outside));
        assert_eq!(memory.dense(), None);
    }
}
