//! What a person has ordered, for a while or until it is taken back: a freeze, the maintenance of a
//! site, a switch.

use crate::ids::Identity;
use crate::time::{Mono, Now, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often what is left is stored.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// An order, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who gave it.
    pub by: Identity,
    /// Why.
    pub reason: String,
    /// Since when, in Unix milliseconds, for people.
    pub since_wall_ms: i64,
    /// How much of it is left, on the clock of whoever leads; none: it ends when somebody ends it.
    pub left: Option<Span>,
}

impl Order {
    /// `by kim for another 2h: the network is rebuilt`; `ends` is what ends one that has no end, as in
    /// "thaws it".
    pub fn told(&self, ends: &str) -> String {
        let Self { by, reason, left, .. } = self;
        match left {
            Some(left) => format!("by {by} for another {left}: {reason}"),
            None => format!("by {by} until somebody {ends}: {reason}"),
        }
    }

    /// Whether it may take the place of `old`: not when it ends before it.
    fn outlasts(&self, old: &Self) -> bool {
        self.left.is_none_or(|new| old.left.is_some_and(|old| new >= old))
    }
}

/// An order of this term, on this leader's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Lasting {
    order: Option<Order>,
    until: Option<Mono>,
    stored: Mono,
}

impl Lasting {
    /// Goes on with what the leader before had left, or begins.
    pub(super) fn from(order: Option<Order>, now: Now) -> Self {
        let until = order.as_ref().and_then(|order| order.left).map(|left| now.mono + left.0);
        Self { order, until, stored: now.mono }
    }

    /// The order with what is left of it.
    pub(super) fn is(&self, now: Now) -> Option<Order> {
        let left = self.until.map(|until| Span::from(until.since(now.mono)));
        let lasts = left != Some(Span::default());
        self.order.clone().filter(|_| lasts).map(|order| Order { left, ..order })
    }

    /// Takes a new order, unless the present one lasts longer: that is returned.
    pub(super) fn begin(&mut self, order: Order, now: Now) -> Result<(), Order> {
        match self.is(now).filter(|old| !order.outlasts(old)) {
            Some(old) => Err(old),
            None => {
                *self = Self::from(Some(order), now);
                Ok(())
            }
        }
    }

    /// Ends it; false if there was none.
    pub(super) fn end(&mut self, now: Now) -> bool {
        std::mem::take(self).is(now).is_some()
    }

    /// What is to be stored, when it is time: so that the next leader counts on, not anew.
    pub(super) fn due(&mut self, now: Now) -> Option<Option<Order>> {
        self.until?;
        let order = self.is(now);
        if order.is_some() && now.mono.since(self.stored) < STORE_EVERY {
            return None;
        }
        *self = Self::from(order.clone(), now);
        Some(order)
    }
}

/// Orders by what they are about.
#[derive(Clone, Debug)]
pub(super) struct Orders<K>(BTreeMap<K, Lasting>);

impl<K> Default for Orders<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Clone + Ord> Orders<K> {
    /// Goes on with what the leader before had left.
    pub(super) fn from(orders: BTreeMap<K, Order>, now: Now) -> Self {
        Self(orders.into_iter().map(|(about, order)| (about, Lasting::from(Some(order), now))).collect())
    }

    /// The order about one thing.
    pub(super) fn of(&self, about: &K, now: Now) -> Option<Order> {
        self.0.get(about)?.is(now)
    }

    /// That about one thing, to be changed.
    pub(super) fn entry(&mut self, about: &K) -> &mut Lasting {
        self.0.entry(about.clone()).or_default()
    }

    /// All, with what is left of them.
    pub(super) fn all(&self, now: Now) -> BTreeMap<K, Order> {
        self.0.iter().filter_map(|(about, order)| Some((about.clone(), order.is(now)?))).collect()
    }

    /// All, when one of them is to be stored.
    pub(super) fn due(&mut self, now: Now) -> Option<BTreeMap<K, Order>> {
        // Each is asked, so that those that are stored with another are not soon stored again.
        let due = self.0.values_mut().filter_map(|order| order.due(now)).count();
        (due > 0).then(|| {
            self.0.retain(|_, order| order.is(now).is_some());
            self.all(now)
        })
    }
}
