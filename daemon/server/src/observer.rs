//! Watches every site from here: runs probes in rounds, publishes what this member thinks.
//!
//! A round of a site asks all its probes at once; the core makes votes of rounds. Publishing is
//! a transaction guarded by this member's own lease, so its success is the proof, with an age,
//! that this member is not cut off from the store.

use crate::clock;
use crate::condition::{Env, evaluate};
use crate::lead::Me;
use crate::metrics::Metrics;
use crate::store::Store;
use futures::future::join_all;
use rand::Rng as _;
use standfast_core::bundle::Bundle;
use standfast_core::check::{Answer, Check};
use standfast_core::ids::SiteId;
use standfast_core::rules::OnLoss;
use standfast_core::time::{Mono, Now, Span};
use standfast_core::timing::Timing;
use standfast_core::vote::{Observation, Probed, Views, Vote};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

mod membership;

pub use membership::Claim;
use membership::{Claimant, Membership};

/// What observing needs.
#[derive(Clone)]
pub struct Deps {
    /// Who this member is.
    pub me: Me,
    /// The store.
    pub store: Arc<dyn Store>,
    /// What conditions need.
    pub env: Env,
    /// Where figures go.
    pub metrics: Metrics,
    /// How many probes may be in flight at once.
    pub at_once: Arc<Semaphore>,
    /// Age of the last confirmed transaction, for readiness.
    pub confirmed: watch::Sender<Option<Mono>>,
    /// Whether every destination of `on_loss` is UP from here.
    pub reaches: watch::Sender<bool>,
    /// Whether this member has its name.
    pub claim: watch::Sender<Claim>,
}

/// What is known here and now.
#[derive(Default)]
struct Seen {
    views: Views,
    canaries: usize,
    loop_lag: Duration,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Seen>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

/// Observes under each bundle in turn, until `shutdown`; then gives the member's lease back.
pub async fn run(deps: Deps, mut bundle: watch::Receiver<Option<Arc<Bundle>>>, shutdown: CancellationToken) {
    let mut sequence = 0;
    let mut claimant = Claimant::new(&deps);
    while !shutdown.is_cancelled() {
        let current = bundle.borrow_and_update().clone();
        let stop = shutdown.child_token();
        let seen = Shared(Arc::default());
        let timing = current.as_ref().map_or_else(Timing::default, |bundle| bundle.fleet.timing);
        if let Some(current) = &current {
            tracing::info!(bundle = current.digest.short(), "observing");
            if !current.fleet.sites.contains_key(&deps.me.site) {
                tracing::error!(site = %deps.me.site, "the fleet has no such site: nothing that this member says counts");
            }
            watch_sites(&deps, current, &seen, &stop);
        }
        let digest = current.as_ref().map(|bundle| bundle.digest.clone());
        let destinations = current.as_ref().map_or_else(Vec::new, |bundle| bundle.rules().on_loss.clone());
        let publish = publish(&mut claimant, &seen, timing, digest, &destinations, &mut sequence, &stop);
        tokio::select! {
            () = publish => {}
            changed = bundle.changed() => if changed.is_err() { shutdown.cancelled().await },
        }
        stop.cancel();
    }
}

/// Starts one task for each site, one for the canaries and one for the databases.
fn watch_sites(deps: &Deps, bundle: &Bundle, seen: &Shared, stop: &CancellationToken) {
    let timing = bundle.fleet.timing;
    for (site, checks) in bundle.fleet.probes() {
        tokio::spawn(stop.clone().run_until_cancelled_owned(rounds(
            deps.clone(),
            seen.clone(),
            timing,
            site,
            checks,
        )));
    }
    let canaries = bundle.fleet.canaries();
    if !canaries.is_empty() {
        tokio::spawn(stop.clone().run_until_cancelled_owned(count(
            deps.clone(),
            seen.clone(),
            timing,
            canaries,
        )));
    }
    tokio::spawn(stop.clone().run_until_cancelled_owned(lateness(deps.clone(), seen.clone())));
    let servers = bundle.fleet.databases().into_values().flat_map(std::collections::BTreeMap::into_values);
    deps.env.clusters.set_servers(servers);
    let (env, stop) = (deps.env.clone(), stop.clone());
    tokio::spawn(async move {
        crate::condition::lag::keep_sampling(&env, timing.interval.0, timing.timeout.0, stop).await;
    });
}

/// Rounds begin on time, whatever the last one took; the first after a random part of the
/// interval, so that members do not ask in step.
async fn rounds(deps: Deps, seen: Shared, timing: Timing, site: SiteId, checks: Vec<Check>) {
    let jitter = timing.interval.0.mul_f64(rand::rng().random::<f64>());
    tokio::time::sleep(jitter).await;
    let mut due = interval(timing.interval.0);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let round = join_all(checks.iter().map(|check| probe(&deps, &site, check, timing.timeout.0))).await;
        seen.lock().views.on_round(&site, &round, &timing, clock::now());
    }
}

