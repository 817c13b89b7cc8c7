//! What stands in the store, and under which key.
//!
//! ```text
//! leader                     who leads: hangs on the leader's lease
//! epoch                      the fencing token, a decimal number
//! judgement                  what the leader thinks of every site; rewritten with every beat
//! members/ID                 a live member: hangs on its lease
//! observations/ID            what it saw last; hangs on the same lease
//! bundle                     the current bundle in short, and the last requests for one
//! applied/DIGEST             a bundle in short, of all that are kept
//! bundles/DIGEST/...         a bundle's files, chunked
//! runs/PLACE/ID              head of a run: its state in short, rewritten with every entry;
//!                            PLACE sorts the newest run first
//! journals/ID/NNNNNNNN       one entry of its journal
//! plans/DIGEST/...           a frozen plan, chunked
//! forgotten/ID               a run whose journal is being deleted, after its head
//! locks/site/ID, locks/service/ID    the live run that holds it
//! asks/REQUEST               what a person wants; deleted with its answer
//! answers/REQUEST            what came of it
//! requests/REQUEST           that it came, and a digest of what it said: kept as long
//! sites/SITE/lease           the site may serve: hangs on a lease that its members renew
//! sites/SITE/roster          who enforces that, as known at the last renewal
//! sites/SITE/fenced          the run that took over: the lease is not renewed any more
//! maintenance                sites on which somebody works: who, why, and what is left of it
//! switches                   what is switched on: who did, and why
//! holds                      what is left of every hold-down
//! flaps                      which sites came and went, how long ago, and which a run has left
//! moves                      what the runs of the last day have left, and how long ago
//! freeze                     who wants nothing to run by itself, why, and what is left of it
//! refusals/SITE/GUARD        the last failover that this guard refused, also to a person;
//!                            GUARD is `required` for what is no guard's
//! looks/ID                   a plan to be looked at by every member: hangs on a lease of the asker
//! views/ID/MEMBER            what a member saw of it; hangs on the same lease
//! audit/NNNNNNNNNNNN         an entry of the audit: one line of JSON
//! audited                    the last of them, with its digest
//! readiness                  what the last look at each playbook of on_loss came to, with its age
//! found/SITE                 what stands in the way of what is run when the site is lost
//! ```

use crate::store::Revision;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use standfast_core::controller::{Ask, Subject};
use standfast_core::engine::Refusal;
use standfast_core::ids::{Digest, Epoch, Identity, MemberId, PlaybookId, RunId, ServiceId, SiteId};
use standfast_core::look;
use standfast_core::plan::Mode;
use standfast_core::run::{Run, State};
use standfast_core::site_lease::Leases;
use standfast_core::time::Span;

/// Key of the leader record.
pub const LEADER: &str = "leader";
/// Key of the epoch.
pub const EPOCH: &str = "epoch";
/// Key of the leader's judgement.
pub const JUDGEMENT: &str = "judgement";
/// Prefix of member records.
pub const MEMBERS: &str = "members/";
/// Prefix of observations.
pub const OBSERVATIONS: &str = "observations/";
/// Key of the current bundle in short.
pub const BUNDLE: &str = "bundle";
/// Prefix of run heads.
pub const RUNS: &str = "runs/";
/// Prefix of plans.
pub const PLANS: &str = "plans/";
/// Prefix of runs that are being deleted.
pub const FORGOTTEN: &str = "forgotten/";
/// Prefix of requests.
pub const ASKS: &str = "asks/";
/// Prefix of answers.
pub const ANSWERS: &str = "answers/";
/// Prefix of what is remembered of requests.
pub const REQUESTS: &str = "requests/";
/// Prefix of what stands about sites.
pub const SITES: &str = "sites/";
/// Key of the hold-downs.
pub const HOLDS: &str = "holds";
/// Key of the flaps.
pub const FLAPS: &str = "flaps";
/// Key of the sites in maintenance.
pub const MAINTENANCE: &str = "maintenance";
/// Key of the switches that are on.
pub const SWITCHES: &str = "switches";
/// Key of what the runs of the last day have left.
pub const MOVES: &str = "moves";
/// Key of the freeze.
pub const FREEZE: &str = "freeze";
/// Prefix of refused failovers.
pub const REFUSALS: &str = "refusals/";
/// Prefix of locks.
pub const LOCKS: &str = "locks/";
/// Prefix of the entries of the audit.
pub const AUDIT: &str = "audit/";
/// Key of the last entry of the audit.
pub const AUDITED: &str = "audited";
/// Key of what is known of the playbooks of `on_loss`.
pub const READINESS: &str = "readiness";
/// Prefix of looks.
pub const LOOKS: &str = "looks/";

/// Key of a member record.
pub fn member(id: &MemberId) -> String {
    format!("{MEMBERS}{id}")
}

/// Key of an observation.
pub fn observation(id: &MemberId) -> String {
    format!("{OBSERVATIONS}{id}")
}

