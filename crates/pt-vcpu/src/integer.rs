//! Integers as x86 stores them: little-endian.

/// An integer of fixed width: `u8` to `u128` and `i8` to `i128`. Not for others to implement.
/// ```
/// use pt_vcpu::{Machine, Registers, Vcpu};
///
/// // A CPU without paging, as after its reset.
/// let mut memory = vec![0x78, 0x56, 0x34, 0x12];
/// let mut view = Vcpu::new(Registers::default(), &Machine::default()).view(&mut memory);
/// assert_eq!(view.read_integer::<u32>(0)?, 0x1234_5678);
/// view.write_integer(2, -2_i16)?;
/// assert_eq!(view.read_integer::<u16>(2)?, 0xfffe);
/// # Ok::<(), pt_vcpu::AccessError>(())
/// ```
pub trait Integer: Copy + sealed::Sealed {
    /// Its width in bytes, at most 16.
    const BYTES: usize;

    #[doc(hidden)]
    fn from_little_endian(bytes: &[u8]) -> Self;

    #[doc(hidden)]
    fn to_little_endian(self) -> [u8; 16];
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl sealed::Sealed for $integer {}

        impl Integer for $integer {
            const BYTES: usize = size_of::<$integer>();

            #[inline]
            fn from_little_endian(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(0, |&bytes| Self::from_le_bytes(bytes))
            }

            #[inline]
            fn to_little_endian(self) -> [u8; 16] {
                let mut bytes = [0; 16];
                bytes[..Self::BYTES].copy_from_slice(&self.to_le_bytes());
                bytes
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);
