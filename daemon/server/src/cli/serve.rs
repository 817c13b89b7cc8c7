//! `standfast serve`: the daemon.

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::app::{self, AppError};
use crate::settings::{Flags, Settings};
use crate::store::StoreError;
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
    app::run(loaded.settings).await.map_err(|error| Failure::new(exit(&error), error.to_string()))?;
    Ok(Exit::Done)
}

/// What the settings, or the files that they name, have wrong is an error of usage.
fn exit(error: &AppError) -> Exit {
    match error {
        AppError::Findings { .. } => Exit::Found,
        AppError::DataDir { .. }
        | AppError::File { .. }
        | AppError::Tls(_)
        | AppError::Name { .. }
        | AppError::Site { .. }
        | AppError::Taken(_)
        | AppError::Bind(_)
        | AppError::Socket(_)
        | AppError::Read(_)
        // A store that does not answer stops nobody from starting.
        | AppError::Store(StoreError::Denied { .. } | StoreError::Invalid(_) | StoreError::Unavailable { .. }) => {
            Exit::Usage
        }
        AppError::Store(_)
        | AppError::Client(_)
        | AppError::Bundle(_)
        | AppError::System { .. }
        | AppError::Grpc(_)
        | AppError::Drain(_) => Exit::Failed,
    }
}
