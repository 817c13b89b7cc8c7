//! The lease of a site: only while it is renewed may the site serve.
//!
//! Members inside a site renew it in the store; sentries on its data hosts stop what writes when
//! nobody tells them in time that it was renewed. So a lease that ended proves a fence, if sentries
//! were there to enforce it: the leader waits a margin beyond its end, then writes that the site is
//! fenced in a transaction that finds no lease, and nobody renews a site that is fenced.
//!
//! Losing the store is not losing a site: see [`keeper`] and [`promise`].

pub mod keeper;
pub mod promise;

use crate::ids::{Digest, Epoch, MemberId, RunId, SentryId, ServiceId, SiteId};
use crate::rules::Rules;
use crate::time::{Mono, Now, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the fleet says of a sentry to those who decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarding {
    /// Names its steps.
    pub steps: Digest,
    /// The services that it stops.
    pub services: BTreeSet<ServiceId>,
}

/// Who enforces the lease of a site, as known when it was renewed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Who renewed it.
    pub member: MemberId,
    /// The sentries that were heard, by any member that told this one.
    pub sentries: BTreeMap<SentryId, Report>,
}

/// What a sentry said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Names the steps that it would run.
    pub steps: Digest,
    /// How long ago it was heard.
    pub heard: Span,
    /// Whether its site may serve, as far as it is concerned.
    pub state: crate::sentry::State,
    /// Why what it tried last did not work, if it did not.
    pub failed: Option<String>,
}

/// A site that may not come back by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// For which run.
    pub run: RunId,
    /// Under which term.
    pub epoch: Epoch,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

/// What one read of the store says about the leases of all sites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// Sites whose lease is held.
    pub held: BTreeSet<SiteId>,
    /// Who enforces each, as last known.
    pub rosters: BTreeMap<SiteId, Roster>,
    /// Sites that are fenced.
    pub fenced: BTreeMap<SiteId, Fenced>,
}

/// Whether the end of a site's lease proves that it cannot write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The site is fenced already; in words.
    Fenced(String),
    /// The lease is held, or was when the store was read last.
    Held,
    /// It ended, and that proves nothing; why.
    Unproven(String),
    /// It ended, and proves the fence from then on.
    Proves {
        /// On our clock.
        from: Mono,
        /// What it stands on.
        evidence: String,
    },
}

/// The leases of all sites over time, as a leader sees them; made anew with each term.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    leases: Leases,
    absent: BTreeMap<SiteId, Mono>,
}

impl Registry {
    /// The store was read; the answer came at `received`, on our clock.
    pub fn on_read(&mut self, leases: Leases, received: Mono) {
        self.absent.retain(|site, _| !leases.held.contains(site));
        // Whoever has a roster had a lease once.
        for site in leases.rosters.keys().filter(|site| !leases.held.contains(*site)) {
            self.absent.entry(site.clone()).or_insert(received);
        }
        self.leases = leases;
    }

    /// What was read last.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// What the end of the lease of `site` proves. `seen` says whether anybody who sees the site
    /// down has seen its lease held when that began.
    pub fn expiry(&self, site: &SiteId, seen: bool, rules: &Rules) -> Expiry {
        if let Some(Fenced { run, epoch, .. }) = self.leases.fenced.get(site) {
            return Expiry::Fenced(format!(
                "{site} is fenced since run {run}, epoch {epoch}: its lease cannot be renewed"
            ));
        }
        if self.leases.held.contains(site) {
            return Expiry::Held;
        }
        let enforced = enforced_by_sentries(site, rules, self.leases.rosters.get(site));
        let (evidence, ended) = match (enforced, self.absent.get(site)) {
            (Ok(evidence), Some(ended)) => (evidence, *ended),
            (Err(why), _) => return Expiry::Unproven(why),
            (Ok(_), None) => return Expiry::Unproven(format!("{site} never had a lease")),
        };
        if !seen {
            return Expiry::Unproven(format!(
                "the lease of {site} had ended before anybody saw the site down: what ended it is not known"
            ));
        }
        let from = ended + rules.timing.margin.0;
        Expiry::Proves { from, evidence: format!("the lease of {site} ended; {evidence}") }
    }
}

/// What stops the services of `site` when it is cut off; why nothing does.
pub fn enforced(site: &SiteId, rules: &Rules, leases: &Leases) -> Result<String, String> {
    if rules.power_off.contains(site) {
        return Ok(format!("the power of {site} can be cut"));
    }
    enforced_by_sentries(site, rules, leases.rosters.get(site))
}

fn enforced_by_sentries(site: &SiteId, rules: &Rules, roster: Option<&Roster>) -> Result<String, String> {
    let unguarded = rules.unguarded(site);
    let Some(sentries) = rules.sentries.get(site) else {
        return Err(format!("nothing stops what writes in {site} when it is cut off: it has no sentry"));
    };
    if !unguarded.is_empty() {
        let names: Vec<&str> = unguarded.iter().map(|service| service.as_str()).collect();
        return Err(format!("no sentry in {site} guards {}", names.join(", ")));
    }
    let Some(roster) = roster else {
        return Err(format!("the lease of {site} was never renewed"));
    };
    for (name, wanted) in sentries {
        if let Some(trouble) = trouble(roster.sentries.get(name), &wanted.steps, rules) {
            return Err(format!("sentry {name} of {site} {trouble}"));
        }
    }
    let names: Vec<&str> = sentries.keys().map(SentryId::as_str).collect();
    Ok(format!("enforced by {}", names.join(", ")))
}

/// Why a sentry proves nothing, if so, by what it said before the lease was renewed last.
pub fn trouble(report: Option<&Report>, steps: &Digest, rules: &Rules) -> Option<String> {
    let Some(report) = report else {
        return Some("was not heard when its lease was renewed last".into());
    };
    if report.heard > rules.timing.isolate {
        return Some(format!("had been silent for {} when its lease was renewed last", report.heard));
    }
    if report.steps != *steps {
        return Some("has other steps than this fleet: give it the file anew".into());
    }
    report.failed.as_ref().map(|why| format!("cannot do what it should: {why}"))
}

/// How long a sentry has for its steps: it begins `isolate` after the last renewal, and must have
/// ended when the lease has, and the margin.
pub fn time_to_isolate(timing: &crate::timing::Timing) -> Span {
    let whole = timing.site_ttl.0 + timing.margin.0;
    whole.saturating_sub(timing.isolate.0).saturating_sub(crate::sentry::TICK).into()
}

/// Whether a renewal that was confirmed at `at` still lets a site serve.
pub fn serves(at: Option<Mono>, isolate: Span, now: Now) -> bool {
    at.is_some_and(|at| now.mono < at + isolate.0)
}

#[cfg(test)]
#[path = "site_lease_test.rs"]
mod tests;
