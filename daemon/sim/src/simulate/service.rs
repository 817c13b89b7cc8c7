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
use std::collections::BTreeMap;
use std::time::Duration;

/// What a service that was promised to be back waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Return {
    /// Steps by their place, and how long after their end they count.
    steps: Vec<(usize, Duration)>,
    /// The whole run.
    whole: bool,
}

impl Return {
    /// When it was there, given when each step ended well and when the whole run did.
    pub(super) fn at(
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

/// A service with a promise about time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promised {
    pub(super) service: ServiceId,
    pub(super) rto: Duration,
    /// The place of its return among those of the case.
    pub(super) back: usize,
}

/// All services of a plan that were promised to be back in time, and what they wait for: often
/// many for the same.
pub(super) fn promised(bundle: &Bundle, playbook: &Playbook, plan: &Plan) -> (Vec<Promised>, Vec<Return>) {
    let waits = waits(bundle, playbook, plan);
    let mut places: BTreeMap<Return, usize> = BTreeMap::new();
    let mut returns = Vec::new();
    let promises = plan.services.iter().filter_map(|id| Some((id, bundle.fleet.services.get(id)?.rto?)));
    let promised = promises
        .map(|(id, rto)| {
            let after = waits[id].returns(plan);
            let back = *places.entry(after.clone()).or_insert_with(|| {
                returns.push(after);
                returns.len() - 1
            });
            Promised { service: id.clone(), rto: rto.0, back }
        })
        .collect();
    (promised, returns)
}

/// Steps as bits, and whether the whole run is waited for.
#[derive(Clone, Debug)]
struct Waits {
    steps: Vec<u64>,
    whole: bool,
}

impl Waits {
    fn also(&mut self, other: &Self) {
        self.steps.iter_mut().zip(&other.steps).for_each(|(mine, others)| *mine |= others);
        self.whole |= other.whole;
    }

    fn returns(&self, plan: &Plan) -> Return {
        let waited = |step: &usize| match self.whole {
            // The whole run is over when every step of it is; only what counts later is left.
            true => !kept(plan, *step).is_zero(),
            false => self.steps[step / 64] >> (step % 64) & 1 == 1,
        };
        let steps = (0..plan.steps.len()).filter(waited).map(|step| (step, kept(plan, step))).collect();
        Return { steps, whole: self.whole }
    }
}

/// What each service of the plan waits for: what it needs comes first, so that each is looked at
/// once.
fn waits<'a>(bundle: &'a Bundle, playbook: &'a Playbook, plan: &'a Plan) -> BTreeMap<&'a ServiceId, Waits> {
    let restoring = restoring(bundle, playbook, plan);
    let services = &bundle.fleet.services;
    let mut waits: BTreeMap<&ServiceId, Waits> = BTreeMap::new();
    let mut missing: BTreeMap<&ServiceId, usize> = BTreeMap::new();
    let mut needed_by: BTreeMap<&ServiceId, Vec<&ServiceId>> = BTreeMap::new();
    for id in &plan.services {
        let service = services.get(id);
        let own = restoring.get(id);
        let lost = service.is_some_and(|service| service.is_active_in(&plan.request.from));
        let mut steps = vec![0; plan.steps.len().div_ceil(64)];
        own.into_iter().flatten().for_each(|step| steps[step / 64] |= 1 << (step % 64));
        waits.insert(id, Waits { steps, whole: own.is_none() && lost });
        // What a service needs is a service of the plan too.
        let needs = service.map(|service| service.needs.as_slice()).unwrap_or_default();
        missing.insert(id, needs.len());
        needs.iter().for_each(|need| needed_by.entry(&need.value).or_default().push(id));
    }
    let mut ready: Vec<&ServiceId> = missing.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    while let Some(id) = ready.pop() {
        let Some(done) = waits.get(id).cloned() else { continue };
        for above in needed_by.get(id).into_iter().flatten() {
            waits.get_mut(above).expect("every service of the plan has an entry").also(&done);
            let left = missing.get_mut(above).expect("every service of the plan has an entry");
            *left -= 1;
            if *left == 0 {
                ready.push(above);
            }
        }
    }
    waits
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
    let of_resource = of_resource(bundle);
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

/// The services that are each resource.
pub(super) fn of_resource(bundle: &Bundle) -> BTreeMap<&str, Vec<&ServiceId>> {
    let mut of_resource: BTreeMap<&str, Vec<&ServiceId>> = BTreeMap::new();
    for (id, service) in &bundle.fleet.services {
        for resource in resources(id, service) {
            of_resource.entry(resource).or_default().push(id);
        }
    }
    of_resource
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
