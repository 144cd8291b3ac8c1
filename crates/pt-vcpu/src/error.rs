//! What an access that stopped says: where it was, how much was done, and why it could not go on.

use pt_core::{TranslateError, Unreadable};
use pt_x86::Fault;

/// An access to guest-virtual memory that did not get to its end.
/// ```
/// use pt_vcpu::{AccessCause, Machine, Registers, TranslateError, Vcpu};
///
/// // A page directory at 0x1000 that maps its first 4 MiB to physical 0, where there are 8 KiB of memory.
/// let mut memory = vec![0; 0x2000];
/// memory[0x1000..0x1004].copy_from_slice(&0x83_u32.to_le_bytes());
/// let registers = Registers { cr0: 0x8000_0001, cr3: 0x1000, cr4: 0x10, ..Registers::default() };
/// let view = Vcpu::new(registers, &Machine::default()).view(&memory);
///
/// // Four bytes are there, then memory ends.
/// let stopped = view.read(0x1ffc, &mut [0; 16]).unwrap_err();
/// assert_eq!((stopped.va, stopped.done), (0x2000, 4));
/// assert!(matches!(stopped.cause, AccessCause::Physical { pa: 0x2000, .. }));
/// // Nothing is mapped there.
/// let stopped = view.read(0x40_0000, &mut [0; 16]).unwrap_err();
/// assert!(matches!(stopped.cause, AccessCause::Translate(TranslateError::NotPresent { .. })));
/// ```
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
    /// Its address leads nowhere, or the access is not permitted: what the vCPU raises.
    #[error(transparent)]
    Fault(#[from] Fault),
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
