//! What was promised, against what the steps may take and what replication gives.

use super::business::Business;
use crate::action::Action;
use crate::decode::{Value, Var};
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::{Fleet, Replication};
use crate::ids::{ServiceId, StepId};
use crate::plan::Plan;
use crate::playbook::{Playbook, Step};
use crate::source::Place;
use crate::time::Span;
use std::collections::BTreeMap;

/// Judges the plan of an emergency: its time counts from the loss, not from the first step.
///
/// A service is back when the steps that restore it have ended, and all that it needs is back.
/// One that is active in the site that is left, and that no step restores, is back with the last
/// step. Of a part that other playbooks run, only what it restores and names itself is judged: the
/// rest is back by then, or is judged with them.
pub(super) fn time(
    fleet: &Fleet,
    business: &Business<'_>,
    playbook: &Playbook,
    is_part: bool,
    plan: &Plan,
    findings: &mut Findings,
) {
    let steps: BTreeMap<&StepId, &Step> = playbook.flat().map(|step| (&step.id.value, step)).collect();
    let named: Vec<usize> = playbook.services.iter().filter_map(|id| business.number(&id.value)).collect();
    let chain = Chain::of(fleet, plan);
    let mut restored_by: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, bound) in plan.steps.iter().enumerate() {
        let Some(step) = steps.get(&bound.id) else { continue };
        let restored = restores(business, step);
        for &service in &restored {
            let last = restored_by.entry(service).or_insert(place);
            *last = chain.later(*last, place);
        }
        let concerned = if restored.is_empty() { &named } else { &restored };
        if let Action::DnsSet { name, ttl, .. } = &bound.action
            && let Some((id, rto)) = strictest(business, concerned)
            && *ttl >= rto
        {
            let message = format!(
                "resolvers keep {} for {ttl} after it has changed, and the objective of {} is {rto}",
                quoted(name),
                quoted(id.as_str())
            );
            findings.push(
                Finding::new(code::TTL, step.call.key_at, message)
                    .help("give the record a smaller `ttl`, well before it is needed"),
            );
            return;
        }
    }
    let Some(end) = (0..plan.steps.len()).reduce(|one, other| chain.later(one, other)) else { return };
    let mut back: BTreeMap<usize, usize> = BTreeMap::new();
    for number in business.with_needs(named.iter().copied()) {
        let (id, service) = business.service(number);
        let others_do = is_part && !named.contains(&number);
        let own = restored_by
            .get(&number)
            .copied()
            .or_else(|| (service.is_active_in(&plan.request.from) && !others_do).then_some(end));
        let needed = business.needs(number).iter().filter_map(|need| back.get(need).copied());
        let Some(last) = own.into_iter().chain(needed).reduce(|one, other| chain.later(one, other)) else {
            continue;
        };
        back.insert(number, last);
        if let Some(rto) = service.rto {
            findings.extend(chain.too_long(id, rto, last, place_of(playbook, id)));
        }
    }
}

/// The services that are back with a step: those that it names, else those whose resource it
/// acts on at the destination.
fn restores(business: &Business<'_>, step: &Step) -> Vec<usize> {
    if !step.restores.is_empty() {
        return step.restores.iter().filter_map(|id| business.number(&id.value)).collect();
    }
    let args = &step.call.args;
    let at_destination = ["at", "to"]
        .into_iter()
        .any(|key| args.get(key).is_some_and(|site| site.value == Value::Var(Var::To)));
    let resources = ["cluster", "endpoint", "route", "record"].into_iter().filter_map(|key| args.text(key));
    resources.filter(|_| at_destination).flat_map(|name| business.of_resource(name)).copied().collect()
}

fn strictest<'a>(business: &Business<'a>, services: &[usize]) -> Option<(&'a ServiceId, Span)> {
    let promises = services.iter().filter_map(|&number| {
        let (id, service) = business.service(number);
        Some((id, service.rto?))
    });
    promises.min_by_key(|(_, rto)| *rto)
}

/// Where a playbook names a service, as what it moves or restores; else its own name.
fn place_of(playbook: &Playbook, id: &ServiceId) -> Place {
    let restored = playbook.flat().flat_map(|step| &step.restores);
    let named = playbook.services.iter().chain(restored).find(|service| service.value == *id);
    named.map_or(playbook.id.at, |service| service.at)
}

/// When each step has ended at the latest, and for how long resolvers do not notice.
struct Chain<'a> {
    plan: &'a Plan,
    ends: Vec<(Span, Option<usize>)>,
    seen: Span,
}

impl<'a> Chain<'a> {
    fn of(fleet: &Fleet, plan: &'a Plan) -> Self {
        Self { plan, ends: plan.ends_at_once(), seen: fleet.timing.bounds().in_turn }
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

    /// The step that keeps customers waiting longer.
    fn later(&self, one: usize, other: usize) -> usize {
        if self.arrival(other) > self.arrival(one) { other } else { one }
    }

    fn too_long(&self, id: &ServiceId, rto: Span, last: usize, at: Place) -> Option<Finding> {
        let total = Span(self.seen.0.saturating_add(self.arrival(last).0));
        if total <= rto {
            return None;
        }
        let kept = self.kept(last);
        let resolvers =
            if kept == Span::default() { String::new() } else { format!(", resolvers take {kept}") };
        let message = format!(
            "by its timeouts, with nothing attempted twice, {} is back within {total} (the loss is seen within {}, \
             the steps take {}{resolvers}); its objective is {}",
            quoted(id.as_str()),
            self.seen,
            self.ends[last].0,
            rto
        );
        let mut path = Vec::new();
        let mut next = Some(last);
        while let Some(place) = next {
            path.push(self.plan.steps[place].id.to_string());
            next = self.ends[place].1;
        }
        path.reverse();
        Some(
            Finding::new(code::CRITICAL_PATH, at, message)
                .path(path)
                .help("shorten timeouts along the path, run steps side by side, or promise less"),
        )
    }
}

/// Reports services that may lose nothing, and are or need what is copied only afterwards.
pub(super) fn data(fleet: &Fleet, business: &Business<'_>, findings: &mut Findings) {
    let nothing = Some(Span::default());
    if !fleet.services.values().any(|service| service.rpo == nothing) {
        return;
    }
    let is_async =
        |(_, service): &(_, &crate::fleet::Service)| service.replication == Some(Replication::Async);
    let copied_later = fleet.services.iter().filter(is_async).filter_map(|(id, _)| business.number(id));
    let toward = business.toward(copied_later);
    for (id, service) in fleet.services.iter().filter(|(_, service)| service.rpo == nothing) {
        let Some(number) = business.number(id) else { continue };
        let Some(mut next) = toward[number] else { continue };
        let mut path = vec![id];
        while let Some(below) = next {
            path.push(business.service(below).0);
            next = toward[below].flatten();
        }
        let data = path[path.len() - 1];
        let message = match path.len() {
            1 => {
                format!(
                    "{} may lose nothing (`rpo: 0s`), and is replicated asynchronously",
                    quoted(id.as_str())
                )
            }
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
