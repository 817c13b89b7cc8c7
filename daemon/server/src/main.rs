//! The `standfast` program.
fn main() {}
