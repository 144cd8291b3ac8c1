//! The oracle: what the rules say, as plainly as code can say it.
//!
//! It shares nothing with the engine that it judges: no format, no decoding, no event types, no memory trait. It is
//! recursive, reads bits one by one, remembers what it must in ordered maps, and is slow.
//!
//! | | |
//! |---|---|
//! | [`decode`], [`restrict`] | one entry |
//! | [`flat`] | one root, every path |
//! | [`graph`], [`join`] | many roots, every table once; leaves joined into runs |
//! | [`translate`] | one address |
//! | [`access`], [`access_and_mark`] | one access |
//! | [`counts`] | brute force over all paths |
//! | [`faithful`], [`refusals`] | what a rebuild may and may not do |

mod access;
mod counts;
mod decode;
mod event;
mod faithful;
mod flat;
mod frames;
mod graph;
mod memory;
mod mode;
mod pieces;
mod refuse;
mod runs;
#[cfg(test)]
mod tests;
mod translate;

pub use access::{By, Cpu, Does, Outcome, Used, access, access_and_mark};
pub use counts::{Counts, counts};
pub use decode::{Meaning, accessed_dirty, attributes, decode, restrict, right_bits, small_attributes};
pub use event::{Event, Link, Rights};
pub use faithful::{Sides, Tables, Terms, distinct, faithful};
pub use flat::flat;
pub use frames::{Went, overlap, union};
pub use graph::{Repeated, graph};
pub use memory::{Frames, Missing, Physical};
pub use mode::{Long, Mode};
pub use refuse::{Faulty, Refusal, refusals};
pub use runs::join;
pub use translate::{Found, Lost, translate};
