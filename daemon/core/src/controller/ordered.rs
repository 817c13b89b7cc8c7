//! People give orders and take them back. An order holds at once, and is answered when it is stored.

use super::{Ask, Controller, Effect, Keep, Order, RefusalKind};
use crate::engine::Refusal;
use crate::ids::{Identity, SiteId};
use crate::time::Now;

impl Controller {
    /// What comes of a freeze, a maintenance, a switch, or of the end of one.
    pub(super) fn ordered(&mut self, request: String, by: Identity, ask: Ask, now: Now) -> Effect {
        let order = |reason, left| Order { by, reason, since_wall_ms: now.wall_ms, left };
        let kept = match ask {
            Ask::Freeze { reason, left } => self.freeze(order(reason, left), now),
            Ask::Thaw { .. } => self.thaw(now),
            Ask::Maintain { site, reason, left } => self.maintain(&site, order(reason, left), now),
            Ask::Release { site, .. } => self.release(&site, now),
            Ask::Switch { name, on, reason } => self.switch(name, on.then(|| order(reason, None))),
            _ => Err(Refusal::new(RefusalKind::Invalid, "this is no order")),
        };
        match kept {
            Ok(keep) => Effect::Keep { keep, request: Some(request) },
            Err(refusal) => Effect::Answer { request, answer: Err(refusal) },
        }
    }

    fn freeze(&mut self, order: Order, now: Now) -> Result<Keep, Refusal> {
        match self.frozen.begin(order, now) {
            Ok(()) => Ok(Keep::Freeze(self.frozen.is(now))),
            Err(old) => {
                let old = old.told("thaws it");
                Err(wrong(format!("frozen {old}; that would end later: standfast thaw first")))
            }
        }
    }

    fn thaw(&mut self, now: Now) -> Result<Keep, Refusal> {
        match self.frozen.end(now) {
            true => Ok(Keep::Freeze(None)),
            false => Err(wrong("the cluster is not frozen")),
        }
    }

    fn maintain(&mut self, site: &SiteId, order: Order, now: Now) -> Result<Keep, Refusal> {
        match self.maintained.entry(site).begin(order, now) {
            Ok(()) => Ok(Keep::Maintenance(self.maintained.all(now))),
            Err(old) => {
                let old = old.told("releases it");
                let message = format!(
                    "{site} is in maintenance {old}; that would end later: standfast site release {site} first"
                );
                Err(wrong(message))
            }
        }
    }

    fn release(&mut self, site: &SiteId, now: Now) -> Result<Keep, Refusal> {
        match self.maintained.entry(site).end(now) {
            true => Ok(Keep::Maintenance(self.maintained.all(now))),
            false => Err(wrong(format!("{site} is not in maintenance"))),
        }
    }

    /// Turns a switch on, or off. Whoever turns it on again answers for it from then on.
    fn switch(&mut self, name: String, on: Option<Order>) -> Result<Keep, Refusal> {
        let known = self.bundle.as_ref().is_some_and(|(_, rules)| rules.switches.contains_key(&name));
        // One that the fleet has no more may be turned off all the same.
        if !known && (on.is_some() || !self.switched.contains_key(&name)) {
            return Err(Refusal::new(RefusalKind::Invalid, format!("the fleet has no switch {name}")));
        }
        match on {
            Some(order) => drop(self.switched.insert(name, order)),
            None if self.switched.remove(&name).is_none() => {
                return Err(wrong(format!("{name} is off already")));
            }
            None => {}
        }
        Ok(Keep::Switches(self.switched.clone()))
    }
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Precondition, message)
}
