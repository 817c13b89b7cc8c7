//! `standfast status`: what a person needs to see first.

use clap::Args;
use jiff::Timestamp;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::{AutomationLevel, ClusterStatus, GetStatusRequest, WaitingItem};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::output::{Output, Rows, Stream};
use super::{freeze, human, member, readiness, screen, site, switch};

/// `standfast status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Exit 8 when something waits for people
    #[arg(long)]
    exit_code: bool,
}

/// Shows the status.
pub async fn run(args: StatusArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let status = client
        .call(GetStatusRequest {}, |channel, request| async move {
            ClusterClient::new(channel).get_status(request).await
        })
        .await?;
    output.data(&status, show)?;
    if let Some(store) = status.store.as_ref().filter(|store| !store.writable) {
        let message =
            "the store takes no writes: nothing can be decided or done, and what is shown may be old";
        let failure = Failure::new(Exit::Unreachable, message);
        return Err(match store.kind.as_str() {
            "etcd" => failure.hint("bring back a majority of its members"),
            _ => failure,
        });
    }
    let waits = args.exit_code && !status.waiting.is_empty();
    Ok(if waits { Exit::Waiting } else { Exit::Done })
}

fn show(status: &ClusterStatus, out: &mut Stream) -> Result<(), Failure> {
    let now = Timestamp::now();
    let automation = match status.automation() {
        AutomationLevel::Unspecified => "no bundle: standfast apply <files>".to_owned(),
        level => format!("automation {}", human::lower(level.as_str_name(), "AUTOMATION_LEVEL_")),
    };
    let note = match status.automation_note.as_str() {
        "" => String::new(),
        note => format!(" ({note})"),
    };
    out.line(format!(
        "fleet {}  bundle {}  {automation}{note}",
        human::or_dash(&status.fleet),
        human::digest(&status.bundle_digest)
    ))?;
    if let Some(frozen) = &status.freeze {
        out.line(freeze::said(frozen))?;
    }
    out.line(match &status.leader {
        Some(leader) => format!(
            "leader {} in {}, epoch {}, for {}",
            leader.member,
            leader.site,
            leader.epoch,
            human::ago(leader.since.as_ref(), now)
        ),
        None => "no leader".to_owned(),
    })?;
    out.line(format!("answered by {} in {}, to {}", status.member, status.member_site, status.identity))?;
    store(status, out)?;
    out.line("")?;
    site::table(&status.sites, out)?;
    out.line("")?;
    member::table(&status.members, out)?;
    if !status.switches.is_empty() {
        out.line("")?;
        switch::table(&status.switches, out)?;
    }
    if !status.readiness.is_empty() {
        out.line("")?;
        readiness::table(&status.readiness, out)?;
    }
    if !status.active_runs.is_empty() {
        out.line("")?;
        let headings = ["RUN", "STATE", "SITES", "MODE", "STEPS", "AGE", "REASON"];
        let mut rows = Rows::new(out, &headings);
        for run in &status.active_runs {
            rows.row(screen::run_row(run, now));
        }
        rows.write(out)?;
    }
    if !status.waiting.is_empty() {
        out.line("\nwaiting for people:")?;
    }
    status.waiting.iter().try_for_each(|item| waiting(item, now, out))?;
    if !status.next_commands.is_empty() {
        out.line("\nnext:")?;
    }
    status.next_commands.iter().try_for_each(|command| out.line(format!("  {command}")))
}

fn store(status: &ClusterStatus, out: &mut Stream) -> Result<(), Failure> {
    let Some(store) = &status.store else { return out.line("store unknown") };
    out.line(format!(
        "store {}: {}, revision {}, last write took {}",
        store.kind,
        if store.writable { "writable" } else { "NOT WRITABLE" },
        store.revision,
        human::wire_duration(store.write_latency.as_ref())
    ))?;
    if !store.problem.is_empty() {
        out.line(format!("  {}", store.problem))?;
    }
    for endpoint in store.endpoints.iter().filter(|endpoint| !endpoint.answers) {
        out.line(format!("  {} does not answer: {}", endpoint.address, endpoint.error))?;
    }
    Ok(())
}

fn waiting(item: &WaitingItem, now: Timestamp, out: &mut Stream) -> Result<(), Failure> {
    let who = match (item.for_me, item.role.as_str()) {
        (true, _) => "you may answer".to_owned(),
        (false, "") => "anybody may answer".to_owned(),
        (false, role) => format!("{role} may answer"),
    };
    let since = item.since.as_ref().map(|since| format!(", waits for {}", human::ago(Some(since), now)));
    out.line(format!("  {} ({who}{})", item.question, since.unwrap_or_default()))?;
    item.commands.iter().try_for_each(|command| out.line(format!("    {command}")))
}
