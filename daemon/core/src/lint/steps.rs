//! The steps of one playbook: names, order, and what a promotion must have around it.

use super::business::Business;
use super::order::Way;
use super::{effects, sql, together, traffic};
use crate::bind::Graph;
use crate::decode::{Call, Value, Var};
use crate::finding::{Finding, Findings, code, quoted};
use crate::plan::{OnFailure, Unreachable};
use crate::playbook::{Entry, Playbook, Step};
use std::collections::BTreeSet;

pub(super) fn lint(playbook: &Playbook, business: Option<&Business<'_>>, cut: bool, findings: &mut Findings) {
    let names = names(playbook, findings);
    let mut needs_known = true;
    for step in playbook.flat() {
        for need in step.needs.iter().flatten() {
            let name = need.value.as_str();
            if !names.contains(name) && !cut {
                let message = format!("there is no step {}", quoted(name));
                let finding = Finding::new(code::UNKNOWN_STEP, need.at, message);
                findings.push(finding.did_you_mean(name, names.iter().copied()));
                needs_known = false;
            }
        }
    }
    order(playbook, business, cut || !needs_known, false, findings);
    together::needed(playbook, findings);
    for step in playbook.flat() {
        effects::retries(step, findings);
        effects::times(step, findings);
        sql::lint(step, findings);
        if !cut {
            traffic::gates(step, findings);
        }
        if let Some(expect) = step.expect.as_ref().filter(|expect| !expect.value.grows()) {
            let message = "what is expected does not grow from `min` over `likely` to `max`";
            findings.push(Finding::new(code::WRONG_VALUE, expect.at, message));
        }
        if promotes(&step.call) && !is_verified(step) {
            let message = format!("the promotion {} is not verified", quoted(step.id.value.as_str()));
            findings.push(Finding::new(code::UNVERIFIED, step.call.key_at, message).help(
                "add `verify` with `postgres.writable` of the same cluster at the same site: exit status 0 is not success",
            ));
        }
    }
}

/// The same for a playbook that was composed: what its parts showed already, each alone, is not
/// said again.
pub(super) fn composed(
    playbook: &Playbook,
    business: Option<&Business<'_>>,
    cut: bool,
    findings: &mut Findings,
) {
    let known: BTreeSet<_> = findings.iter().map(|finding| (finding.code.id, finding.at)).collect();
    let mut found = Findings::default();
    order(playbook, business, cut, true, &mut found);
    findings.extend(found.into_iter().filter(|finding| !known.contains(&(finding.code.id, finding.at))));
}

/// What the order of the steps shows. Nothing more than cycles when part of it is not known.
fn order(
    playbook: &Playbook,
    business: Option<&Business<'_>>,
    cut: bool,
    composed: bool,
    findings: &mut Findings,
) {
    let flat: Vec<&Step> = playbook.flat().collect();
    let graph = Graph::of(playbook);
    let whole = playbook.broken.is_empty() && !cut;
    let mut orders = Vec::new();
    for mode in &playbook.modes {
        match graph.ordered(&flat, *mode) {
            Err(cycle) => {
                let path: Vec<_> = cycle.iter().map(|&step| flat[step].id.value.to_string()).collect();
                let at = cycle.first().map(|&step| flat[step].id.at);
                findings.push(Finding::new(code::CYCLE, at, "these steps wait for each other").path(path));
                return;
            }
            Ok(order) => orders.push(order),
        }
    }
    if whole {
        let ways: Vec<Way<'_>> = orders.iter().map(|order| Way::of(&flat, order)).collect();
        for way in &ways {
            fences(way, findings);
            effects::undone(way, findings);
            effects::rolled_back(way, findings);
            traffic::too_early(way, business, composed, findings);
            together::leaned_on(way, findings);
            together::writes(way, findings);
        }
        // A part that can be taken back alone says so, wherever it is used.
        if !composed {
            effects::too_late(&flat, &ways, findings);
        }
    }
}

/// The names of all steps and blocks, also of those that cannot be read; those given twice are
/// reported.
fn names<'a>(playbook: &'a Playbook, findings: &mut Findings) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    let blocks = playbook.steps.iter().filter_map(|entry| match entry {
        Entry::Parallel { id, .. } | Entry::Group { id, .. } => Some(id),
        Entry::Step(_) => None,
    });
    let broken = playbook.broken.iter().filter(|id| !id.value.as_str().is_empty());
    let mut all: Vec<_> = playbook.flat().map(|step| &step.id).chain(blocks).chain(broken).collect();
    all.sort_by_key(|id| id.at);
    for id in all {
        if !names.insert(id.value.as_str()) {
            let message = format!("{} is the name of another step already", quoted(id.value.as_str()));
            findings.push(Finding::new(code::DUPLICATE_ID, id.at, message));
        }
    }
    names
}

pub(super) fn promotes(call: &Call) -> bool {
    call.spec.is("postgres.promote")
}

/// Reports promotions that can start before the old primary is known to be stopped.
fn fences(way: &Way<'_>, findings: &mut Findings) {
    let fenced = way.at_or_after(is_fence);
    for (place, step) in way.steps().iter().enumerate() {
        if promotes(&step.call) && !fenced[place] {
            let message = format!("nothing fences the old primary before {}", quoted(step.id.value.as_str()));
            findings.push(Finding::new(code::UNFENCED, step.call.key_at, message).help(
                "put a `fence.prove` of `$from` before it that cannot be passed over: two primaries are worse than none",
            ));
        }
    }
}

/// A proof about `$from` that a run cannot pass over.
fn is_fence(step: &Step) -> bool {
    step.call.spec.is("fence.prove")
        && step.call.args.get("site").is_some_and(|site| site.value == Value::Var(Var::From))
        && step.on_failure != OnFailure::Continue
        && step.unreachable != Unreachable::Skip
}

/// Whether the verification asks the promoted server itself.
fn is_verified(step: &Step) -> bool {
    let same = |call: &Call, key| {
        let value = |call: &Call| call.args.get(key).map(|value| value.value.clone());
        value(call) == value(&step.call)
    };
    step.verify.iter().flat_map(|verify| &verify.all).any(|call| {
        let asks = call.spec.is("postgres.writable")
            || (call.spec.is("postgres.role") && call.args.text("is") == Some("primary"));
        asks && same(call, "cluster") && same(call, "at")
    })
}
