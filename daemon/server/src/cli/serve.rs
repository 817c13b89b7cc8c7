//! `standfast serve`: the daemon.

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::app;
use crate::settings::{Flags, Settings};
use crate::telemetry;
use clap::Args;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    flags: Flags,
    /// Print the settings that would be used, with where each comes from, and end
    #[arg(long)]
    print_settings: bool,
}

/// Runs the daemon until SIGTERM or SIGINT.
pub async fn run(args: ServeArgs, output: &mut Output) -> Result<Exit, Failure> {
    let loaded = Settings::load(&args.flags).map_err(|error| Failure::usage(error.to_string()))?;
    if args.print_settings {
        let _ = output.out.line(loaded.render().trim_end());
        return Ok(Exit::Done);
    }
    telemetry::install(&loaded.settings.log).map_err(|error| Failure::usage(error.to_string()))?;
    app::run(loaded.settings).await.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    Ok(Exit::Done)
}
