//! Every playbook bound for every pair of sites that it can be run for, and back: what a plan
//! would refuse in the night is found here.

use super::business::Business;
use super::objectives;
use crate::bind::{Graph, assemble_with, destination};
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::ids::SiteId;
use crate::plan::{Mode, Plan, Request};
use crate::playbook::Playbook;
use std::collections::{BTreeMap, BTreeSet};

/// More steps than this are not bound for one bundle, over all its ways, modes and playbooks.
const MAX_BOUND: usize = 500_000;

/// From, and to.
type Way<'a> = (&'a SiteId, &'a SiteId);
pub(crate) type Ways<'a> = BTreeSet<Way<'a>>;

pub(super) fn lint(
    fleet: &Fleet,
    business: &Business<'_>,
    playbooks: &BTreeMap<&str, &Playbook>,
    parts: &BTreeSet<&str>,
    findings: &mut Findings,
) {
    let mut left = MAX_BOUND;
    for (name, playbook) in playbooks {
        let ways = pairs(fleet, playbook);
        let is_new = |(from, to): &(&SiteId, &SiteId)| {
            !ways.contains(&(*from, *to)) && destination(fleet, playbook, from, to).is_empty()
        };
        let back: Vec<_> = ways.iter().map(|(from, to)| (*to, *from)).filter(is_new).collect();
        let steps = (ways.len() + back.len()) * playbook.modes.len() * playbook.flat().count();
        let Some(rest) = left.checked_sub(steps) else {
            let name = quoted(playbook.id.value.as_str());
            let message =
                format!("{name} can be run in {} ways, and that is too many to look at", ways.len());
            findings.push(
                Finding::new(code::TOO_LARGE, playbook.id.at, message)
                    .help("name the ways it is meant for under `on_loss`: then only those are looked at"),
            );
            continue;
        };
        left = rest;
        both(fleet, business, (playbook, parts.contains(name)), &ways, &back, findings);
    }
}

/// Binds the ways there, and when they are right the ways back. With the playbook stands whether
/// others run it.
fn both(
    fleet: &Fleet,
    business: &Business<'_>,
    (playbook, is_part): (&Playbook, bool),
    ways: &Ways<'_>,
    back: &[Way<'_>],
    findings: &mut Findings,
) {
    let inputs: BTreeMap<_, _> =
        playbook.inputs.iter().filter_map(|(name, default)| Some((name.clone(), default.clone()?))).collect();
    // The same for all ways, and the dearest part of binding in a large fleet.
    let named = playbook.services.iter().filter_map(|id| business.number(&id.value));
    let services = business.with_needs(named).into_iter().map(|number| business.service(number)).collect();
    let graph = Graph::of(playbook);
    let bind = |(from, to): &Way<'_>, mode: Mode, findings: &mut Findings| -> Option<Plan> {
        let request = Request {
            playbook: playbook.id.value.clone(),
            from: (*from).clone(),
            to: (*to).clone(),
            mode,
            inputs: inputs.clone(),
        };
        assemble_with(fleet, playbook, &graph, &services, &request, findings)
    };
    let mut bound = Findings::default();
    for way in ways {
        for &mode in &playbook.modes {
            let plan = bind(way, mode, &mut bound);
            if let Some(plan) = plan.filter(|_| mode == Mode::Emergency && bound.is_empty()) {
                objectives::time(fleet, business, playbook, is_part, &plan, findings);
            }
        }
    }
    for way in back.iter().filter(|_| bound.is_empty()) {
        let mut reasons = Findings::default();
        for &mode in &playbook.modes {
            // Only its findings count here.
            let _ = bind(way, mode, &mut reasons);
        }
        findings.extend(reasons.into_iter().map(|why| no_way_back(way, &why)));
    }
    findings.extend(bound);
}

/// A site that was left is gone back to, some day, with the same playbook.
fn no_way_back((from, to): &Way<'_>, why: &Finding) -> Finding {
    let [from, to] = [from, to].map(|site| quoted(site.as_str()));
    let message = format!("there is no way back from {from} to {to}: {}", why.message);
    let finding = Finding::new(code::NO_WAY_BACK, why.at, message);
    match &why.help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// The ways that `on_loss` names, else those between placements of its services.
pub(crate) fn pairs<'a>(fleet: &'a Fleet, playbook: &Playbook) -> Ways<'a> {
    let known = |site: &SiteId| fleet.sites.contains_key(site);
    let automatic: BTreeSet<_> = fleet
        .on_loss
        .iter()
        .filter(|entry| entry.playbook.value == playbook.id.value)
        .map(|entry| (&entry.site.value, &entry.to.value))
        .filter(|(from, to)| from != to && known(from) && known(to))
        .collect();
    if !automatic.is_empty() {
        return automatic;
    }
    let mut ways = BTreeSet::new();
    for service in playbook.services.iter().filter_map(|id| fleet.services.get(&id.value)) {
        for from in service.active_in().filter(|from| known(from)) {
            ways.extend(service.runs_in.keys().filter(|to| *to != from && known(to)).map(|to| (from, to)));
            if ways.len() > MAX_BOUND {
                return ways;
            }
        }
    }
    ways
}
