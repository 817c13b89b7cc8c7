//! What runs beside the real parts of a site: guards, the janitor, and our own small services.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use standfast_integration::parts::{Result, guard::Guard, process, scratch};

#[derive(Parser)]
#[command(about = "Parts of a site made for demonstrations and tests")]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    /// Run a program that ends with whoever started the guard
    Guard(Guard),
    /// Wait for the end of whoever started this, then stop and remove what it left
    Janitor {
        /// The folder with the sites
        folder: PathBuf,
    },
    /// Kill every process of a site; succeeds only when all of them are dead
    PowerOff {
        /// The folder of the site
        site: PathBuf,
    },
}

fn main() -> ExitCode {
    let done: Result<u8> = match Cli::parse().command {
        Commands::Guard(guard) => guard.run(),
        Commands::Janitor { folder } => scratch::janitor(&folder).map(|()| 0),
        Commands::PowerOff { site } => process::power_off(&site, Duration::from_secs(5)).map(|n| {
            println!("{n} processes of {} are dead", site.display());
            0
        }),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("site: {error}");
            ExitCode::FAILURE
        }
    }
}
