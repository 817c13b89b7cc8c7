//! Sites that come and go, and sites that a run has left and that were not well since.
//!
//! A site goes down when it is judged lost or partitioned, and comes back only when it is judged
//! healthy: what is between the two is one loss, however often its verdict changes.

use super::Keep;
use crate::ids::{RunId, SiteId};
use crate::rules::Rules;
use crate::time::{Mono, Now, Span};
use crate::verdict::{Finding, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the ages are stored.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// How often sites went down, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaps {
    /// Sites that went down and were not healthy since.
    pub down: BTreeSet<SiteId>,
    /// How long ago each site went down, each time, on the clocks of those who led.
    pub ages: BTreeMap<SiteId, Vec<Span>>,
    /// Sites that went down too often: nothing leaves them or goes there by itself until a person
    /// acknowledges them.
    pub locked: BTreeSet<SiteId>,
    /// Sites that a run has left and that were not healthy since, by that run.
    pub left: BTreeMap<SiteId, RunId>,
}

/// That a site was locked, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The site.
    pub site: SiteId,
    /// How often it went down.
    pub times: u64,
    /// Within which time.
    pub within: Span,
}

impl Flaps {
    /// Grown older by `passed`, without what is older than `within`.
    fn aged(&self, passed: Duration, within: Span) -> Self {
        let mut aged = self.clone();
        for ages in aged.ages.values_mut() {
            ages.iter_mut().for_each(|age| *age = Span::from(age.0 + passed));
            ages.retain(|age| *age < within);
        }
        aged.ages.retain(|_, ages| !ages.is_empty());
        aged
    }
}

/// The flaps of this term, on this leader's clock.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    flaps: Flaps,
    /// When the ages were those.
    at: Mono,
    stored: Mono,
    changed: bool,
    /// Locks that nobody was told yet.
    news: Vec<Locked>,
}

impl Flapping {
    /// Goes on from what the leader before has stored.
    pub(super) fn from(flaps: Flaps, now: Now) -> Self {
        Self { flaps, at: now.mono, stored: now.mono, changed: false, news: Vec::new() }
    }

    /// Takes a judgement in.
    pub(super) fn see(&mut self, finding: &Finding, rules: &Rules, now: Now) {
        let site = &finding.site;
        match finding.verdict {
            Verdict::Healthy => {
                let back = self.flaps.down.remove(site);
                self.changed |= self.flaps.left.remove(site).is_some() || back;
            }
            Verdict::Lost | Verdict::Partitioned if self.flaps.down.insert(site.clone()) => {
                let within = rules.timing.flaps_within;
                self.age(within, now);
                let ages = self.flaps.ages.entry(site.clone()).or_default();
                ages.push(Span::default());
                let times = ages.len() as u64;
                if times >= u64::from(rules.timing.flaps) && self.flaps.locked.insert(site.clone()) {
                    self.news.push(Locked { site: site.clone(), times, within });
                }
                self.changed = true;
            }
            _ => {}
        }
    }

    fn age(&mut self, within: Span, now: Now) {
        self.flaps = self.flaps.aged(now.mono.since(self.at), within);
        self.at = now.mono;
    }

    /// A run leaves a site, or has left it.
    pub(super) fn leaves(&mut self, site: &SiteId, run: &RunId) {
        self.changed |= self.flaps.left.insert(site.clone(), run.clone()).as_ref() != Some(run);
    }

    /// A run has left it no more: it was taken back before anything was done, or another has come there.
    pub(super) fn returns(&mut self, site: &SiteId) {
        self.changed |= self.flaps.left.remove(site).is_some();
    }

    /// A person has looked at it; false if there was nothing to look at.
    pub(super) fn acknowledge(&mut self, site: &SiteId) -> bool {
        let locked = self.flaps.locked.remove(site);
        let acknowledged = self.flaps.left.remove(site).is_some() || locked;
        self.changed |= self.flaps.ages.remove(site).is_some() || acknowledged;
        acknowledged
    }

    /// Whether it is locked.
    pub(super) fn locks(&self, site: &SiteId) -> bool {
        self.flaps.locked.contains(site)
    }

    /// The run that has left it, if it was not healthy since.
    pub(super) fn left(&self, site: &SiteId) -> Option<&RunId> {
        self.flaps.left.get(site)
    }

    /// What is to be stored now, and told with it.
    pub(super) fn store(&mut self, within: Span, now: Now) -> Keep {
        self.age(within, now);
        (self.stored, self.changed) = (now.mono, false);
        Keep::Flaps { flaps: self.flaps.clone(), locked: std::mem::take(&mut self.news) }
    }

    /// What is to be stored, when it is time: at once when something changed, else so that the next
    /// leader counts on, not anew.
    pub(super) fn due(&mut self, within: Span, now: Now) -> Option<Keep> {
        let aged = !self.flaps.ages.is_empty() && now.mono.since(self.stored) >= STORE_EVERY;
        (self.changed || aged).then(|| self.store(within, now))
    }
}
