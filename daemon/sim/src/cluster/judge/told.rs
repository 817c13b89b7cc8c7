//! What the judge knows of sites and of what people have ordered: from the world itself, and from what
//! was answered. What a run may not do then stands in [`super::promise`].

use crate::cluster::net::SITES;
use crate::cluster::store::{Key, Op, Part, Store, Value};
use standfast_core::controller::{Ask, Keep};
use standfast_core::ids::SiteId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// By how much clocks may differ, in per cent: what lasts is over a little earlier.
const DRIFT: u32 = 99;

/// So long everything has been well before the store is lost.
const CALM: Duration = Duration::from_secs(20);

/// What it knows.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Told {
    /// Until when nothing may begin by itself.
    frozen: Option<Duration>,
    maintained: BTreeMap<SiteId, Duration>,
    /// Whether the switch is on.
    pub(super) switched: bool,
    /// When each site went down, as far as that was kept, since somebody has acknowledged it.
    pub(super) downs: BTreeMap<SiteId, u32>,
    down: BTreeSet<SiteId>,
    /// When a look at what leaves a site last found that it could run.
    pub(super) ready: BTreeMap<SiteId, Duration>,
    /// When the sentry of a site was last heard by a member there.
    pub(super) heard: [Duration; SITES],
    /// When the lease of a site was last renewed.
    pub(super) renewed: [Duration; SITES],
    /// Since when a site is not well in the eyes of the witness, or in its own.
    pub(super) ill: [Option<Duration>; SITES],
    /// What is at fault beside endpoints of the store, counted, and when that last changed.
    faults: u32,
    stirred: Duration,
    /// Since when a site has lost the world outside.
    pub(super) blind: [Option<Duration>; SITES],
}

impl Told {
    /// A sentry was heard.
    pub(in crate::cluster) fn heard(&mut self, site: usize, now: Duration) {
        self.heard[site] = now;
    }

    /// A fault begins or ends.
    pub(in crate::cluster) fn stirs(&mut self, begins: bool, now: Duration) {
        self.faults = if begins { self.faults + 1 } else { self.faults.saturating_sub(1) };
        self.stirred = now;
    }

    /// Whether nothing but the store was at fault since a while before it was lost.
    pub(super) fn only_store(&self, lost: Duration) -> bool {
        self.faults == 0 && self.stirred + CALM <= lost
    }

    /// It was looked whether a site could be left.
    pub(in crate::cluster) fn looked(&mut self, site: &SiteId, ready: bool, now: Duration) {
        if ready {
            self.ready.insert(site.clone(), now);
        }
    }

    /// How a site stands.
    pub(in crate::cluster) fn stands(&mut self, site: usize, (ill, blind): (bool, bool), now: Duration) {
        let since = |at: &mut Option<Duration>, is: bool| *at = is.then(|| at.unwrap_or(now));
        since(&mut self.ill[site], ill);
        since(&mut self.blind[site], blind);
    }

    pub(super) fn is_frozen(&self, now: Duration) -> bool {
        self.frozen.is_some_and(|until| now < until)
    }

    pub(super) fn is_maintained(&self, site: &SiteId, now: Duration) -> bool {
        self.maintained.get(site).is_some_and(|until| now < *until)
    }

    /// Something was asked: what ends an order may do so from now on.
    pub(super) fn asked(&mut self, ask: &Ask) {
        match ask {
            Ask::Thaw { .. } => self.frozen = None,
            Ask::Release { site, .. } => drop(self.maintained.remove(site)),
            Ask::Switch { on: true, .. } => self.switched = true,
            Ask::Acknowledge { site, .. } => drop(self.downs.remove(site)),
            _ => {}
        }
    }

    /// It was answered that it is so; `waiting` is what else is asked.
    pub(super) fn answered<'a>(
        &mut self,
        ask: &Ask,
        mut waiting: impl Iterator<Item = &'a Ask>,
        now: Duration,
    ) {
        let until = |left: &Option<standfast_core::time::Span>| match left {
            Some(left) => now + left.0 * DRIFT / 100,
            None => Duration::MAX,
        };
        match ask {
            Ask::Freeze { left, .. } if !waiting.any(|ask| matches!(ask, Ask::Thaw { .. })) => {
                self.frozen = self.frozen.max(Some(until(left)));
            }
            Ask::Maintain { site, left, .. }
                if !waiting.any(|ask| matches!(ask, Ask::Release { site: other, .. } if other == site)) =>
            {
                let old = self.maintained.entry(site.clone()).or_default();
                *old = until(left).max(*old);
            }
            Ask::Switch { on: false, .. }
                if !waiting.any(|ask| matches!(ask, Ask::Switch { on: true, .. })) =>
            {
                self.switched = false;
            }
            ask => self.asked(ask),
        }
    }

    /// The store is what it was before: orders may have come back, and others are gone.
    pub(super) fn restored(&mut self, store: &Store, now: Duration) {
        (self.frozen, self.switched, self.stirred) = (None, true, now);
        self.maintained.clear();
        self.downs.clear();
        let flaps = store.get(&Key::Kept(Part::Flaps)).map(|kv| &kv.value);
        self.down = match flaps {
            Some(Value::Kept(keep)) => match &**keep {
                Keep::Flaps { flaps, .. } => flaps.down.clone(),
                _ => BTreeSet::new(),
            },
            _ => BTreeSet::new(),
        };
    }

    /// Something is kept.
    pub(super) fn kept(&mut self, op: &Op, now: Duration) {
        match op {
            Op::Put(Key::Bundle, _) => self.stirred = now,
            Op::PutLeased(Key::SiteLease(site), ..) => self.renewed[*site] = now,
            Op::Put(Key::Kept(_), Value::Kept(keep)) => {
                let Keep::Flaps { flaps, .. } = &**keep else { return };
                for site in flaps.down.difference(&self.down) {
                    *self.downs.entry(site.clone()).or_default() += 1;
                }
                self.down = flaps.down.clone();
            }
            _ => {}
        }
    }
}
