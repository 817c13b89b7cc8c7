//! What binds people too: limits, forbidden states, and a second person where the fleet asks for one.

use super::{Controller, RefusalKind};
use crate::engine::command::About;
use crate::engine::{Command, Refusal};
use crate::guard::Guard;
use crate::ids::{Identity, RunId, SiteId};
use crate::journal::{Override, Trigger};
use crate::limits::{self, Moved, Moving};
use crate::plan::Plan;
use crate::rules::{Role, Rules};
use crate::run::State;
use crate::time::{Now, Span};
use std::collections::BTreeSet;

/// What the role of the fleet's `overrides` may waive.
const LIMITS: [Guard; 3] = [Guard::Serving, Guard::BlastRadius, Guard::FinalState];

impl Controller {
    /// Notes what a run leaves, for the day.
    pub(super) fn note_move(&mut self, run: &RunId, plan: &Plan, now: Now) {
        let Some((_, rules)) = &self.bundle else { return };
        let (services, servers) = moving(plan).leaves(rules);
        let (run, site) = (run.clone(), plan.request.from.clone());
        self.moves.begins(Moved { run, site, services, servers, age: Span::default() }, now);
    }

    /// Refuses a run that a person wants by the first limit that they do not waive.
    pub(super) fn limited(&self, plan: &Plan, overrides: &[Override], now: Now) -> Result<(), Refusal> {
        let Some((_, rules)) = &self.bundle else { return Ok(()) };
        let moving = Moving {
            well: self.well(&plan.request.from, rules, now),
            today: self.moves.today(now),
            ..moving(plan)
        };
        let waived = |guard: Guard| overrides.iter().any(|waiver| waiver.rule == guard.name());
        let binds = |guard: Guard| !waived(guard) && !self.removed.is(guard);
        match limits::refusing(rules, &moving).into_iter().find(|(guard, _)| binds(*guard)) {
            Some((guard, why)) => {
                Err(Refusal::new(RefusalKind::Precondition, why).about(About::Guard(guard)))
            }
            None => Ok(()),
        }
    }

    /// The sites that carry load and are well while `from` is left, as a destination has to be: nobody
    /// is asked where the fleet wants no number.
    pub(super) fn well(&self, from: &SiteId, rules: &Rules, now: Now) -> BTreeSet<SiteId> {
        let carry = rules.sites.iter().filter(|(site, role)| **role != Role::Witness && *site != from);
        let wanted = carry.filter(|_| rules.limits.min_serving.is_some());
        let well = wanted.filter(|(site, _)| self.court.destination(from, site, rules, now).is_ok());
        well.map(|(site, _)| site.clone()).collect()
    }

    /// The role that may waive the limit of this name; none if it is no limit, or nobody may.
    pub(super) fn waives(&self, rule: &str) -> Option<&str> {
        let (_, rules) = self.bundle.as_ref()?;
        let limit = LIMITS.into_iter().any(|guard| guard.name() == rule);
        rules.limits.waived_by.as_deref().filter(|_| limit)
    }

    /// Whether a run with these overrides waits for a second person.
    pub(super) fn takes_two(&self, overrides: &[Override]) -> bool {
        self.overrides_take_two() && !overrides.is_empty()
    }

    /// Whether the fleet asks for a second person.
    pub(super) fn overrides_take_two(&self) -> bool {
        let asked = self.bundle.as_ref().is_some_and(|(_, rules)| rules.limits.second_person);
        asked && !self.removed.is(Guard::SecondPerson)
    }

    /// Whether `by` would approve the run that they have started themselves. A run of a person waits for
    /// approval only because it takes two.
    pub(super) fn is_alone(&self, by: &Identity, run: &RunId, command: &Command) -> bool {
        if self.removed.is(Guard::SecondPerson) {
            return false;
        }
        let Some(run) = self.run(run).filter(|run| run.state() == State::Proposed) else { return false };
        let approves = matches!(command, Command::Approve { .. });
        approves && matches!(&run.trigger, Trigger::Operator { identity, .. } if identity == by)
    }
}

fn moving(plan: &Plan) -> Moving {
    Moving {
        from: plan.request.from.clone(),
        to: plan.request.to.clone(),
        services: plan.services.iter().cloned().collect(),
        ..Moving::default()
    }
}
