//! When a service is back: which steps have to end well for it.
//!
//! A step restores what it says that it restores, or else the services whose resource it acts on
//! at the destination. A service is back when all steps that restore it have ended well, and with
//! them all services that it needs. One that was active in the site that is left, and that no
//! step restores, is back when the whole run is. A name that was changed counts from when the
//! last resolver has forgotten the old values.

use standfast_core::action::Action;
use standfast_core::bundle::Bundle;
use standfast_core::decode::{Value, Var};
use standfast_core::fleet::Service;
use standfast_core::ids::{ServiceId, StepId};
use standfast_core::plan::Plan;
use standfast_core::playbook::{self, Playbook};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A service with a promise about time, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promised {
    pub(super) service: ServiceId,
    pub(super) rto: Duration,
    /// Steps by their place, and how long after their end they count.
    steps: Vec<(usize, Duration)>,
    /// It waits for the whole run.
    whole: bool,
}

impl Promised {
    /// When the service was back, given when each step ended well and when the whole run did.
    pub(super) fn back(
        &self,
        ended_well: impl Fn(usize) -> Option<Duration>,
        run: Option<Duration>,
    ) -> Option<Duration> {
        let begin = if self.whole { run? } else { Duration::ZERO };
        self.steps.iter().try_fold(begin, |last, &(step, after)| Some(last.max(ended_well(step)? + after)))
    }

    #[cfg(test)]
    pub(super) fn waits_for(&self) -> (bool, Vec<usize>) {
        (self.whole, self.steps.iter().map(|(step, _)| *step).collect())
    }
}

/// All services of a plan that were promised to be back in time.
pub(super) fn promised(bundle: &Bundle, playbook: &Playbook, plan: &Plan) -> Vec<Promised> {
    let restoring = restoring(bundle, playbook, plan);
    let promises = plan.services.iter().filter_map(|id| Some((id, bundle.fleet.services.get(id)?.rto?)));
    promises
        .map(|(id, rto)| {
            let mut steps = BTreeSet::new();
            let mut whole = false;
            for needed in bundle.fleet.with_needs([id]) {
                let Some(service) = bundle.fleet.services.get(needed) else { continue };
                match restoring.get(needed) {
                    Some(own) => steps.extend(own),
                    None => whole |= service.is_active_in(&plan.request.from),
                }
            }
            // The whole run is over when every step of it is.
            if whole {
                steps = (0..plan.steps.len()).filter(|step| !kept(plan, *step).is_zero()).collect();
            }
            let steps = steps.into_iter().map(|step| (step, kept(plan, step))).collect();
            Promised { service: id.clone(), rto: rto.0, steps, whole }
        })
        .collect()
}

/// How long resolvers keep what a step has changed.
fn kept(plan: &Plan, step: usize) -> Duration {
    match &plan.steps[step].action {
        Action::DnsSet { ttl, .. } => ttl.0,
        _ => Duration::ZERO,
    }
}

/// The steps of the plan that restore each service.
fn restoring<'a>(
    bundle: &'a Bundle,
    playbook: &'a Playbook,
    plan: &Plan,
) -> BTreeMap<&'a ServiceId, Vec<usize>> {
    let places: BTreeMap<&StepId, usize> =
        plan.steps.iter().enumerate().map(|(place, step)| (&step.id, place)).collect();
    let mut of_resource: BTreeMap<&str, Vec<&ServiceId>> = BTreeMap::new();
    for (id, service) in &bundle.fleet.services {
        for resource in resources(id, service) {
            of_resource.entry(resource).or_default().push(id);
        }
    }
    let mut restoring: BTreeMap<&ServiceId, Vec<usize>> = BTreeMap::new();
    for step in playbook.flat() {
        let Some(&place) = places.get(&step.id.value) else { continue };
        let said = step.restores.iter().map(|service| &service.value);
        let acted = acts_on(step).filter_map(|resource| of_resource.get(resource)).flatten().copied();
        let services: Vec<&ServiceId> =
            if step.restores.is_empty() { acted.collect() } else { said.collect() };
        for service in services {
            restoring.entry(service).or_default().push(place);
        }
    }
    restoring
}

/// The resources that a service is: those that it names, or that of its own name.
fn resources<'a>(id: &'a ServiceId, service: &'a Service) -> impl Iterator<Item = &'a str> {
    let own = service.resources.is_empty().then(|| id.as_str());
    service.resources.iter().map(|resource| resource.value.as_str()).chain(own)
}

/// The resource that a step acts on at the destination.
fn acts_on(step: &playbook::Step) -> impl Iterator<Item = &str> {
    let args = &step.call.args;
    let to = |key: &str| args.get(key).is_some_and(|site| site.value == Value::Var(Var::To));
    let there = to("at") || to("to");
    ["cluster", "endpoint", "route", "record"]
        .into_iter()
        .filter_map(|key| args.text(key))
        .filter(move |_| there)
}
