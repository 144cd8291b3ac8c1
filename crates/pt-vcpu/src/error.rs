//! What an access that stopped says: where it was, how much was done, and why it could not go on.

use pt_core::{TranslateError, Unreadable};

/// An access to guest-virtual memory that did not get to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped at {va:#x} after {done} byte(s): {cause}")]
pub struct AccessError {
    /// The linear address that was reached: the first byte that could not be accessed.
    pub va: u64,
    /// How many bytes before it were accessed.
    pub done: usize,
    /// Why it could not be.
    pub cause: AccessCause,
}

impl AccessError {
    /// The same of an access that started `before` bytes earlier.
    pub(crate) const fn after(mut self, before: usize) -> Self {
        self.done += before;
        self
    }
}

/// Why a byte of guest-virtual memory could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessCause {
    /// Its address leads nowhere.
    #[error(transparent)]
    Translate(#[from] TranslateError),
    /// Its address leads to a frame, but that cannot be accessed there.
    #[error("physical address {pa:#x}: {why}")]
    Physical {
        /// The physical address of the byte.
        pa: u64,
        /// Why it cannot be read or written.
        why: Unreadable,
    },
    /// A string did not end within the limit.
    #[error("no zero byte within the limit")]
    Unterminated,
}
