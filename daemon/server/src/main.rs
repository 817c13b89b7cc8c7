//! The `standfast` program: everything is in the library.
// Nothing here may die of what it did not expect: an error says so, or `expect` says why it cannot be.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::todo, clippy::unimplemented))]

use std::process::ExitCode;

fn main() -> ExitCode {
    standfast::cli::main(std::env::args_os())
}