/// Key of a run's head. The newest run has the smallest key, so that a list needs no more of the
/// store than it shows.
pub fn run(id: &RunId) -> String {
    let (epoch, number) = begun(id).unwrap_or_default();
    format!("{RUNS}{:016x}{:016x}/{id}", u64::MAX - epoch, u64::MAX - number)
}

/// The term that began a run, and the how manieth of it that run is; none if no leader gives such
/// a name.
pub fn begun(id: &RunId) -> Option<(u64, u64)> {
    let (epoch, number) = id.as_str().strip_prefix('r')?.split_once('-')?;
    let parsed = (epoch.parse().ok()?, number.parse().ok()?);
    // Only one way of writing it is a name.
    (format!("r{}-{}", parsed.0, parsed.1) == id.as_str()).then_some(parsed)
}

/// Key of a run that is being deleted.
pub fn forgotten(id: &RunId) -> String {
    format!("{FORGOTTEN}{id}")
}

/// Prefix of a run's journal.
pub fn journal(id: &RunId) -> String {
    format!("journals/{id}/")
}

/// Prefix of a hundred journal entries: of those from `100 * block` on.
pub fn entries(id: &RunId, block: u64) -> String {
    format!("journals/{id}/{block:06}")
}

/// Key of one journal entry.
pub fn entry(id: &RunId, sequence: u64) -> String {
    format!("journals/{id}/{sequence:08}")
}

/// Where a plan is kept.
pub fn plan(digest: &Digest) -> String {
    format!("{PLANS}{digest}")
}

/// Where a bundle is kept.
pub fn bundle(digest: &Digest) -> String {
    format!("bundles/{digest}")
}

/// Key of an entry of the audit.
pub fn audit(sequence: u64) -> String {
    format!("{AUDIT}{sequence:012}")
}

/// Prefix of a hundred entries of the audit: of those from `100 * block` on.
pub fn audits(block: u64) -> String {
    format!("{AUDIT}{block:010}")
}

/// Key of a lock.
pub fn lock(name: &str) -> String {
    format!("{LOCKS}{name}")
}

/// Key of a request.
pub fn ask(request: &str) -> String {
    format!("{ASKS}{request}")
}

/// Key of an answer.
pub fn answer(request: &str) -> String {
    format!("{ANSWERS}{request}")
}

/// Key of what is remembered of a request.
pub fn request(request: &str) -> String {
    format!("{REQUESTS}{request}")
}

/// Key of a look.
pub fn look(id: &str) -> String {
    format!("{LOOKS}{id}")
}

/// Prefix of what was seen in a look.
pub fn views(id: &str) -> String {
    format!("views/{id}/")
}

/// Key of what a member saw in a look.
pub fn view(id: &str, member: &MemberId) -> String {
    format!("views/{id}/{member}")
}

/// Key of what a look at the playbook of a site has found.
pub fn found(site: &SiteId) -> String {
    format!("found/{site}")
}

/// Key of a site's lease.
pub fn site_lease(site: &SiteId) -> String {
    format!("{SITES}{site}/lease")
}

/// Key of who enforces a site's lease.
pub fn site_roster(site: &SiteId) -> String {
    format!("{SITES}{site}/roster")
}

/// Key of what keeps a site from renewing its lease.
pub fn site_fenced(site: &SiteId) -> String {
    format!("{SITES}{site}/fenced")
}

/// Everything under [`SITES`].
///
/// # Errors
/// When a newer version wrote one of the records.
pub fn leases(kvs: &[crate::store::KeyValue]) -> Result<Leases, Unreadable> {
    let mut leases = Leases::default();
    for kv in kvs {
        match kv.key.strip_prefix(SITES).and_then(|rest| rest.split_once('/')) {
            Some((site, "lease")) => drop(leases.held.insert(site.into())),
            Some((site, "roster")) => drop(leases.rosters.insert(site.into(), decode(kv)?)),
            Some((site, "fenced")) => drop(leases.fenced.insert(site.into(), decode(kv)?)),
            _ => {}
        }
    }
    Ok(leases)
}

/// A plan to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// What everything of this look hangs on.
    pub lease: u64,
    /// What is to be looked at.
    pub request: look::Request,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The member.
    pub member: MemberId,
    /// Its site.
    pub site: SiteId,
    /// Its term.
    pub epoch: Epoch,
    /// Unique to this campaign.
    pub nonce: String,
    /// Where its gRPC interface is reached.
    pub address: String,
    /// Unix time in milliseconds at which it campaigned.
    pub since_ms: i64,
}

/// A live member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub id: MemberId,
    /// Its site.
    pub site: SiteId,
    /// Unique to this process.
    pub boot_id: String,
    /// Where its gRPC interface is reached.
    pub address: String,
    /// Its version.
    pub version: String,
    /// The digest of the bundle it has read.
    pub bundle: Option<Digest>,
}

