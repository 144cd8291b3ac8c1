//! The fuzzer's bytes as a sequence of choices.

/// Bytes that are taken from the front. Those that are missing are zero.
#[derive(Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// All of them.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether none is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// At most so many bytes.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A little-endian number of at most eight bytes.
    pub fn number(&mut self, bytes: usize) -> u64 {
        self.bytes(bytes).iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.number(1) as u8
    }

    /// One of `0..below`, which is at most 256.
    pub fn below(&mut self, below: usize) -> usize {
        usize::from(self.byte()) % below
    }

    /// One of the items.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// A number as headers have them: small, near the end of 32, 52 or 64 bits, or anything.
    pub fn edge(&mut self) -> u64 {
        let kind = self.byte();
        let base: u64 = match kind & 7 {
            0 => return self.number(1),
            1 => return self.number(2),
            2 => return self.number(8),
            3 => 1 << 12,
            4 => 1 << 32,
            5 => 1 << 52,
            6 => 1 << 63,
            _ => 0,
        };
        let by = self.number(1);
        if kind & 8 == 0 { base.wrapping_add(by) } else { base.wrapping_sub(by) }
    }
}
