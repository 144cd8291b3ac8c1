//! What is compressed with xz or zstd: streams as they are, with a limit on what they decode to.

use pt_image::Image;

use crate::image::{LIMIT, options, reads};

/// The first byte says which magic number comes before the rest.
pub fn run(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else { return };
    let magic: &[u8] = if kind & 1 == 0 { b"\xfd7zXZ\0" } else { b"\x28\xb5\x2f\xfd" };
    match Image::from_bytes("fuzz", [magic, rest].concat(), &options()) {
        Ok(image) => {
            assert!(image.compression().is_some() && image.held_bytes() <= LIMIT);
            reads(&image, 2);
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}