/// A run in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its name.
    pub id: RunId,
    /// Where it stands.
    pub state: State,
    /// The playbook.
    pub playbook: PlaybookId,
    /// The site that is left.
    pub from: SiteId,
    /// The site that takes over.
    pub to: SiteId,
    /// Why.
    pub mode: Mode,
    /// The services that move.
    pub services: Vec<ServiceId>,
    /// The frozen plan.
    pub plan: Digest,
    /// The bundle of that plan.
    pub bundle: Digest,
    /// Who or what started it.
    pub started_by: Identity,
    /// Why.
    pub reason: String,
    /// The last entry of its journal.
    pub sequence: u64,
    /// The term that wrote it.
    pub epoch: Epoch,
    /// The campaign that wrote it: settles what an unclear answer leaves open.
    pub nonce: String,
    /// Unix time of creation in milliseconds.
    pub created_wall_ms: i64,
    /// Unix time of the last entry in milliseconds.
    pub wall_ms: i64,
    /// Time since creation.
    pub elapsed: Span,
    /// Whether a point of no return is crossed.
    pub crossed: bool,
    /// What people must decide.
    pub waits_for: Vec<String>,
    /// Steps that have ended, and all.
    pub progress: (usize, usize),
}

impl Head {
    /// The head of `run` as written by the campaign `nonce`.
    pub fn of(run: &Run, nonce: &str) -> Self {
        let request = &run.plan.request;
        Self {
            id: run.id.clone(),
            state: run.state(),
            playbook: request.playbook.clone(),
            from: request.from.clone(),
            to: request.to.clone(),
            mode: request.mode,
            services: run.plan.services.clone(),
            plan: run.plan_digest.clone(),
            bundle: run.plan.bundle.clone(),
            started_by: run.trigger.identity(),
            reason: run.trigger.reason(),
            sequence: run.sequence,
            epoch: run.epoch,
            nonce: nonce.to_owned(),
            created_wall_ms: run.created_wall_ms,
            wall_ms: run.wall_ms,
            elapsed: Span::ms(run.elapsed_ms),
            crossed: run.crossed,
            waits_for: shown(run.waits_for()),
            progress: (run.steps.len() - run.open(), run.steps.len()),
        }
    }
}

/// A run whose head is gone, until its journal is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Its name.
    pub id: RunId,
    /// The last entry of its journal.
    pub sequence: u64,
}

/// The first few, cut short: the head is written with every entry, and thousands of steps may wait.
fn shown(waits_for: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 20;
    const LONGEST: usize = 500;
    let more = waits_for.len().saturating_sub(SHOWN);
    let cut = waits_for.into_iter().take(SHOWN).map(|line| line.chars().take(LONGEST).collect());
    cut.chain((more > 0).then(|| format!("and {more} more"))).collect()
}

/// A request as it waits for the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The name in the certificate.
    pub by: Identity,
    /// What is wanted.
    pub ask: Ask,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

/// What is remembered of a request: the same again is answered as it was, another one with its
/// name is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Of the caller and all that it said.
    pub content: Digest,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The run it concerns, as it stood then.
    pub subject: Option<Subject>,
    /// Why it was not carried out.
    pub refusal: Option<Refusal>,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

impl Answered {
    /// From the controller's answer.
    pub fn new(answer: Result<Option<Subject>, Refusal>, wall_ms: i64) -> Self {
        match answer {
            Ok(subject) => Self { subject, refusal: None, wall_ms },
            Err(refusal) => Self { subject: None, refusal: Some(refusal), wall_ms },
        }
    }
}

/// A record that cannot be read: written by a newer version, or damaged.
#[derive(Debug, thiserror::Error)]
#[error(
    "the record {key} (revision {revision}) cannot be read: {source}; is every member of the same version?"
)]
pub struct Unreadable {
    key: String,
    revision: Revision,
    source: serde_json::Error,
}

/// A record as it is stored.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have only string keys")
}

/// A record as it was read.
pub fn decode<T: DeserializeOwned>(kv: &crate::store::KeyValue) -> Result<T, Unreadable> {
    serde_json::from_slice(&kv.value).map_err(|source| Unreadable {
        key: kv.key.clone(),
        revision: kv.mod_revision,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_comes_first() {
        let ids = ["r12-1", "r10-11", "r10-2", "r9-1", "r0-1"].map(RunId::new);
        let keys: Vec<String> = ids.iter().map(run).collect();
        assert!(keys.is_sorted(), "{keys:#?}");
        assert!(keys[0].ends_with("/r12-1"));
    }

    #[test]
    fn only_names_that_leaders_give_have_a_place() {
        assert_eq!(begun(&RunId::new("r7-12")), Some((7, 12)));
        for id in ["", "r7", "7-1", "r07-1", "r7-+1", "r7-1x", "shop-1"] {
            assert_eq!(begun(&RunId::new(id)), None, "{id}");
        }
    }

    #[test]
    fn a_block_has_a_hundred_entries() {
        let id = RunId::new("r7-1");
        for (sequence, block) in [(1, 0), (99, 0), (100, 1), (12_345, 123)] {
            assert!(entry(&id, sequence).starts_with(&entries(&id, block)), "{sequence}");
        }
    }
}
