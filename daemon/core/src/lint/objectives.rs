//! What was promised, against what the steps may take.

use crate::action::Action;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::ids::ServiceId;
use crate::plan::Plan;
use crate::playbook::Playbook;
use crate::source::Spanned;
use crate::time::Span;
use std::collections::BTreeMap;

/// Judges the plan of an emergency: its time counts from the loss, not from the first step.
pub(super) fn lint(fleet: &Fleet, playbook: &Playbook, plan: &Plan, findings: &mut Findings) {
    // What the services need has objectives too, but the end of this playbook is not their return.
    let objective = |id: &'_ Spanned<ServiceId>| fleet.services.get(&id.value)?.rto;
    let strictest = playbook.services.iter().filter_map(|id| Some((objective(id)?, id)));
    let Some((rto, service)) = strictest.min_by_key(|(rto, _)| *rto) else { return };
    let places: BTreeMap<&str, _> =
        playbook.flat().map(|step| (step.id.value.as_str(), step.call.key_at)).collect();
    let promised = format!("the objective of {} is {rto}", quoted(service.value.as_str()));
    let ends = plan.ends();
    // When the last customer gets there: after a record has changed, resolvers keep the old one.
    let mut latest: Option<(Span, usize, Span)> = None;
    for (place, step) in plan.steps.iter().enumerate() {
        let kept = match &step.action {
            Action::DnsSet { ttl, .. } => *ttl,
            _ => Span::default(),
        };
        if let Action::DnsSet { name, ttl, .. } = &step.action
            && *ttl >= rto
            && let Some(&at) = places.get(step.id.as_str())
        {
            let message =
                format!("resolvers keep {} for {ttl} after it has changed, and {promised}", quoted(name));
            findings.push(
                Finding::new(code::TTL, at, message)
                    .help("give the record a smaller `ttl`, well before it is needed"),
            );
            return;
        }
        let arrived = Span(ends[place].0.0.saturating_add(kept.0));
        if latest.is_none_or(|(before, ..)| before < arrived) {
            latest = Some((arrived, place, kept));
        }
    }
    let Some((arrived, last, kept)) = latest else { return };
    let seen = fleet.timing.bounds().in_turn;
    let total = Span(seen.0.saturating_add(arrived.0));
    if total <= rto {
        return;
    }
    let resolvers = if kept == Span::default() { String::new() } else { format!(" and resolvers {kept}") };
    let message = format!(
        "by its timeouts this takes up to {total} (a loss is seen within {seen}, the steps take {}{resolvers}), and \
         {promised}",
        ends[last].0
    );
    let mut path = vec![plan.steps[last].id.to_string()];
    let mut next = ends[last].1;
    while let Some(place) = next {
        path.push(plan.steps[place].id.to_string());
        next = ends[place].1;
    }
    path.reverse();
    findings.push(
        Finding::new(code::CRITICAL_PATH, service.at, message)
            .path(path)
            .help("shorten timeouts along the path, run steps side by side, or promise less"),
    );
}
