//! CI driver.
fn main() {}
