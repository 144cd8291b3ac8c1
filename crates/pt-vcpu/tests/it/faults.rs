//! Judged accesses: at random against the oracle, by hand against the manual, and what marking leaves.

mod manual;
mod marking;
mod one;
mod random;
mod views;
