//! `standfast site` and `standfast why-not`: what is known about the sites.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::{
    AckSiteRequest, GetSiteRequest, GuardDecision, GuardOutcome, ListSitesRequest, MaintainSiteRequest,
    Maintenance, RejoinSiteRequest, ReleaseSiteRequest, Site, Verdict, Vote, WhyNotRequest, WhyNotResponse,
};

use super::client::Client;
use super::exit::{Exit, Failure};
use super::human;
use super::output::{Output, Rows, Stream, Tone, one_line, plain};
use super::{request_id, uncertain};

/// `standfast site ...`
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// All sites with their verdicts
    List,
    /// One site: who votes what, on which probes
    Get(SiteArgs),
    /// End the hold-down of a site, and its lock: a person has looked at it
    Ack(AckArgs),
    /// Let a fenced site come back: what wrote there is a standby again, or is empty
    Rejoin(RejoinArgs),
    /// Put a site into maintenance: nothing leaves it or goes there by itself; people start runs as ever
    Maintain(MaintainArgs),
    /// End the maintenance of a site
    Release(RejoinArgs),
}

/// A site.
#[derive(Debug, Args)]
pub struct SiteArgs {
    /// Name of the site
    site: String,
}

/// An acknowledgement.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// Name of the site
    site: String,
    /// Why it is safe now
    #[arg(long)]
    reason: String,
    /// The site as it was read (`etag` in -o json): if it has changed since, nothing is done
    #[arg(long)]
    etag: Option<String>,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// A site that may come back.
