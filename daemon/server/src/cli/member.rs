//! `standfast member`: who is there, and who leads.

use std::time::Duration;

use clap::{Args, Subcommand};
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::{BumpEpochRequest, BumpEpochResponse, ListMembersRequest, Member, StepDownRequest};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Rows, Stream, Tone, plain};
use super::{request_id, uncertain};

/// How long one member may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// `standfast member ...`
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// All members
    List,
    /// Ask the leader to hand leadership over, before its host is taken down say
    StepDown(StepDownArgs),
    /// Raise the store's epoch to the highest that any member named with --server has seen
    #[command(after_help = "\
After the store was restored from a backup, its epoch is one that targets have seen already, and members
that know refuse to lead. Name all members: each tells what it has seen.
Exit: 0, 1 when no member has seen a higher one.")]
    BumpEpoch(BumpEpochArgs),
}

/// A higher epoch.
#[derive(Debug, Args)]
pub struct BumpEpochArgs {
    /// Why
    #[arg(long)]
    reason: String,
}

/// A hand-over.
#[derive(Debug, Args)]
pub struct StepDownArgs {
    /// The leader that is meant; without it whichever leads
    member: Option<String>,
    /// Why
    #[arg(long)]
    reason: String,
    /// The epoch that is to end: if another one has begun, nothing is done
    #[arg(long)]
    epoch: Option<u64>,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Runs a command.
pub async fn run(command: MemberCommand, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        MemberCommand::List => {
            let members = client
                .call(ListMembersRequest {}, |channel, request| async move {
                    ClusterClient::new(channel).list_members(request).await
                })
                .await?;
            output.data(&members, |members, out| table(&members.members, out))?;
        }
        MemberCommand::BumpEpoch(args) => {
            let mut raised = None;
            let mut refused = None;
            // Each knows only what it has seen itself.
            for (address, channel) in client.channels() {
                let request = BumpEpochRequest { reason: args.reason.clone() };
                let mut cluster = ClusterClient::new(channel);
                match tokio::time::timeout(PATIENCE, cluster.bump_epoch(request)).await {
                    Ok(Ok(answer)) => raised = raised.max(Some(answer.into_inner().epoch)),
                    Ok(Err(status)) => refused = Some(Failure::from(status)),
                    Err(_) => {
                        output.err.line(format!("{address} does not answer, and may have seen more"))?
                    }
                }
            }
            let nobody = || Failure::new(Exit::Unreachable, "no member answers");
            let Some(epoch) = raised else { return Err(refused.unwrap_or_else(nobody)) };
            let answer = BumpEpochResponse { epoch };
            output.data(&answer, |answer, out| {
                out.line(format!("the epoch is {} now; whoever leads next has a higher one", answer.epoch))
            })?;
        }
        MemberCommand::StepDown(args) => {
            let request_id = args.request_id.unwrap_or_else(request_id);
            let request = StepDownRequest {
                member: args.member.unwrap_or_default(),
                request_id: request_id.clone(),
                reason: args.reason,
                epoch: args.epoch.unwrap_or_default(),
            };
            let answer = client
                .call(request, |channel, request| async move {
                    ClusterClient::new(channel).step_down(request).await
                })
                .await
                .map_err(|failure| uncertain(failure, &request_id))?;
            output.data(&answer, |answer, out| match &answer.leader {
                Some(leader) => out
                    .line(format!("{} in {} leads now, epoch {}", leader.member, leader.site, leader.epoch)),
                None => out.line("the leader has stepped down; nobody leads yet"),
            })?;
        }
    }
    Ok(Exit::Done)
}

/// All members for people.
pub fn table(members: &[Member], out: &mut Stream) -> Result<(), Failure> {
    let headings = ["MEMBER", "SITE", "LEASE", "COUNTS", "SEEN", "VERSION", "ADDRESS", "NOTE"];
    let mut rows = Rows::new(out, &headings);
    for member in members {
        let lease = if member.live { (Tone::Good, "live") } else { (Tone::Bad, "gone") };
        let counts = if member.eligible { (Tone::Good, "yes") } else { (Tone::Busy, "no") };
        let leads = if member.leader { "leads" } else { "" };
        let note = [leads, &member.not_eligible_because];
        rows.row([
            plain(member.name.clone()),
            plain(member.site.clone()),
            (lease.0, lease.1.to_owned()),
            (counts.0, counts.1.to_owned()),
            plain(human::wire_duration(member.age.as_ref())),
            plain(member.version.clone()),
            plain(human::or_dash(&member.address)),
            plain(note.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join("; ")),
        ]);
    }
    rows.write(out)
}
