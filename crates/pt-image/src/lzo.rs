//! LZO1X, decoded: what `lzo1x_1` and its siblings compress, as kernels and their dumps use it.
//!
//! A stream is a sequence of instructions, each of them an opcode byte with what follows it:
//!
//! ```text
//! opcode              copies from what was written      distance
//! 01LLDDDS and above  (opcode >> 5) + 1 bytes           1 + 3 bits here + 8 bits next << 3
//! 001LLLLL            2 + length                        1 + 14 bits of the next two bytes
//! 0001HLLL            2 + length                        0x4000 + H << 14 + 14 bits; 0x4000 ends the stream
//! 0000xxxx            depends on the literals before:   4 or more, or at the start: 3 + length literals follow;
//!                                                       1 to 3: a match of 2; a run of literals: a match of 3
//! ```
//!
//! A length field of 0 goes on in bytes: zeros add 255 each, the last adds itself and what the field can hold. The two low
//! bits before the end of a match are the number of literals (0 to 3) that follow it at once.
//!
//! There is no length in the stream: the caller knows how much must come out. Every read and write is checked, and work is
//! bounded by the input and the output. Not decoded: the run-length extension of kernels (`lzo-rle`), which dumps do not use.

/// Why a stream could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Decodes `input` into `output`, and returns how many bytes that gave. All of the input must be used.
pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Damaged> {
    let mut stream = Stream { input, output, written: 0 };
    // How many literals the last instruction ended with; 4 stands for more.
    let mut literals = 0;
    if let Some((&first, rest)) = input.split_first()
        && first > 17
    {
        stream.input = rest;
        let count = usize::from(first) - 17;
        stream.literals(count)?;
        literals = count.min(4);
    }
    loop {
        let opcode = usize::from(stream.byte()?);
        let (len, distance, follow) = match opcode {
            64.. => {
                let distance = 1 + (opcode >> 2 & 7) + (usize::from(stream.byte()?) << 3);
                ((opcode >> 5) + 1, distance, opcode)
            }
            32.. => {
                let len = 2 + stream.length(opcode & 31, 31)?;
                let low = stream.pair()?;
                (len, 1 + (low >> 2), low)
            }
            16.. => {
                let len = 2 + stream.length(opcode & 7, 7)?;
                let low = stream.pair()?;
                let distance = 0x4000 + ((opcode & 8) << 11) + (low >> 2);
                if distance == 0x4000 {
                    let whole = stream.input.is_empty() && len == 3;
                    return if whole { Ok(stream.written) } else { Err(Damaged) };
                }
                (len, distance, low)
            }
            _ if literals == 0 => {
                let count = 3 + stream.length(opcode, 15)?;
                stream.literals(count)?;
                literals = 4;
                continue;
            }
            _ => {
                let near = (opcode >> 2) + (usize::from(stream.byte()?) << 2);
                if literals == 4 { (3, 0x801 + near, opcode) } else { (2, 1 + near, opcode) }
            }
        };
        stream.repeat(distance, len)?;
        literals = follow & 3;
        stream.literals(literals)?;
    }
}

struct Stream<'a> {
    input: &'a [u8],
    output: &'a mut [u8],
    written: usize,
}

