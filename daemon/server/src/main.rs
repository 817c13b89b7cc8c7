//! The `standfast` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    standfast::cli::main(std::env::args_os())
}
