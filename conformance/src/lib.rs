//! What both comparisons try: states of a CPU, and tables that lead to one page.
//!
//! The program `unicorn` asks Unicorn's MMU; the program `faults` makes the accesses that a guest in QEMU is to make, and
//! judges what became of them.

#![forbid(unsafe_code)]

pub mod path;
pub mod state;
