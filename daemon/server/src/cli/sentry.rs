//! `standfast sentry`: guards a data host.

use super::client::Client;
use super::exit::{Exit, Failure};
use crate::settings::{Log, LogFormat};
use crate::supervise::Supervisor;
use crate::{bundles, sentry, shutdown, telemetry};
use clap::Args;
use standfast_core::bundle::Bundle;
use standfast_core::ids::SentryId;
use std::path::PathBuf;

/// Arguments of `sentry`.
#[derive(Debug, Args)]
pub struct SentryArgs {
    /// Its name in the fleet
    name: String,
    /// The folder with fleet and playbooks, on this host's own disk: the files that were applied
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    /// Where it keeps whether this host is stopped
    #[arg(long, value_name = "DIR", default_value = "/var/lib/standfast-sentry")]
    data_dir: PathBuf,
    /// Form of a log line
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// Guards until SIGTERM or SIGINT.
pub async fn run(args: SentryArgs, client: &Client) -> Result<Exit, Failure> {
    let log = Log { format: args.log_format, level: "info".to_owned() };
    telemetry::install(&log).map_err(|error| Failure::usage(error.to_string()))?;
    let files = bundles::load_dir(&args.bundle).map_err(|error| Failure::usage(error.to_string()))?;
    let (bundle, findings) = Bundle::load(files.clone());
    let Some(bundle) = bundle else {
        return Err(Failure::new(Exit::Found, findings.to_text(&files, false)));
    };
    let name = SentryId::new(args.name);
    let Some(plan) = bundle.fleet.sentries.get(&name) else {
        let known: Vec<&str> = bundle.fleet.sentries.keys().map(SentryId::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Failure::usage(format!("the fleet has no sentry {name}; it has {known}")));
    };
    let config = sentry::Config {
        plan: plan.clone(),
        timing: bundle.fleet.timing,
        members: client.channels(),
        folder: args.data_dir.clone(),
        supervisor: Supervisor::default(),
        name,
    };
    let stop = shutdown::on_signals().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let guarded = sentry::run(config, stop).await;
    guarded.map_err(|error| {
        Failure::new(Exit::Failed, format!("{}: {error}", args.data_dir.display()))
            .hint("the folder must be this user's: --data-dir")
    })?;
    tracing::warn!("ended: nothing stops this host now when its site is cut off");
    Ok(Exit::Done)
}
