//! The `storescope` binary.
fn main() {}
