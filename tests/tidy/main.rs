//! Reads the source.
fn main() {}
