//! What memory allows: the same bytes read once.

/// The sum of all bytes as little-endian numbers of 8 bytes.
#[inline(never)]
pub fn read_once(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}