async fn probe(deps: &Deps, site: &SiteId, check: &Check, within: Duration) -> Probed {
    let _permit = deps.at_once.acquire().await.expect("the semaphore is never closed");
    let began = Instant::now();
    let answer = evaluate(check, &deps.env, within).await;
    let kind = check.kind();
    let result = match &answer {
        Answer::Holds(_) => "holds",
        Answer::Fails(_) => "fails",
        Answer::Unknown(_) => "unknown",
    };
    deps.metrics.probed(site.as_str(), &kind.to_string(), result, began.elapsed());
    Probed { name: check.to_string(), kind, answer }
}

async fn count(deps: Deps, seen: Shared, timing: Timing, canaries: Vec<Check>) {
    let mut due = interval(timing.interval.0);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let answers =
            join_all(canaries.iter().map(|check| evaluate(check, &deps.env, timing.timeout.0))).await;
        seen.lock().canaries = answers.iter().filter(|answer| answer.holds()).count();
    }
}

/// How late a timer of 100 ms fires: the worst of the last ten.
async fn lateness(deps: Deps, seen: Shared) {
    const STEP: Duration = Duration::from_millis(100);
    let mut last = [Duration::ZERO; 10];
    for at in (0..last.len()).cycle() {
        let before = clock::boot();
        tokio::time::sleep(STEP).await;
        last[at] = clock::boot().saturating_sub(before + STEP);
        let worst = last.iter().max().copied().unwrap_or_default();
        deps.metrics.set_event_loop_lag(worst);
        seen.lock().loop_lag = worst;
    }
}

/// Keeps the member's lease and publishes; until `stop`, when the lease is given back.
async fn publish(
    claimant: &mut Claimant<'_>,
    seen: &Shared,
    timing: Timing,
    bundle: Option<standfast_core::ids::Digest>,
    destinations: &[OnLoss],
    sequence: &mut u64,
    stop: &CancellationToken,
) {
    let deps = claimant.deps;
    let mut due = interval(timing.publish.0);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut membership: Option<Membership> = None;
    let mut confirmed: Option<Mono> = None;
    let limit = timing.renew.0;
    while stop.run_until_cancelled(due.tick()).await.is_some() {
        if membership.is_none() {
            membership = claimant.join(timing, bundle.clone()).await;
        }
        let Some(joined) = &membership else { continue };
        *sequence += 1;
        let sent = clock::now();
        let observation = observation(deps, seen, *sequence, confirmed, sent);
        let up = |site: &SiteId| observation.sites.get(site).is_some_and(|opinion| opinion.vote == Vote::Up);
        deps.reaches.send_replace(destinations.iter().all(|entry| up(&entry.to)));
        match timeout(limit, joined.publish(deps, &observation)).await {
            Ok(Ok(Some(held))) => {
                claimant.unheard.over();
                seen.lock().views.on_leases(held);
                confirmed = Some(sent.mono);
            }
            Ok(Ok(None)) => membership = None,
            Ok(Err(error)) => claimant.unheard.met(error),
            Err(_) => claimant.unheard.met(format!("no answer within {}", Span::from(limit))),
        }
        deps.confirmed.send_replace(confirmed);
    }
    if let Some(joined) = membership {
        let _ = timeout(limit, deps.store.lease_revoke(joined.lease)).await;
    }
}

fn observation(deps: &Deps, seen: &Shared, sequence: u64, confirmed: Option<Mono>, now: Now) -> Observation {
    let seen = seen.lock();
    Observation {
        member: deps.me.id.clone(),
        site: deps.me.site.clone(),
        boot_id: deps.me.boot_id.clone(),
        sequence,
        // Before the first confirmation nothing this member says is fresh.
        store_age: confirmed.map_or(Span::secs(3_600), |at| now.mono.since(at).into()),
        canaries: seen.canaries,
        loop_lag: seen.loop_lag.into(),
        sites: seen.views.opinions(now),
    }
}
