//! When a service is back: which steps have to end well for it.
//!
//! A service is back when every step that acts on a resource of its own has ended well, and when
//! every service that it needs is back. A service of the playbook itself, and one of which no
//! step can be found, is back when the whole run is.

use super::Case;
use standfast_core::bundle::Bundle;
use standfast_core::ids::{ServiceId, StepId};
use standfast_core::plan::Plan;
use standfast_core::playbook::Playbook;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A service with a promise about time, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promised {
    pub(super) service: ServiceId,
    pub(super) rto: Duration,
    /// Steps by their place; none when it waits for the whole run.
    pub(super) steps: Option<Vec<usize>>,
}

/// All services of a plan that were promised to be back in time.
pub(super) fn promised(bundle: &Bundle, playbook: &Playbook, plan: &Plan) -> Vec<Promised> {
    let acting = acting(playbook, plan);
    let whole: BTreeSet<&ServiceId> = playbook.services.iter().map(|service| &service.value).collect();
    let services = plan.services.iter().filter_map(|id| Some((id, bundle.fleet.services.get(id)?.rto?)));
    services
        .map(|(id, rto)| {
            let steps = (!whole.contains(id)).then(|| steps_of(bundle, id, &acting)).flatten();
            Promised {
                service: id.clone(),
                rto: rto.0,
                steps: steps.map(|steps| steps.into_iter().collect()),
            }
        })
        .collect()
}

/// The steps that act on each resource.
fn acting<'a>(playbook: &'a Playbook, plan: &Plan) -> BTreeMap<&'a str, Vec<usize>> {
    let places: BTreeMap<&StepId, usize> =
        plan.steps.iter().enumerate().map(|(place, step)| (&step.id, place)).collect();
    let mut acting: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for step in playbook.flat() {
        let Some(&place) = places.get(&step.id.value) else { continue };
        for key in ["cluster", "endpoint", "route", "record"] {
            if let Some(resource) = step.call.args.text(key) {
                acting.entry(resource).or_default().push(place);
            }
        }
    }
    acting
}

/// The steps of a service and of all that it needs; none when some of them has no step.
fn steps_of(bundle: &Bundle, id: &ServiceId, acting: &BTreeMap<&str, Vec<usize>>) -> Option<BTreeSet<usize>> {
    let mut steps = BTreeSet::new();
    for needed in bundle.fleet.with_needs([id]) {
        let service = bundle.fleet.services.get(needed)?;
        let resource = service.resource.as_ref().map_or(needed.as_str(), |resource| resource.value.as_str());
        let own = acting.get(resource);
        // What only needs others is back with them; what nobody moves is not known to come back.
        if own.is_none() && service.needs.is_empty() {
            return None;
        }
        steps.extend(own.into_iter().flatten().copied());
    }
    Some(steps)
}

impl Case {
    /// When a service was back, given when each step ended well and when the whole run did.
    pub(super) fn back(
        promised: &Promised,
        ended_well: impl Fn(usize) -> Option<Duration>,
        run: Option<Duration>,
    ) -> Option<Duration> {
        match &promised.steps {
            None => run,
            Some(steps) => {
                steps.iter().try_fold(Duration::ZERO, |last, &step| Some(last.max(ended_well(step)?)))
            }
        }
    }
}
