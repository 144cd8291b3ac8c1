//! The functions that compilers call for copies, fills and comparisons, which a C library has otherwise.
//!
//! String instructions rather than loops: a compiler that recognises such a loop replaces it by a call of itself.

use core::arch::asm;

/// Copies `len` bytes that do not overlap.
///
/// # Safety
///
/// As C's `memcpy`: `from` can be read and `to` written for `len` bytes, and they do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the direction flag is clear, as the calling convention says.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

/// Copies `len` bytes that may overlap.
///
/// # Safety
///
/// As C's `memmove`: `from` can be read and `to` written for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= len {
        // SAFETY: ascending is right, since `to` does not start inside the source.
        return unsafe { memcpy(to, from, len) };
    }
    // SAFETY: the caller's promise; from the last byte (`len` is not 0 here) down, with the flag restored.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") len => _, inout("rdi") to.add(len - 1) => _,
            inout("rsi") from.add(len - 1) => _, options(nostack));
    }
    to
}

/// Fills `len` bytes with the low byte of `value`.
///
/// # Safety
///
/// As C's `memset`: `to` can be written for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the direction flag is clear.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") value.to_le_bytes()[0],
            options(nostack, preserves_flags));
    }
    to
}

/// Compares `len` bytes: the difference of the first two that differ, or 0.
///
/// # Safety
///
/// As C's `memcmp`: both can be read for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    for at in 0..len {
        // SAFETY: the caller's promise, for `at < len`.
        let (left, right) = unsafe { (left.add(at).read(), right.add(at).read()) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// Whether `len` bytes differ: not 0 if they do.
///
/// # Safety
///
/// As [`memcmp`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    // SAFETY: the same promise.
    unsafe { memcmp(left, right, len) }
}
