//! Tables that are made to cost work or memory: what they cost is counted, and stays within what is promised.
//!
//! Work is counted in reads of tables and in events, memory in bytes of the heap. Nothing is timed.

mod cuts;
mod derived;
mod edges;
mod edits;
mod hashing;
mod heap;
mod made;
mod roots;
mod size;
mod walks;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Stamps a test onto every format of x86.
macro_rules! every_format {
    ($($test:ident = $check:ident;)*) => {
        mod every_format {
            use super::*;

            mod two_level {
                use super::*;
                $(#[test] fn $test() { $check(&pt_i686::TwoLevel::default()); })*
            }
            mod pae {
                use super::*;
                $(#[test] fn $test() { $check(&crate::made::pae()); })*
            }
            mod four_level {
                use super::*;
                $(#[test] fn $test() { $check(&pt_amd64::FourLevel::default()); })*
            }
            mod five_level {
                use super::*;
                $(#[test] fn $test() { $check(&pt_amd64::FiveLevel::default()); })*
            }
        }
    };
}
pub(crate) use every_format;
