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

mod access;
mod counts;
mod decode;
mod event;
mod flat;
mod graph;
mod memory;
mod mode;
mod runs;
#[cfg(test)]
mod tests;
mod translate;

pub use access::{By, Cpu, Does, Outcome, Used, access, access_and_mark};
pub use counts::{Counts, counts};
pub use decode::{Meaning, accessed_dirty, attributes, decode, restrict};
pub use event::{Event, Link, Rights};
pub use flat::flat;
pub use graph::{Repeated, graph};
pub use memory::{Frames, Missing, Physical};
pub use mode::{Long, Mode};
pub use runs::join;
pub use translate::{Found, Lost, translate};
