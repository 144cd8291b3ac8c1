//! Raw files: the byte at offset `n` is the byte at physical address `n`.

use crate::error::Checked;
use crate::image::Contents;
use crate::layout::{Layout, Piece};

/// Takes a file as it is.
pub(crate) fn parse(file: &[u8]) -> Checked<Contents> {
    let len = file.len() as u64;
    let layout = Layout::new(vec![Piece { start: 0, len, held: len, offset: 0, described_at: 0 }], len)?;
    Ok(Contents { layout, ..Contents::default() })
}
