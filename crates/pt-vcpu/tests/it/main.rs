//! The five modes: what registers select, and guest-virtual memory against models, by hand, at random and on real guests.

mod access;
mod corpus;
mod edges;
mod faults;
mod guest;
mod model;
mod modes;
mod oracle;
#[cfg(feature = "alloc")]
mod roots;
mod strings;
