//! What a program needs where there is no std, no C library and no start file: an entry point, an exit, a panic
//! handler, and the functions that compilers call for copies ([`memory`]). And [`tables`] for it to read.
//!
//! Only for x86-64 Linux, where the proof is run.

#![no_std]

pub mod memory;
pub mod tables;

use core::arch::asm;
use core::panic::PanicInfo;

/// Makes `check` the program: status 0 if it returns true, 1 if not.
#[macro_export]
macro_rules! program {
    ($check:path) => {
        /// What the kernel jumps to.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        extern "C" fn _start() -> ! {
            core::arch::naked_asm!("xor ebp, ebp", "and rsp, -16", "call {run}", "ud2", run = sym run)
        }

        extern "C" fn run() -> ! {
            $crate::exit(if $check() { 0 } else { 1 })
        }
    };
}

/// Ends the process.
pub fn exit(status: i32) -> ! {
    // SAFETY: system call 231 is `exit_group`; it takes its only argument by value and does not return.
    unsafe { asm!("syscall", in("rax") 231, in("rdi") status, options(noreturn, nostack)) }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}
