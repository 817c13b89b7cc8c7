//! What a member that is asked whether it is ready must know.

use crate::clock;
use crate::health::Health;
use crate::observer::Claim;
use crate::pulse::Pulse;
use crate::records::{JUDGEMENT, LEADER};
use crate::store::{Range, Store, StoreError};
use crate::watermark::Watermark;
use standfast_core::bundle::Bundle;
use standfast_core::ids::SiteId;
use standfast_core::time::{Mono, Span};
use standfast_core::timing::Timing;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// This member reads the current bundle.
pub const BUNDLE: &str = "bundle";
/// Somebody leads.
pub const LEADERSHIP: &str = "leader";
/// This process has its member's name, in a site of the fleet.
pub const MEMBER: &str = "member";
/// The store has confirmed a write of this member just now.
pub const STORE: &str = "store";

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What readiness is made of.
pub struct Deps {
    /// The site of this member.
    pub site: SiteId,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The current bundle.
    pub bundle: watch::Receiver<Option<Arc<Bundle>>>,
    /// When this member's last write was sent that the store has confirmed.
    pub confirmed: watch::Receiver<Option<Mono>>,
    /// Whether this process has its member's name.
    pub claim: watch::Receiver<Claim>,
    /// The highest epoch that this member has seen.
    pub watermark: Watermark,
}

/// Keeps `health` up to date until `stop`.
pub async fn keep(deps: Deps, health: Health, stop: CancellationToken) {
    let mut pulse = Pulse::default();
    let mut ticks = tokio::time::interval(EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        health.beat();
        let bundle = deps.bundle.borrow().clone();
        let timing = bundle.as_ref().map_or_else(Timing::default, |bundle| bundle.fleet.timing);
        say(&health, MEMBER, member(&deps, bundle.as_deref()));
        let known = match bundle {
            Some(_) => Ok(()),
            None => Err("no bundle is applied; do: standfast apply DIRECTORY".to_owned()),
        };
        say(&health, BUNDLE, known);
        say(&health, STORE, confirmed(&deps, &timing));
        let led = led(&*deps.store, &mut pulse, &timing).await;
        // What keeps this member from leading says more than that nobody does.
        let regressed = deps.watermark.regressed().map(|why| why.to_string());
        say(&health, LEADERSHIP, led.map_err(|nobody| regressed.unwrap_or(nobody)));
    }
}

fn say(health: &Health, condition: &'static str, state: Result<(), String>) {
    match state {
        Ok(()) => health.ready(condition),
        Err(why) => health.not_ready(condition, why),
    }
}

fn member(deps: &Deps, bundle: Option<&Bundle>) -> Result<(), String> {
    match &*deps.claim.borrow() {
        Claim::Unknown => return Err("not registered yet; see: standfast member list".to_owned()),
        Claim::Held(why) | Claim::Taken(why) => return Err(why.clone()),
        Claim::Mine => {}
    }
    let Some(fleet) = bundle.map(|bundle| &bundle.fleet) else { return Ok(()) };
    if fleet.sites.contains_key(&deps.site) {
        return Ok(());
    }
    let known: Vec<&str> = fleet.sites.keys().map(SiteId::as_str).collect();
    let known = known.join(", ");
    Err(format!("the fleet has no site {}, it has {known}: nothing that this member says counts", deps.site))
}

fn confirmed(deps: &Deps, timing: &Timing) -> Result<(), String> {
    match deps.confirmed.borrow().map(|at| Span::from(clock::now().mono.since(at))) {
        Some(age) if age <= timing.freshness => Ok(()),
        Some(age) => Err(format!("no write was confirmed for {age}; see: standfast status")),
        None => Err("no write was confirmed yet; see: standfast status".to_owned()),
    }
}

/// Whether somebody holds the leader key, and beats.
async fn led(store: &dyn Store, pulse: &mut Pulse, timing: &Timing) -> Result<(), String> {
    let read = async {
        Ok::<_, StoreError>((
            store.range(Range::key(LEADER)).await?,
            store.range(Range::key(JUDGEMENT)).await?,
        ))
    };
    let (leader, judgement) = match tokio::time::timeout(PATIENCE, read).await {
        Ok(read) => read.map_err(|error| error.to_string())?,
        Err(_) => return Err("the store does not answer".to_owned()),
    };
    let Some(held) = leader.kvs.first() else { return Err("nobody leads".to_owned()) };
    pulse.saw(judgement.kvs.first().map_or(0, |kv| kv.mod_revision).max(held.mod_revision));
    match pulse.silent(timing) {
        Some(silence) => Err(format!("nobody leads: the last leader has not beaten for {silence}")),
        None => Ok(()),
    }
}