#[derive(Debug, Args)]
pub struct RejoinArgs {
    /// Name of the site
    site: String,
    /// Why it is safe now
    #[arg(long)]
    reason: String,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// A site on which somebody works.
#[derive(Debug, Args)]
pub struct MaintainArgs {
    /// Name of the site
    site: String,
    /// What is done there
    #[arg(long)]
    reason: String,
    /// For how long, as in 30m, 4h; without it until somebody releases it
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    lasting: Option<Duration>,
    /// Until when, as in 2027-01-04T06:00:00Z or 2027-01-04T07:00:00+01:00
    #[arg(long, value_name = "TIME", conflicts_with = "lasting")]
    until: Option<Timestamp>,
    /// Repeat a request whose outcome is not known: the id that the error printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Runs a command.
pub async fn run(command: SiteCommand, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        SiteCommand::List => {
            let sites = client
                .call(ListSitesRequest {}, |channel, request| async move {
                    SitesClient::new(channel).list_sites(request).await
                })
                .await?;
            output.data(&sites, |sites, out| table(&sites.sites, out))?;
        }
        SiteCommand::Get(SiteArgs { site }) => {
            let site = client
                .call(GetSiteRequest { name: site }, |channel, request| async move {
                    SitesClient::new(channel).get_site(request).await
                })
                .await?;
            output.data(&site, show)?;
        }
        SiteCommand::Ack(args) => {
            let request_id = args.request_id.unwrap_or_else(request_id);
            let request = AckSiteRequest {
                name: args.site,
                request_id: request_id.clone(),
                reason: args.reason,
                etag: args.etag.unwrap_or_default(),
            };
            let site = client
                .call(
                    request,
                    |channel, request| async move { SitesClient::new(channel).ack_site(request).await },
                )
                .await
                .map_err(|failure| uncertain(failure, &request_id))?;
            output.data(&site, show)?;
        }
        SiteCommand::Rejoin(args) => {
            let request_id = args.request_id.unwrap_or_else(request_id);
            let request =
                RejoinSiteRequest { name: args.site, request_id: request_id.clone(), reason: args.reason };
            let site = client
                .call(request, |channel, request| async move {
                    SitesClient::new(channel).rejoin_site(request).await
                })
                .await
                .map_err(|failure| uncertain(failure, &request_id))?;
            output.data(&site, show)?;
        }
        SiteCommand::Maintain(args) => {
            let request_id = args.request_id.unwrap_or_else(request_id);
            let lasting = args.lasting.map(pbjson_types::Duration::try_from).transpose();
            let request = MaintainSiteRequest {
                name: args.site,
                request_id: request_id.clone(),
                reason: args.reason,
                lasting: lasting.map_err(|_| Failure::usage("--for is longer than can be written"))?,
                until: args.until.map(|until| pbjson_types::Timestamp {
                    seconds: until.as_second(),
                    nanos: until.subsec_nanosecond(),
                }),
            };
            let site = client
                .call(request, |channel, request| async move {
                    SitesClient::new(channel).maintain_site(request).await
                })
                .await
                .map_err(|failure| uncertain(failure, &request_id))?;
            output.data(&site, show)?;
        }
        SiteCommand::Release(args) => {
            let request_id = args.request_id.unwrap_or_else(request_id);
            let request =
                ReleaseSiteRequest { name: args.site, request_id: request_id.clone(), reason: args.reason };
            let site = client
                .call(request, |channel, request| async move {
                    SitesClient::new(channel).release_site(request).await
                })
                .await
                .map_err(|failure| uncertain(failure, &request_id))?;
            output.data(&site, show)?;
        }
    }
    Ok(Exit::Done)
}

/// Says which guard refuses an automatic failover now.
pub async fn why_not(args: SiteArgs, client: &mut Client, output: &mut Output) -> Result<Exit, Failure> {
    let answer = client
        .call(WhyNotRequest { site: args.site }, |channel, request| async move {
            SitesClient::new(channel).why_not(request).await
        })
        .await?;
    output.data(&answer, show_why_not)?;
    Ok(Exit::Done)
}

fn show_why_not(answer: &WhyNotResponse, out: &mut Stream) -> Result<(), Failure> {
    let failover = match answer.playbook.as_str() {
        "" => format!("no `on_loss` names a playbook for {}", answer.site),
        playbook => format!("if {} were lost, {playbook} would move it to {}", answer.site, answer.to),
    };
    out.line(failover)?;
    out.line(match answer.refused_by.as_str() {
        "" => "nothing refuses: it would begin now".to_owned(),
        guard => format!("refused now by {guard}"),
    })?;
    out.line("")?;
    let mut rows = Rows::new(out, &["GUARD", "NAME", "SAYS", "REASON"]);
    for guard in &answer.guards {
        rows.row(guard_row(guard));
    }
    rows.write(out)?;
    if answer.refusals.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut rows = Rows::new(out, &["REFUSED", "TIMES", "GUARD", "NAME", "REASON"]);
    for refusal in &answer.refusals {
        let guard = refusal.guard.clone().unwrap_or_default();
        rows.row([
            plain(human::date(refusal.last_at.as_ref())),
            plain(refusal.count.to_string()),
            plain(guard.id),
            plain(guard.name),
            plain(guard.reason),
        ]);
    }
    rows.write(out)
}

/// A guard's row.
pub fn guard_row(guard: &GuardDecision) -> [(Tone, String); 4] {
    let (tone, says) = match guard.outcome() {
        GuardOutcome::Unspecified => (Tone::Plain, "-"),
        GuardOutcome::Passed => (Tone::Good, "passed"),
        GuardOutcome::Refused => (Tone::Bad, "REFUSED"),
        GuardOutcome::NotAsked => (Tone::Plain, "not asked"),
        GuardOutcome::Waived => (Tone::Busy, "waived"),
    };
    [plain(guard.id.clone()), plain(guard.name.clone()), (tone, says.to_owned()), plain(guard.reason.clone())]
}

/// All sites for people.
pub fn table(sites: &[Site], out: &mut Stream) -> Result<(), Failure> {
    let now = Timestamp::now();
    let mut rows = Rows::new(out, &["SITE", "ROLE", "VERDICT", "FOR", "VOTES", "MEMBERS", "NOTE"]);
    for site in sites {
        let votes: Vec<String> =
            site.votes.iter().map(|vote| format!("{} {}", vote.voter, vote_word(vote.vote()))).collect();
        let live = site.leases.iter().filter(|lease| lease.live).count();
        rows.row([
            plain(site.name.clone()),
            plain(human::lower(site.role().as_str_name(), "SITE_ROLE_")),
            verdict_cell(site.verdict()),
            plain(human::ago(site.verdict_since.as_ref(), now)),
            plain(human::or_dash(&votes.join(", "))),
            plain(format!("{live}/{}", site.leases.len())),
            plain(note(site)),
        ]);
    }
    rows.write(out)
}

/// What else is to be known about a site.
fn note(site: &Site) -> String {
    let mut notes = Vec::new();
    // What is inside of a partition lives: it is not lost, however long that lasts.
    let counts = site.verdict() != Verdict::Partitioned;
    if let Some(left) = site.confirm_remaining.as_ref().filter(|_| counts) {
        notes.push(format!("LOST in {}", human::wire_duration(Some(left))));
    }
    if !site.run_id.is_empty() {
        notes.push(format!("run {}", site.run_id));
    }
    if let Some(left) = &site.hold_down_remaining {
        notes.push(format!("held down for {}", human::wire_duration(Some(left))));
    }
    if !site.left_by.is_empty() && site.left_by != site.run_id {
        notes.push(format!("left by run {}, and not healthy since", site.left_by));
    }
    if let Some(lease) = &site.lease {
        if !lease.fenced_by.is_empty() {
            notes.push(format!("fenced by run {}", lease.fenced_by));
        }
        let troubled = lease.sentries.iter().filter(|sentry| !sentry.trouble.is_empty()).count();
        if troubled > 0 {
            notes.push(format!("{troubled} of {} sentries prove nothing", lease.sentries.len()));
        }
    }
    notes.extend(site.maintenance.as_ref().map(maintained));
    if site.flap_locked {
        notes.push("locked: it went down too often".to_owned());
    }
    if !site.verdict_reason.is_empty() && site.verdict() != Verdict::Healthy {
        notes.push(site.verdict_reason.clone());
    }
    notes.join("; ")
}

/// `in maintenance by kim since 2026-11-22 11:00:00Z, for another 2h: new racks`.
fn maintained(maintenance: &Maintenance) -> String {
    let Maintenance { by, reason, since, remaining } = maintenance;
    let ends = match remaining {
        Some(left) => format!("for another {}", human::wire_duration(Some(left))),
        None => "until somebody releases it".to_owned(),
    };
    let since = human::date(since.as_ref());
    format!("in maintenance by {by} since {since}, {ends}: {}", one_line(reason))
}

fn verdict_cell(verdict: Verdict) -> (Tone, String) {
    let tone = match verdict {
        Verdict::Healthy => Tone::Good,
        Verdict::Degraded | Verdict::Unknown | Verdict::Unspecified => Tone::Busy,
        Verdict::Partitioned | Verdict::Lost => Tone::Bad,
    };
    (tone, human::upper(verdict.as_str_name(), "VERDICT_").to_owned())
}

fn vote_word(vote: Vote) -> &'static str {
    human::upper(vote.as_str_name(), "VOTE_")
}

