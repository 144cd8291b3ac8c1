//! A memory that lends nothing.

use pt_core::{Memory, Unreadable};

/// Bytes that the walk has to copy, table by table, as those behind a device or a socket.
#[derive(Clone, Copy, Debug)]
pub struct Copying<'m>(pub &'m [u8]);

impl Memory for Copying<'_> {
    type Buffer = [u8; 4096];

    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read(address, into)
    }
}
