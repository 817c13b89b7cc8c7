//! Every playbook bound for every pair of sites that it can be run for: what a plan would
//! refuse in the night is found here.

use crate::bind::assemble;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::ids::SiteId;
use crate::plan::Request;
use crate::playbook::Playbook;
use std::collections::{BTreeMap, BTreeSet};

/// More steps than this are not bound for one bundle, over all its ways, modes and playbooks.
const MAX_BOUND: usize = 500_000;

pub(super) fn lint(fleet: &Fleet, playbooks: &BTreeMap<&str, &Playbook>, findings: &mut Findings) {
    let mut left = MAX_BOUND;
    for playbook in playbooks.values() {
        let ways = pairs(fleet, playbook);
        let steps = ways.len() * playbook.modes.len() * playbook.flat().count();
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
        let inputs: BTreeMap<_, _> = playbook
            .inputs
            .iter()
            .filter_map(|(name, default)| Some((name.clone(), default.clone()?)))
            .collect();
        for (from, to) in ways {
            for &mode in &playbook.modes {
                let request = Request {
                    playbook: playbook.id.value.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    mode,
                    inputs: inputs.clone(),
                };
                // Only its findings count here.
                let _ = assemble(fleet, playbook, &request, findings);
            }
        }
    }
}

/// The ways that `on_loss` names, else those between placements of its services.
fn pairs<'a>(fleet: &'a Fleet, playbook: &Playbook) -> BTreeSet<(&'a SiteId, &'a SiteId)> {
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
