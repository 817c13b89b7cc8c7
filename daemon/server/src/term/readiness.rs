//! Looks now and then whether what `on_loss` names could run, from every member's site.
//!
//! A look is for quiet times. It is not begun while a run lives, it is given up when one begins,
//! and it leaves a site alone that is not well: what was found before the fire is what counts
//! then, for as long as it counts.

use super::Input;
use crate::clock;
use crate::guarded::Guarded;
use crate::look::{self, Looker, history};
use crate::metrics::Metrics;
use crate::records;
use crate::store::Op;
use standfast_core::bind::bind;
use standfast_core::bundle::Bundle;
use standfast_core::controller::{Input as Ctl, Judgement};
use standfast_core::date::Date;
use standfast_core::ids::SiteId;
use standfast_core::look::{Found, join};
use standfast_core::plan::{Mode, Request};
use standfast_core::predict::predict;
use standfast_core::readiness::{Readiness, Standing};
use standfast_core::rules::OnLoss;
use standfast_core::verdict::Verdict;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After the begin of a term or a new bundle, before the first look: all members should be there,
/// and the first judgement. Also between two tries while a site is not well.
const SETTLE: Duration = Duration::from_secs(10);

/// The most that is stored of what one look finds: the worst stands first.
const KEPT: usize = 200;

/// What looking takes.
pub(super) struct Keeper {
    pub(super) looker: Looker,
    pub(super) guarded: Guarded,
    pub(super) metrics: Metrics,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) judged: watch::Receiver<Judgement>,
    pub(super) running: watch::Receiver<bool>,
    pub(super) stop: CancellationToken,
}

/// Looks until the term ends.
pub(super) async fn keep(mut keeper: Keeper) {
    let stop = keeper.stop.clone();
    stop.run_until_cancelled(keeper.rounds()).await;
}

impl Keeper {
    async fn rounds(&mut self) {
        let mut bundles = self.looker.bundle.clone();
        let mut findings: BTreeMap<SiteId, (Standing, Vec<[String; 3]>)> = BTreeMap::new();
        // When each is looked at next; one that is not named is due.
        let mut due: BTreeMap<SiteId, Instant> = BTreeMap::new();
        let mut next = Instant::now() + SETTLE;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                changed = bundles.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    due.clear();
                    next = next.min(Instant::now() + SETTLE);
                    continue;
                }
            }
            next = Instant::now() + SETTLE;
            let Some(bundle) = bundles.borrow_and_update().clone() else { continue };
            let rules = bundle.rules();
            findings.retain(|site, _| rules.on_loss(site).is_some());
            let aged = OnceCell::new();
            for entry in &rules.on_loss {
                let now = Instant::now();
                if due.get(&entry.site).is_some_and(|due| *due > now) {
                    continue;
                }
                let again = match self.found(&bundle, entry, &aged).await {
                    None => SETTLE,
                    Some((readiness, found)) => {
                        let labels = found.iter().map(|one| labels(entry, one)).collect();
                        let before = findings.insert(entry.site.clone(), (readiness.standing, labels));
                        told(&readiness, before.map(|(standing, _)| standing));
                        self.keep(readiness, found).await;
                        rules.readiness.every.0
                    }
                };
                due.insert(entry.site.clone(), now + again);
            }
            next =
                rules.on_loss.iter().filter_map(|entry| due.get(&entry.site)).min().map_or(next, |due| *due);
            let mut counts: BTreeMap<[String; 3], u64> = BTreeMap::new();
            for labels in findings.values().flat_map(|(_, labels)| labels) {
                *counts.entry(labels.clone()).or_default() += 1;
            }
            self.metrics.set_findings(&counts);
        }
    }

    /// What a look finds; none when now is not the time for one.
    async fn found(
        &mut self,
        bundle: &Arc<Bundle>,
        entry: &OnLoss,
        aged: &OnceCell<Vec<Found>>,
    ) -> Option<(Readiness, Vec<Found>)> {
        if *self.running.borrow_and_update() || !self.is_well(&entry.site) {
            return None;
        }
        let wall_ms = clock::wall_ms();
        let request = Request {
            playbook: entry.playbook.clone(),
            from: entry.site.clone(),
            to: entry.to.clone(),
            mode: Mode::Emergency,
            inputs: BTreeMap::new(),
        };
        // An applied bundle has been linted; a plan that does not bind was refused then.
        let plan = bind(bundle, &request).ok()?;
        let looking = async {
            tokio::join!(self.looker.look(bundle, &plan), history(&*self.looker.store, &entry.playbook))
        };
        let (looked, history) = tokio::select! {
            found = looking => found,
            _ = self.running.wait_for(|running| *running) => return None,
        };
        let mut seen = join(&plan, &looked);
        let prediction = predict(&plan, &history, &bundle.fleet.timing);
        seen.add(prediction.trouble(entry.playbook.as_str()));
        let today = Date::of_wall_ms(wall_ms);
        seen.add(aged.get_or_init(|| look::aged(bundle.clone(), today)).await.iter().cloned());
        Some((Readiness::of(&plan, &seen, wall_ms), seen.troubles))
    }

    fn is_well(&self, site: &SiteId) -> bool {
        let judgement = self.judged.borrow();
        let judged = judgement.sites.iter().find(|judged| judged.finding.site == *site);
        judged.is_some_and(|judged| matches!(judged.finding.verdict, Verdict::Healthy | Verdict::Degraded))
    }

    /// Stores what was found, then lets the controller know.
    async fn keep(&self, readiness: Readiness, mut found: Vec<Found>) {
        found.truncate(KEPT);
        let put = Op::put(records::found(&readiness.site), records::encode(&found));
        if let Err(lost) = self.guarded.put(vec![put]).await {
            return tracing::debug!(%lost, "what was found is not stored");
        }
        let _ = self.inputs.send(Input::Control(Ctl::Looked(Box::new(readiness))));
    }
}

fn labels(entry: &OnLoss, found: &Found) -> [String; 3] {
    let trouble = &found.trouble;
    [entry.playbook.to_string(), trouble.kind.to_string(), trouble.severity.to_string()]
}

/// Says when a look finds otherwise than the one before.
fn told(readiness: &Readiness, before: Option<Standing>) {
    let Readiness { site, playbook, standing, worst, .. } = readiness;
    match (before, standing) {
        (Some(before), _) if before == *standing => {}
        (_, Standing::NotReady) => {
            tracing::warn!(%site, %playbook, worst, "were the site lost, its playbook could not run");
        }
        (Some(before), _) => {
            tracing::info!(%site, %playbook, %before, now = %standing, "the readiness has changed")
        }
        (None, _) => {}
    }
}
