//! Hold-downs: how long sites are left alone after a run.

use crate::ids::SiteId;
use crate::time::{Mono, Now, Span};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often what is left is stored.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// Until when each site is held down, on this leader's clock.
#[derive(Debug, Default)]
pub(super) struct Holds {
    until: BTreeMap<SiteId, Mono>,
    stored: Mono,
}

impl Holds {
    /// Goes on with what the leader before had left.
    pub(super) fn loaded(left: BTreeMap<SiteId, Span>, now: Now) -> Self {
        let mut holds = Self { stored: now.mono, ..Self::default() };
        holds.begin(left, now);
        holds
    }

    /// Holds these sites down from now.
    pub(super) fn begin(&mut self, spans: impl IntoIterator<Item = (SiteId, Span)>, now: Now) {
        self.until.extend(spans.into_iter().map(|(site, span)| (site, now.mono + span.0)));
    }

    /// Holds those of these sites down from now that are held down.
    pub(super) fn renew(&mut self, spans: impl IntoIterator<Item = (SiteId, Span)>, now: Now) {
        let held = spans.into_iter().filter(|(site, _)| self.until.contains_key(site));
        let held: Vec<_> = held.collect();
        self.begin(held, now);
    }

    /// Ends one; false if there was none.
    pub(super) fn end(&mut self, site: &SiteId) -> bool {
        self.until.remove(site).is_some()
    }

    /// What is left for a site.
    pub(super) fn of(&self, site: &SiteId, now: Now) -> Option<Span> {
        let until = self.until.get(site)?;
        Some(Span::from(until.since(now.mono))).filter(|left| *left > Span::default())
    }

    /// What is left, of all.
    pub(super) fn left(&self, now: Now) -> BTreeMap<SiteId, Span> {
        self.until.keys().filter_map(|site| Some((site.clone(), self.of(site, now)?))).collect()
    }

    /// What is left, when it is time to store it, so that the next leader counts on, not anew.
    pub(super) fn due(&mut self, now: Now) -> Option<BTreeMap<SiteId, Span>> {
        if self.until.is_empty() || now.mono.since(self.stored) < STORE_EVERY {
            return None;
        }
        self.stored = now.mono;
        let left = self.left(now);
        self.until.retain(|site, _| left.contains_key(site));
        Some(left)
    }
}