impl Stream<'_> {
    fn byte(&mut self) -> Result<u8, Damaged> {
        let (&byte, rest) = self.input.split_first().ok_or(Damaged)?;
        self.input = rest;
        Ok(byte)
    }

    /// Two bytes, little-endian.
    fn pair(&mut self) -> Result<usize, Damaged> {
        Ok(usize::from(self.byte()?) | usize::from(self.byte()?) << 8)
    }

    /// A length whose field is `field`, and goes on if that is 0.
    fn length(&mut self, field: usize, most: usize) -> Result<usize, Damaged> {
        if field != 0 {
            return Ok(field);
        }
        let mut len = most;
        loop {
            match self.byte()? {
                // At most 255 per byte of input: cannot overflow.
                0 => len += 255,
                last => return Ok(len + usize::from(last)),
            }
        }
    }

    fn literals(&mut self, count: usize) -> Result<(), Damaged> {
        let (literals, rest) = self.input.split_at_checked(count).ok_or(Damaged)?;
        let into = self.output.get_mut(self.written..).and_then(|left| left.get_mut(..count));
        into.ok_or(Damaged)?.copy_from_slice(literals);
        self.input = rest;
        self.written += count;
        Ok(())
    }

    /// Writes `len` bytes again that were written `distance` ago: byte by byte, for they may overlap.
    fn repeat(&mut self, distance: usize, len: usize) -> Result<(), Damaged> {
        let from = self.written.checked_sub(distance).ok_or(Damaged)?;
        if len > self.output.len() - self.written {
            return Err(Damaged);
        }
        for index in from..from + len {
            self.output[index + distance] = self.output[index];
        }
        self.written += len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What liblzo2 2.10 makes of [`plain`] with `lzo1x_999_compress`: all kinds of instructions but the nearest matches.
    const BEST: &[u8] = &[
        0x3a, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x06, 0x08, 0x0a, 0x0c, 0x0f, 0x12, 0x15, 0x18, 0x1c,
        0x20, 0x24, 0x28, 0x2d, 0x32, 0x37, 0x3c, 0x42, 0x48, 0x4e, 0x54, 0x5b, 0x62, 0x69, 0x70, 0x78, 0x80,
        0x88, 0x90, 0x99, 0xa2, 0xab, 0xb4, 0xbe, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe6,
        0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe6, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0xe6, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe6, 0x00,
        0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe6, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0xe6, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe6, 0x00, 0x00,
        0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe6, 0x00, 0x00, 0x20, 0x00, 0x00, 0x4b, 0x00, 0x00,
        0x10, 0x1c, 0x40, 0x0a, 0x03, 0x74, 0x61, 0x62, 0x6c, 0x65, 0x20, 0x2d, 0x14, 0x00, 0x11, 0x00, 0x00,
    ];

    /// The head of what `lzo1x_1_compress` makes of it, and its end: a run of 66 zeros lies between them.
    const FAST: (&[u8], &[u8]) = (
        &[
            0x00, 0x18, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x06, 0x08, 0x0a, 0x0c, 0x0f, 0x12, 0x15,
            0x18, 0x1c, 0x20, 0x24, 0x28, 0x2d, 0x32, 0x37, 0x3c, 0x42, 0x48, 0x4e, 0x54, 0x5b, 0x62, 0x69,
            0x70, 0x78, 0x80, 0x88, 0x90, 0x99, 0xa2, 0xab, 0xb4, 0xbe, 0x00, 0x00, 0x20,
        ],
        &[
            0x8a, 0x06, 0x00, 0x01, 0x02, 0x10, 0x1a, 0x40, 0x0a, 0x00, 0x03, 0x74, 0x61, 0x62, 0x6c, 0x65,
            0x20, 0x74, 0x61, 0x62, 0x6c, 0x65, 0x20, 0x74, 0x61, 0x62, 0x6c, 0x65, 0x20, 0x74, 0x61, 0x62,
            0x11, 0x00, 0x00,
        ],
    );

    fn fast() -> Vec<u8> {
        [FAST.0, &[0; 66], FAST.1].concat()
    }

    /// Squares, zeros for more than the nearer kinds of matches reach, the squares again, and words.
    fn plain() -> Vec<u8> {
        let squares: Vec<u8> = (0..40_u32).map(|index| ((index * index) >> 3) as u8).collect();
        [&squares[..], &vec![0; 17_000], &squares, b"table table table tab"].concat()
    }

    fn decoded(input: &[u8], room: usize) -> Result<Vec<u8>, Damaged> {
        let mut output = vec![0; room];
        let len = decode(input, &mut output)?;
        output.truncate(len);
        Ok(output)
    }

    #[test]
    fn the_librarys_own_streams() {
        let plain = plain();
        for stream in [BEST, &fast()] {
            for room in [plain.len(), plain.len() + 1] {
                assert!(decoded(stream, room).as_ref() == Ok(&plain));
            }
            assert_eq!(decoded(stream, plain.len() - 1), Err(Damaged));
            assert_eq!(decoded(&[stream, &[0]].concat(), plain.len()), Err(Damaged));
            for cut in 0..stream.len() {
                assert_eq!(decoded(&stream[..cut], plain.len()), Err(Damaged));
            }
        }
    }

    #[test]
    fn near_matches() {
        // 2 literals at the start; a match of 2 at distance 1 with a literal after it; the end.
        assert_eq!(decoded(&[19, 7, 8, 0x01, 0x00, 9, 0x11, 0, 0], 9), Ok(vec![7, 8, 8, 8, 9]));
        // 4 literals at the start make a match one of 3, from 0x801 on: here nothing was written so long ago.
        assert_eq!(decoded(&[21, 1, 2, 3, 4, 0x00, 0x00, 0x11, 0, 0], 99), Err(Damaged));
        // 7 bits of length and a match of 5 that overlaps itself.
        assert_eq!(decoded(&[19, 7, 8, 0x84, 0x00, 0x11, 0, 0], 9), Ok(vec![7, 8, 7, 8, 7, 8, 7]));
        assert_eq!(decoded(&[], 9), Err(Damaged));
    }

    proptest! {
        #[test]
        fn anything_is_a_value_or_damaged(
            input in prop::collection::vec(prop_oneof![0_u8..=64, any::<u8>()], 0..64),
            room in 0_usize..5000,
        ) {
            if let Ok(output) = decoded(&input, room) {
                prop_assert!(output.len() <= room);
            }
        }

        #[test]
        fn damaged_streams(at in 0_usize..150, value: u8) {
            for mut stream in [BEST.to_vec(), fast()] {
                if let Some(byte) = stream.get_mut(at) {
                    *byte = value;
                }
                let _ = decoded(&stream, plain().len());
            }
        }
    }
}
