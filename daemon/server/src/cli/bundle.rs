//! `standfast apply`: files become the bundle that the cluster works by.

use std::path::PathBuf;

use clap::Args;
use standfast_proto::v1::bundles_client::BundlesClient;
use standfast_proto::v1::{ApplyBundleRequest, ApplyBundleResponse, BundleFile, Finding, Severity};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Stream};
use super::{request_id, uncertain};
use crate::bundles::read_paths;

/// `standfast apply ...`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Files, or folders of which all *.yaml and *.yml count: one fleet, and its playbooks
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Lint and compare, change nothing; exit 3 on an error
    #[arg(long)]
    dry_run: bool,
    /// Exit 4 when the bundle would change
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// Digest that is current now, as far as you know: if it is another one, nothing is done
    #[arg(long, value_name = "DIGEST")]
    etag: Option<String>,
    /// Why; needed with --replace-fleet
    #[arg(long)]
    reason: Option<String>,
    /// Also if the fleet has another name than the current one, or lacks a site in which a member lives
    #[arg(long, requires = "reason")]
    replace_fleet: bool,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Applies files.
pub async fn run(args: ApplyArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let request_id = args.request_id.unwrap_or_else(request_id);
    let request = ApplyBundleRequest {
        files: read(&args.paths)?,
        request_id: request_id.clone(),
        validate_only: args.dry_run,
        etag: args.etag.unwrap_or_default(),
        reason: args.reason.unwrap_or_default(),
        replace_fleet: args.replace_fleet,
    };
    let applied = client
        .call(
            request,
            |channel, request| async move { BundlesClient::new(channel).apply_bundle(request).await },
        )
        .await
        .map_err(|failure| if args.dry_run { failure } else { uncertain(failure, &request_id) })?;
    output.data(&applied, |applied, out| show(applied, args.dry_run, out))?;
    let wrong = applied.findings.iter().any(|finding| finding.severity() == Severity::Error);
    Ok(match (wrong, args.exit_code && applied.changed) {
        (true, _) => Exit::Found,
        (false, true) => Exit::Pending,
        (false, false) => Exit::Done,
    })
}

fn show(applied: &ApplyBundleResponse, dry_run: bool, out: &mut Stream) -> Result<(), Failure> {
    for finding in &applied.findings {
        show_finding(finding, out)?;
    }
    let new = human::digest(&applied.digest);
    let old = human::digest(&applied.previous_digest);
    out.line(match (applied.digest.as_str(), applied.changed, dry_run) {
        ("", ..) => "the files do not lint: nothing would be applied".to_owned(),
        (_, false, _) => format!("bundle {new} is current already"),
        (_, true, true) => format!("bundle {new} would replace {old}"),
        (_, true, false) => format!("bundle {new} has replaced {old}"),
    })
}

/// A finding for people, in rustc's form without the source, which only `lint` has.
pub fn show_finding(finding: &Finding, out: &mut Stream) -> Result<(), Failure> {
    let severity = human::lower(finding.severity().as_str_name(), "SEVERITY_");
    out.line(format!("{severity}[{}]: {}", finding.id, finding.message))?;
    if !finding.file.is_empty() {
        out.line(match finding.line {
            0 => format!("  --> {}", finding.file),
            line => format!("  --> {}:{line}:{}", finding.file, finding.column),
        })?;
    }
    if !finding.help.is_empty() {
        out.line(format!("  = help: {}", finding.help))?;
    }
    Ok(())
}

/// The files as they go over the wire.
fn read(paths: &[PathBuf]) -> Result<Vec<BundleFile>, Failure> {
    let files = read_paths(paths).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(files.into_iter().map(|file| BundleFile { name: file.name, text: file.text }).collect())
}
