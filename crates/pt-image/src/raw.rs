//! Raw files: the byte at offset `n` is the byte at physical address `n`.

use crate::error::Checked;
use crate::headerless;
use crate::image::Contents;
use crate::source::Source;

/// Takes a file as it is.
pub(crate) fn parse(source: &Source) -> Checked<Contents> {
    headerless::parse(&headerless::in_order([(0, source.len())]), std::slice::from_ref(source))
}