fn vote_cell(vote: Vote) -> (Tone, String) {
    let tone = match vote {
        Vote::Up => Tone::Good,
        Vote::Degraded => Tone::Busy,
        Vote::Down => Tone::Bad,
        Vote::Abstain | Vote::Unspecified => Tone::Plain,
    };
    (tone, vote_word(vote).to_owned())
}

/// One site for people.
fn show(site: &Site, out: &mut Stream) -> Result<(), Failure> {
    let now = Timestamp::now();
    table(std::slice::from_ref(site), out)?;
    out.line("")?;
    let mut rows =
        Rows::new(out, &["VOTER", "MEMBER", "SAYS", "FAILED", "PASSED", "AGE", "ABSTAINS BECAUSE"]);
    for vote in &site.votes {
        for seen in &vote.observations {
            rows.row([
                plain(vote.voter.clone()),
                plain(seen.member.clone()),
                vote_cell(seen.vote()),
                plain(seen.failed_rounds.to_string()),
                plain(seen.passed_rounds.to_string()),
                plain(human::wire_duration(seen.age.as_ref())),
                plain(human::or_dash(&seen.abstains_because)),
            ]);
        }
    }
    rows.write(out)?;
    if !site.failing_probes.is_empty() {
        out.line("")?;
        let mut rows = Rows::new(out, &["FAILING PROBE", "MEMBER", "ANSWER", "AGO"]);
        for probe in &site.failing_probes {
            rows.row([
                plain(probe.probe.clone()),
                plain(probe.member.clone()),
                (Tone::Bad, probe.answer.clone()),
                plain(human::ago(probe.at.as_ref(), now)),
            ]);
        }
        rows.write(out)?;
    }
    out.line("")?;
    let mut rows = Rows::new(out, &["MEMBER INSIDE", "LEASE", "FOR", "LOCAL PROBES"]);
    for lease in &site.leases {
        let live = if lease.live { (Tone::Good, "live") } else { (Tone::Bad, "gone") };
        rows.row([
            plain(lease.member.clone()),
            (live.0, live.1.to_owned()),
            plain(human::ago(lease.since.as_ref(), now)),
            plain(human::or_dash(&lease.local_probes)),
        ]);
    }
    rows.write(out)?;
    if let Some(lease) = &site.lease {
        out.line("")?;
        let held = if lease.held { "held" } else { "not held" };
        out.line(match lease.fenced_by.as_str() {
            "" => format!("the site's lease is {held}"),
            run => format!(
                "fenced by run {run}: it stays stopped until: standfast site rejoin {} --reason ...",
                site.name
            ),
        })?;
        let mut rows = Rows::new(out, &["SENTRY", "STATE", "HEARD BEFORE THE LAST RENEWAL", "TROUBLE"]);
        for sentry in &lease.sentries {
            let tone = if sentry.trouble.is_empty() { Tone::Good } else { Tone::Bad };
            rows.row([
                plain(sentry.name.clone()),
                (tone, human::or_dash(&sentry.state).to_owned()),
                plain(human::wire_duration(sentry.heard.as_ref())),
                plain(human::or_dash(&sentry.trouble)),
            ]);
        }
        rows.write(out)?;
    }
    for evidence in &site.evidence {
        let at = human::clock(evidence.at.as_ref());
        out.line(format!("evidence {at}  {}: {}", evidence.what, evidence.answer))?;
    }
    Ok(())
}
