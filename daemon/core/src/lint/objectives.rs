//! What was promised, against what the steps may take and what replication gives.

use crate::action::Action;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::{Fleet, Replication};
use crate::ids::{ServiceId, StepId};
use crate::plan::Plan;
use crate::playbook::{Playbook, Step};
use crate::source::Place;
use crate::time::Span;
use std::collections::{BTreeMap, VecDeque};

/// A service that comes back with this playbook, and what was promised for it.
struct Promise<'a> {
    service: &'a ServiceId,
    rto: Span,
    /// Where the playbook names it.
    at: Place,
}

/// Judges the plan of an emergency: its time counts from the loss, not from the first step.
pub(super) fn time(fleet: &Fleet, playbook: &Playbook, plan: &Plan, findings: &mut Findings) {
    let promise = |service: &'_ crate::source::Spanned<ServiceId>| {
        Some((fleet.services.get(&service.value)?.rto?, service.at))
    };
    let mut left: BTreeMap<&ServiceId, Promise<'_>> = BTreeMap::new();
    for service in &playbook.services {
        if let Some((rto, at)) = promise(service) {
            left.insert(&service.value, Promise { service: &service.value, rto, at });
        }
    }
    let strictest =
        left.values().min_by_key(|promise| promise.rto).map(|promise| (promise.service, promise.rto));
    let steps: BTreeMap<&StepId, &Step> = playbook.flat().map(|step| (&step.id.value, step)).collect();
    let chain = Chain::of(fleet, plan);
    // A service is back with the last of the steps that say so, otherwise with the last of all.
    let mut back: BTreeMap<&ServiceId, (Promise<'_>, usize)> = BTreeMap::new();
    for (place, bound) in plan.steps.iter().enumerate() {
        let Some(step) = steps.get(&bound.id) else { continue };
        let mut strict = strictest;
        for (number, service) in step.restores.iter().enumerate() {
            let Some((rto, at)) = promise(service) else { continue };
            let service = &service.value;
            strict = strict.filter(|_| number > 0).filter(|(_, least)| *least < rto).or(Some((service, rto)));
            left.remove(service);
            let (_, last) = back.entry(service).or_insert((Promise { service, rto, at }, place));
            if chain.arrival(place) > chain.arrival(*last) {
                *last = place;
            }
        }
        if let (Action::DnsSet { name, ttl, .. }, Some((service, rto))) = (&bound.action, strict)
            && *ttl >= rto
        {
            let message = format!(
                "resolvers keep {} for {ttl} after it has changed, and the objective of {} is {rto}",
                quoted(name),
                quoted(service.as_str())
            );
            findings.push(
                Finding::new(code::TTL, step.call.key_at, message)
                    .help("give the record a smaller `ttl`, well before it is needed"),
            );
            return;
        }
    }
    let Some(last) = (0..plan.steps.len()).max_by_key(|&place| chain.arrival(place)) else { return };
    let at_the_end = left.into_values().map(|promise| (promise, last));
    for (promise, last) in at_the_end.chain(back.into_values()) {
        findings.extend(chain.too_long(&promise, last));
    }
}

/// When each step has ended at the latest, and for how long resolvers do not notice.
struct Chain<'a> {
    plan: &'a Plan,
    ends: Vec<(Span, Option<usize>)>,
    seen: Span,
}

impl<'a> Chain<'a> {
    fn of(fleet: &Fleet, plan: &'a Plan) -> Self {
        Self { plan, ends: plan.ends(), seen: fleet.timing.bounds().in_turn }
    }

    fn kept(&self, place: usize) -> Span {
        match &self.plan.steps[place].action {
            Action::DnsSet { ttl, .. } => *ttl,
            _ => Span::default(),
        }
    }

    /// When customers are there whom the step sends, counted from the first step.
    fn arrival(&self, place: usize) -> Span {
        Span(self.ends[place].0.0.saturating_add(self.kept(place).0))
    }

    fn too_long(&self, promise: &Promise<'_>, last: usize) -> Option<Finding> {
        let total = Span(self.seen.0.saturating_add(self.arrival(last).0));
        if total <= promise.rto {
            return None;
        }
        let kept = self.kept(last);
        let resolvers =
            if kept == Span::default() { String::new() } else { format!(", resolvers take {kept}") };
        let message = format!(
            "by its timeouts {} is back within {total} (the loss is seen within {}, the steps take {}{resolvers}); \
             its objective is {}",
            quoted(promise.service.as_str()),
            self.seen,
            self.ends[last].0,
            promise.rto
        );
        let mut path = Vec::new();
        let mut next = Some(last);
        while let Some(place) = next {
            path.push(self.plan.steps[place].id.to_string());
            next = self.ends[place].1;
        }
        path.reverse();
        Some(
            Finding::new(code::CRITICAL_PATH, promise.at, message)
                .path(path)
                .help("shorten timeouts along the path, run steps side by side, or promise less"),
        )
    }
}

/// Reports services that may lose nothing, and are or need what is copied only afterwards.
pub(super) fn data(fleet: &Fleet, findings: &mut Findings) {
    let mut needed_by: BTreeMap<&ServiceId, Vec<&ServiceId>> = BTreeMap::new();
    for (id, service) in &fleet.services {
        service.needs.iter().for_each(|need| needed_by.entry(&need.value).or_default().push(id));
    }
    // From what is copied afterwards to all that stand on it, nearest first: each with the next
    // one on its way there.
    let is_async = |id: &ServiceId| {
        fleet.services.get(id).is_some_and(|service| service.replication == Some(Replication::Async))
    };
    let mut toward: BTreeMap<&ServiceId, Option<&ServiceId>> =
        fleet.services.keys().filter(|id| is_async(id)).map(|id| (id, None)).collect();
    let mut queue: VecDeque<&ServiceId> = toward.keys().copied().collect();
    while let Some(id) = queue.pop_front() {
        for above in needed_by.get(id).into_iter().flatten() {
            if !toward.contains_key(above) {
                toward.insert(above, Some(id));
                queue.push_back(above);
            }
        }
    }
    for (id, service) in fleet.services.iter().filter(|(_, service)| service.rpo == Some(Span::default())) {
        let Some(mut next) = toward.get(id).copied() else { continue };
        let mut path = vec![id];
        while let Some(below) = next {
            path.push(below);
            next = toward.get(below).copied().flatten();
        }
        let data = path[path.len() - 1];
        let message = match path.len() {
            1 => format!(
                "{} may lose nothing (`rpo: 0s`), and is replicated asynchronously",
                quoted(id.as_str())
            ),
            _ => format!(
                "{} may lose nothing (`rpo: 0s`), and {}, on which it stands, is replicated asynchronously",
                quoted(id.as_str()),
                quoted(data.as_str())
            ),
        };
        let mut finding = Finding::new(code::ASYNC_RPO, service.objectives_at.unwrap_or(service.at), message)
            .help("replicate it synchronously, or promise what asynchronous replication can keep");
        if path.len() > 1 {
            finding = finding.path(path.into_iter().map(|id| id.to_string()));
        }
        findings.push(finding);
    }
}
