//! Proves that a site is fenced because its lease ended: waits out the margin, then writes that it
//! is fenced in a transaction that finds no lease. From then on nobody renews it.

use super::SiteLeases;
use crate::clock;
use crate::guarded::{Committed, Guarded};
use crate::records;
use crate::store::{Compare, Op};
use crate::term;
use standfast_core::audit::Fact;
use standfast_core::ids::{Epoch, RunId, SiteId};
use standfast_core::site_lease::{Expiry, Fenced};
use standfast_core::timing::Timing;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How often an answer is looked for while a lease is still held.
const LOOK: Duration = Duration::from_millis(200);

/// What a leader knows of the ends of site leases, and its right to fence.
#[derive(Clone)]
pub struct Fences {
    guarded: Guarded,
    epoch: Epoch,
    timing: Timing,
    expiries: watch::Receiver<BTreeMap<SiteId, Expiry>>,
    leases: SiteLeases,
}

impl std::fmt::Debug for Fences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fences").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Fences {
    /// Of a term.
    pub fn new(deps: &term::Deps, expiries: watch::Receiver<BTreeMap<SiteId, Expiry>>) -> Self {
        Self {
            guarded: deps.guarded.clone(),
            epoch: deps.epoch,
            timing: deps.bundle.borrow().as_ref().map_or_else(Timing::default, |bundle| bundle.fleet.timing),
            expiries,
            leases: deps.leases.clone(),
        }
    }

    /// Whether `site` is fenced already, or why its lease will prove nothing; none when it may.
    pub fn seen(&self, site: &SiteId) -> Option<Result<String, String>> {
        match self.expiries.borrow().get(site) {
            Some(Expiry::Fenced(evidence)) => Some(Ok(evidence.clone())),
            Some(Expiry::Unproven(why)) => Some(Err(why.clone())),
            Some(Expiry::Held | Expiry::Proves { .. }) | None => None,
        }
    }

    /// Fences `site` for `run`, by `deadline`.
    ///
    /// # Errors
    /// Why it is not proven to be fenced.
    pub async fn prove(&self, site: &SiteId, run: &RunId, deadline: Instant) -> Result<String, String> {
        let mut expiries = self.expiries.clone();
        loop {
            let expiry = expiries.borrow_and_update().get(site).cloned();
            match expiry {
                Some(Expiry::Fenced(evidence)) => return Ok(evidence),
                Some(Expiry::Unproven(why)) => return Err(why),
                Some(Expiry::Proves { from, evidence }) => {
                    let from = from.max(self.leases.free_from(site, &self.timing));
                    let left = from.since(clock::now().mono);
                    if left.is_zero() {
                        return self.fence(site, run, &evidence).await;
                    }
                    if Instant::now() + left > deadline {
                        return Err(format!("the margin beyond the end of {site}'s lease has not passed"));
                    }
                    // The lease may come back meanwhile, so it is looked at again.
                    let _ = timeout_at(Instant::now() + left.min(LOOK), expiries.changed()).await;
                }
                Some(Expiry::Held) | None => match timeout_at(deadline, expiries.changed()).await {
                    Ok(Ok(())) => {}
                    _ => return Err(format!("the lease of {site} is held")),
                },
            }
        }
    }

    async fn fence(&self, site: &SiteId, run: &RunId, evidence: &str) -> Result<String, String> {
        let fenced = Fenced { run: run.clone(), epoch: self.epoch, wall_ms: clock::wall_ms() };
        let txn = self
            .guarded
            .txn()
            .when(Compare::absent(records::site_lease(site)))
            .then(Op::put(records::site_fenced(site), records::encode(&fenced)));
        let fact = Fact::Fenced { site: site.clone(), run: run.clone() };
        match self.guarded.record(txn, vec![fact], Vec::new()).await {
            Ok(Committed::Written(_)) => Ok(format!("{evidence}; it cannot be renewed any more")),
            Ok(Committed::Compared(_)) => Err(format!("the lease of {site} is held again")),
            Err(lost) => Err(lost.to_string()),
        }
    }
}
